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
    /// When the next token can be had at the earliest, if the quota allows none now: by the strictest window, or by what the
    /// issuer says is left.
    pub exhausted_until: Option<SystemTime>,
    /// How many token requests the issuer said are left, less those since; `None` if it does not say.
    pub left_by_issuer: Option<u32>,
    /// When the issuer last refused, or counted more than is known here, although units were left: somebody else spends with
    /// this client id, or its quota is smaller than the one that was set.
    pub spent_elsewhere: Option<SystemTime>,
    /// The arithmetic, if the quota cannot keep tokens of the present one's lifetime coming.
    pub shortfall: Option<String>,
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
    /// Whether it lives until another can be had, as far as the quota goes.
    pub outlives_reset: bool,
}

/// One window of the quota.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WindowStatus {
    /// The rule.
    pub window: Window,
    /// Token requests in it.
    pub spent: u32,
    /// Token requests left in it, for a caller without a token.
    pub left: u32,
    /// How many of those are open to renewals ahead of time, which leave the reserve.
    pub left_for_renewals: u32,
    /// How many of those may answer a refusal.
    pub left_for_refusals: u32,
    /// When it will have more left than now; `None` if none is spent.
    pub next_slot: Option<SystemTime>,
}

impl WindowStatus {
    pub(crate) fn of(usage: &WindowUsage) -> Self {
        Self {
            window: usage.window.clone(),
            spent: usage.spent,
            left: usage.left,
            left_for_renewals: usage.left_proactive,
            left_for_refusals: usage.left_refused,
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
        if let Some(left) = self.left_by_issuer {
            write!(f, "; {left} left by the issuer's word")?;
        }
        if let Some(until) = self.exhausted_until {
            write!(f, "; none to be had before {}", Timestamp::from(until))?;
        }
        if self.token.is_some_and(|token| !token.outlives_reset) {
            f.write_str(", and the token does not live until then")?;
        }
        if let Some(at) = self.spent_elsewhere {
            let at = Timestamp::from(at);
            write!(
                f,
                "; at {at} the issuer had counted more than is known here: somebody else spends, or its quota is smaller"
            )?;
        }
        if let Some(shortfall) = &self.shortfall {
            write!(f, "; {shortfall}")?;
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
