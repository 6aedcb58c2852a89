//! Tokens revoked: each is a line of the journal, and one that is revoked already costs nothing.

use std::io;
use std::time::SystemTime;

use super::Registry;
use crate::kept::Entry;

impl Registry {
    /// Whether the token of this number was revoked.
    pub(crate) fn is_revoked(&self, number: u64) -> bool {
        self.inner().kept.revoked.contains(number)
    }

    /// Makes the token of this number invalid, which is dead at `expires_at` anyhow, in Unix seconds.
    ///
    /// # Errors
    ///
    /// When it could not be written down: it holds for this run, and is written down as soon as anything can be.
    pub(crate) fn revoke(&self, number: u64, expires_at: u64, now: SystemTime) -> io::Result<()> {
        let mut inner = self.inner();
        // Of one that is known and could not be written down, a success may not be told.
        if inner.kept.revoked.contains(number) && !inner.is_behind() {
            return Ok(());
        }
        inner.kept.revoked.forget_dead(now);
        let entry = Entry::Revoked { number, expires_at };
        inner.kept.apply(&self.quota, &entry);
        inner.write_down(&entry)
    }

    /// Makes all tokens with a smaller number invalid; otherwise as [`revoke`](Self::revoke).
    pub(crate) fn revoke_below(&self, number: u64) -> io::Result<()> {
        let mut inner = self.inner();
        let entry = Entry::RevokedBelow { number };
        inner.kept.apply(&self.quota, &entry);
        inner.write_down(&entry)
    }
}
