//! A clock that can be wrong.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::Clock;

/// The issuer's clock, and how wrong it is, which an [`Event`](crate::Event) sets.
///
/// As a [`Clock`] it is the wrong one, of tokens and of `Date`. The quota and the script go by the right one.
pub(crate) struct SkewedClock {
    right: Arc<dyn Clock>,
    skew: Mutex<Skew>,
}

/// How wrong a clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skew {
    Ahead(Duration),
    Behind(Duration),
}

impl SkewedClock {
    pub(crate) fn new(right: Arc<dyn Clock>) -> Self {
        Self { right, skew: Mutex::new(Skew::Ahead(Duration::ZERO)) }
    }

    /// The time without the skew.
    pub(crate) fn right(&self) -> SystemTime {
        self.right.now()
    }

    /// The earlier of the two: what is over by it is over by the other one too.
    pub(crate) fn earlier(&self) -> SystemTime {
        self.right().min(self.now())
    }

    pub(crate) fn set(&self, skew: Skew) {
        *self.skew() = skew;
    }

    fn skew(&self) -> MutexGuard<'_, Skew> {
        self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> SystemTime {
        let (right, skew) = (self.right.now(), *self.skew());
        // Beyond the years of the machine it stays right; before 1970 there are no dates.
        match skew {
            Skew::Ahead(by) => right.checked_add(by).unwrap_or(right),
            Skew::Behind(by) => right.checked_sub(by).unwrap_or(UNIX_EPOCH),
        }
    }
}

impl fmt::Debug for SkewedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkewedClock")
            .field("right", &self.right())
            .field("skew", &*self.skew())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_clock_is_as_wrong_as_it_was_last_set() {
        let right = ManualClock::at(UNIX_EPOCH + Duration::from_secs(100));
        let clock = SkewedClock::new(Arc::new(right.clone()));
        assert_eq!(clock.now(), right.now());
        clock.set(Skew::Ahead(Duration::from_secs(30)));
        clock.set(Skew::Behind(Duration::from_secs(30)));
        right.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(71));
        assert_eq!(clock.right(), UNIX_EPOCH + Duration::from_secs(101));
        assert_eq!(clock.earlier(), clock.now());
        clock.set(Skew::Ahead(Duration::from_secs(30)));
        assert_eq!(clock.earlier(), clock.right());
        clock.set(Skew::Behind(Duration::MAX));
        assert_eq!(clock.now(), UNIX_EPOCH);
        clock.set(Skew::Ahead(Duration::MAX));
        assert_eq!(clock.now(), right.now());
    }
}
