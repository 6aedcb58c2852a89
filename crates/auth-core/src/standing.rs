//! How the origins of a credential take its tokens: which were taken anywhere, and where one after the other was refused.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::token::Generation;

/// What follows from a 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The token is suspect; whether this is the first that this origin says of it.
    Suspect { first: bool },
    /// The token had been replaced before the answer came.
    Late,
    /// The breaker of this origin is open, or is opened by this: the one renewal that a refusal is worth has not helped.
    Open { now: bool },
    /// Nothing speaks for the token having been good: an API that is set up wrongly says the same.
    NeverWorked,
}

/// What is kept of the answers to a credential's requests, for all clones.
pub(crate) struct Standing {
    /// The last generation that was taken anywhere. Like `troubled` it guards no other memory, and is read for each answer: what is
    /// read too late costs one look at `origins`.
    worked: AtomicU64,
    /// How many of the origins have something that a success puts right.
    troubled: AtomicUsize,
    /// Of all of them, or of none before the first was refused something.
    origins: Mutex<Box<[Place]>>,
}

/// One origin.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The last generation that it refused, if none has been taken since.
    refused: Option<Generation>,
    open: bool,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            worked: AtomicU64::new(Generation::NONE.get()),
            troubled: AtomicUsize::new(0),
            origins: Mutex::default(),
        }
    }

    /// Whether a success with this token is no news.
    #[inline]
    pub(crate) fn is_settled(&self, generation: Generation) -> bool {
        self.worked.load(Ordering::Relaxed) >= generation.get()
            && self.troubled.load(Ordering::Relaxed) == 0
    }

    /// The token is taken for one that has worked.
    pub(crate) fn trust(&self, generation: Generation) {
        self.worked.fetch_max(generation.get(), Ordering::Relaxed);
    }

    /// An origin took the token; whether that closes its breaker.
    #[cold]
    pub(crate) fn accepted(&self, origin: usize, generation: Generation) -> bool {
        self.trust(generation);
        let mut origins = self.lock();
        let Some(place) = origins.get_mut(origin) else { return false };
        // A late success with a token from before says nothing.
        let closes = place.refused.is_some_and(|refused| refused <= generation);
        if !closes {
            return false;
        }
        let was_open = std::mem::take(place).open;
        self.troubled.fetch_sub(1, Ordering::Relaxed);
        was_open
    }

    /// An origin (its number, of so many) answered 401 to the token of this generation, when `current` was in use; `certain` if the token is known to have
    /// been good, or the API says what is wrong with it.
    pub(crate) fn refused(
        &self,
        (origin, origins): (usize, usize),
        generation: Generation,
        current: Generation,
        certain: bool,
    ) -> Verdict {
        if generation < current {
            return Verdict::Late;
        }
        let certain = certain || self.worked.load(Ordering::Relaxed) >= generation.get();
        let mut places = self.lock();
        if places.len() != origins {
            *places = vec![Place::default(); origins].into();
        }
        let Some(place) = places.get_mut(origin) else { return Verdict::NeverWorked };
        if place.open {
            return Verdict::Open { now: false };
        }
        match place.refused {
            Some(before) if before < generation => {
                *place = Place { refused: Some(generation), open: true };
                Verdict::Open { now: true }
            }
            Some(_) => Verdict::Suspect { first: false },
            None if certain => {
                place.refused = Some(generation);
                self.troubled.fetch_add(1, Ordering::Relaxed);
                Verdict::Suspect { first: true }
            }
            None => Verdict::NeverWorked,
        }
    }

    // Every change under this lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, Box<[Place]>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generations() -> [Generation; 4] {
        let mut next = Generation::NONE;
        std::array::from_fn(|_| {
            next = next.next();
            next
        })
    }

    #[test]
    fn a_token_that_never_worked_is_suspected_by_name_alone() {
        let [one, ..] = generations();
        let standing = Standing::new();
        assert_eq!(standing.refused((0, 2), one, one, false), Verdict::NeverWorked);
        assert_eq!(standing.refused((0, 2), one, one, true), Verdict::Suspect { first: true });
        let standing = Standing::new();
        assert!(!standing.accepted(1, one));
        assert_eq!(standing.refused((0, 2), one, one, false), Verdict::Suspect { first: true });
        assert_eq!(standing.refused((0, 2), one, one, false), Verdict::Suspect { first: false });
    }

    #[test]
    fn a_second_token_refused_opens_the_breaker_of_that_origin_until_one_is_taken() {
        let [one, two, three, _] = generations();
        let standing = Standing::new();
        standing.accepted(1, one);
        assert!(standing.is_settled(one));
        assert_eq!(standing.refused((0, 2), one, one, false), Verdict::Suspect { first: true });
        assert_eq!(standing.refused((0, 2), one, two, true), Verdict::Late);
        assert_eq!(standing.refused((0, 2), two, two, true), Verdict::Open { now: true });
        assert_eq!(standing.refused((0, 2), three, three, true), Verdict::Open { now: false });
        // The other origin is none the worse for it.
        assert_eq!(standing.refused((1, 2), three, three, true), Verdict::Suspect { first: true });
        assert!(!standing.accepted(1, three));
        assert!(!standing.is_settled(three), "the breaker is still open");
        assert!(!standing.accepted(0, one), "an answer to an older token");
        assert!(standing.accepted(0, three));
        assert!(standing.is_settled(three));
        assert_eq!(standing.refused((0, 2), three, three, false), Verdict::Suspect { first: true });
    }

    #[test]
    fn a_token_taken_after_all_is_one_that_was_never_refused() {
        let [one, two, ..] = generations();
        let standing = Standing::new();
        standing.accepted(0, one);
        assert_eq!(standing.refused((0, 2), one, one, false), Verdict::Suspect { first: true });
        assert!(!standing.accepted(0, one), "there was no breaker to close");
        assert_eq!(standing.refused((0, 2), two, two, true), Verdict::Suspect { first: true });
    }
}
