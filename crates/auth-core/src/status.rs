//! What a health endpoint shows.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::quota::Window;
use crate::quota::ledger::WindowUsage;
use crate::token::Generation;

/// An authenticator's state at one moment: its token, its budget, and what last went wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The credential's name.
    pub credential: String,
    /// The token that requests carry now; `None` if there is none, or if its time is over.
    pub token: Option<TokenStatus>,
    /// Each window that is counted: the quota's own, and those that others have brought into a shared record. Empty for an
    /// unlimited quota, or when the store was never read.
    pub windows: Vec<WindowStatus>,
    /// What the last token request failed with, if no token has come since.
    pub last_error: Option<Error>,
    /// Until when no token request is made even for a caller without a token: by the issuer's word, or by the pace after
    /// failures.
    pub held_until: Option<SystemTime>,
    /// Whether the ledger outlives this process.
    pub kept_over_restarts: bool,
    /// Why the store could not be read just now; the windows are then as this process last saw them.
    pub store_error: Option<Error>,
}

/// The token at hand.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TokenStatus {
    /// Which of this authenticator's tokens.
    pub generation: Generation,
    /// How long it may still be sent.
    pub expires_in: Duration,
    /// When a renewal begins; zero if it is due.
    pub renew_in: Duration,
    /// An API answered 401 to it, and its renewal is under way.
    pub suspect: bool,
}

/// One window of the quota.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WindowStatus {
    /// The rule.
    pub window: Window,
    /// Token requests in it.
    pub spent: u32,
    /// Token requests left in it.
    pub left: u32,
    /// When the oldest of the spent ones leaves it.
    pub next_slot: Option<SystemTime>,
}

impl WindowStatus {
    pub(crate) fn of(usage: &WindowUsage) -> Self {
        Self {
            window: usage.window,
            spent: usage.spent,
            left: usage.window.limit().saturating_sub(usage.spent),
            next_slot: usage.next_slot.map(Into::into),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "credential `{}`: ", self.credential)?;
        match &self.token {
            Some(token) => write!(
                f,
                "token {} expires in {} s, renews in {} s{}",
                token.generation,
                token.expires_in.as_secs(),
                token.renew_in.as_secs(),
                if token.suspect { " (refused by an API)" } else { "" },
            )?,
            None => f.write_str("no token")?,
        }
        for window in &self.windows {
            write!(f, "; {} of {} spent, {} left", window.spent, window.window, window.left)?;
        }
        if !self.kept_over_restarts {
            f.write_str("; not kept over restarts")?;
        }
        if let Some(until) = self.held_until {
            write!(f, "; held until {}", Timestamp::from(until))?;
        }
        if let Some(error) = &self.last_error {
            write!(f, "; last error: {error}")?;
        }
        if let Some(error) = &self.store_error {
            write!(f, "; the store fails: {error}")?;
        }
        Ok(())
    }
}
