//! How the origins of a credential take its tokens: which were taken anywhere, and where one after the other was refused.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::token::Generation;

/// What follows from a 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The token is suspect.
    Suspect,
    /// The token had been replaced before the answer came.
    Late,
    /// The breaker of this origin is open, or is opened by this: the one renewal that a refusal is worth has not helped.
    Open { now: bool },
    /// Nothing speaks for the token having been good: an API that is set up wrongly says the same.
    NeverWorked,
}

/// How many things are remembered as told.
const REMEMBERED: usize = 64;

/// What was told already, so that a storm of like answers is told of once. What is forgotten is told again.
#[derive(Default)]
pub(crate) struct Told(Mutex<VecDeque<u64>>);

impl Told {
    /// Whether this was not told yet; it is from now on.
    pub(crate) fn is_news(&self, what: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let what = hasher.finish();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.contains(&what) {
            return false;
        }
        if told.len() == REMEMBERED {
            told.pop_front();
        }
        told.push_back(what);
        true
    }
}

/// What is kept of the answers to a credential's requests, for all clones.
pub(crate) struct Standing {
    /// The last generation that was taken anywhere. Like `troubled` it guards no other memory, and is read for each answer: what is
    /// read too late costs one look at `origins`.
    worked: AtomicU64,
    /// Which of the origins have something that a success puts right, in bits: the 65th shares one with the first.
    troubled: AtomicU64,
    pub(crate) told: Told,
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

fn bit(origin: usize) -> u64 {
    1 << (origin % 64)
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            worked: AtomicU64::new(Generation::NONE.get()),
            troubled: AtomicU64::new(0),
            told: Told::default(),
            origins: Mutex::default(),
        }
    }

    /// Whether a success of this origin with this token is no news. What another origin refuses costs this one no lock.
    #[inline]
    pub(crate) fn is_settled(&self, origin: usize, generation: Generation) -> bool {
        self.worked.load(Ordering::Relaxed) >= generation.get()
            && self.troubled.load(Ordering::Relaxed) & bit(origin) == 0
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
        self.note_troubled(&origins);
        was_open
    }

    /// Under the lock, so that the last one to write has seen all.
    fn note_troubled(&self, places: &[Place]) {
        let troubled = places.iter().enumerate().filter(|(_, place)| place.refused.is_some());
        let bits = troubled.fold(0, |bits, (origin, _)| bits | bit(origin));
        self.troubled.store(bits, Ordering::Relaxed);
    }

    /// An origin (its number, of so many) answered 401 to the token of this generation, when `current` was in use, which came of a
    /// refusal or not; `certain` if the API says that the token is what is wrong.
    pub(crate) fn refused(
        &self,
        (origin, origins): (usize, usize),
        generation: Generation,
        (current, of_refusal): (Generation, bool),
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
            Some(before) if before < generation && of_refusal => {
                *place = Place { refused: Some(generation), open: true };
                Verdict::Open { now: true }
            }
            // A newer token was put to use and refused a moment ago.
            Some(before) if before > generation => Verdict::Late,
            None if !certain => Verdict::NeverWorked,
            // What was refused long ago, or could not be replaced, says nothing of another token.
            _ => {
                place.refused = Some(generation);
                self.note_troubled(&places);
                Verdict::Suspect
            }
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
        assert_eq!(standing.refused((0, 2), one, (one, true), false), Verdict::NeverWorked);
        assert_eq!(standing.refused((0, 2), one, (one, true), true), Verdict::Suspect);
        let standing = Standing::new();
        assert!(!standing.accepted(1, one));
        assert_eq!(standing.refused((0, 2), one, (one, true), false), Verdict::Suspect);
        assert_eq!(standing.refused((0, 2), one, (one, true), false), Verdict::Suspect);
    }

    #[test]
    fn a_second_token_refused_opens_the_breaker_of_that_origin_until_one_is_taken() {
        let [one, two, three, _] = generations();
        let standing = Standing::new();
        standing.accepted(1, one);
        assert!(standing.is_settled(0, one) && standing.is_settled(1, one));
        assert_eq!(standing.refused((0, 2), one, (one, true), false), Verdict::Suspect);
        assert_eq!(standing.refused((0, 2), one, (two, true), true), Verdict::Late);
        assert_eq!(standing.refused((0, 2), two, (two, true), true), Verdict::Open { now: true });
        assert_eq!(
            standing.refused((0, 2), three, (three, true), true),
            Verdict::Open { now: false }
        );
        // The other origin is none the worse for it.
        assert_eq!(standing.refused((1, 2), three, (three, true), true), Verdict::Suspect);
        assert!(!standing.accepted(1, three));
        assert!(!standing.is_settled(0, three), "the breaker is still open");
        assert!(standing.is_settled(1, three), "which is nothing to the other origin");
        assert!(!standing.accepted(0, one), "an answer to an older token");
        assert!(standing.accepted(0, three));
        assert!(standing.is_settled(0, three));
        assert_eq!(standing.refused((0, 2), three, (three, true), false), Verdict::Suspect);
    }

    #[test]
    fn a_token_taken_after_all_is_one_that_was_never_refused() {
        let [one, two, ..] = generations();
        let standing = Standing::new();
        standing.accepted(0, one);
        assert_eq!(standing.refused((0, 2), one, (one, true), false), Verdict::Suspect);
        assert!(!standing.accepted(0, one), "there was no breaker to close");
        assert_eq!(standing.refused((0, 2), two, (two, true), true), Verdict::Suspect);
    }

    #[test]
    fn a_token_that_came_of_no_refusal_is_suspected_anew_however_old_the_last_refusal_is() {
        let [one, two, three, _] = generations();
        let standing = Standing::new();
        let refused = |generation, of_refusal| {
            standing.refused((0, 1), generation, (generation, of_refusal), true)
        };
        assert_eq!(refused(one, false), Verdict::Suspect);
        assert_eq!(refused(two, false), Verdict::Suspect);
        assert_eq!(refused(two, false), Verdict::Suspect);
        assert_eq!(refused(three, true), Verdict::Open { now: true });
        let standing = Standing::new();
        standing.refused((0, 1), two, (two, false), true);
        assert_eq!(standing.refused((0, 1), one, (one, false), true), Verdict::Late);
    }

    #[test]
    fn what_is_told_is_remembered_for_a_while() {
        let told = Told::default();
        assert!(told.is_news("a") && !told.is_news("a"));
        assert!((0..REMEMBERED).all(|number| told.is_news(number)));
        assert!(told.is_news("a"));
    }
}
