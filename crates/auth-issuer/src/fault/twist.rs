//! What a fault does to the token of an answer that is otherwise the normal one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What befalls the token that a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    /// Its `iat` and `exp` are by a clock that is ahead by this much.
    ClockAhead(Duration),
    ClockBehind(Duration),
    /// It is revoked so long after it was issued.
    Revoked(Duration),
    /// It is the first that a new key signs.
    NewKey,
}

impl Twist {
    /// What the token takes for the time.
    pub(crate) fn time(self, now: SystemTime) -> SystemTime {
        match self {
            // As with a clock that is wrong for all: beyond the years of the machine it stays right.
            Self::ClockAhead(by) => now.checked_add(by).unwrap_or(now),
            Self::ClockBehind(by) => now.checked_sub(by).unwrap_or(UNIX_EPOCH),
            Self::Revoked(_) | Self::NewKey => now,
        }
    }
}
