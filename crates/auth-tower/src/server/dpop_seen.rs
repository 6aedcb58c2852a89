//! Which proofs have been used: each counts once (RFC 9449 §11.1).
//!
//! A proof is remembered for as long as it could be used again. What is forgotten afterwards leaves a mark: the latest time
//! at which any of it could have been used. No proof that ends before the mark is taken any more, so a clock that is set
//! back brings none of them to life again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// Requests rarely meet at a lock.
const SHARDS: usize = 64;

/// A million proofs in a minute's window are some 17,000 requests a second, and take 50 MB when they are there.
const DEFAULT_CAPACITY: usize = 1 << 20;

/// In seconds: how often what has ended is swept out. Memory is the only thing that depends on it.
const SWEEP_EVERY: i64 = 60;

/// In seconds. What has just ended is kept for a little longer, so that the mark stays behind requests that have read the
/// clock a moment earlier.
const GRACE: i64 = 5;

/// The proofs that have been used in this process, in bounded memory.
///
/// It is full when so many are under way that could all be used again. Then new ones are refused, since to forget one would be to let
/// it in twice: whoever can make that many is a client with a token that is good.
pub(crate) struct DpopSeen {
    shards: Box<[Mutex<Shard>]>,
    capacity: usize,
}

struct Shard {
    /// The time at which each one ends.
    ends: HashMap<[u8; 16], i64>,
    swept: i64,
    /// The latest end of one that has been forgotten.
    mark: i64,
}

/// Why a proof does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFresh {
    /// It has been used, or may have been.
    Replayed,
    /// There is no room to remember it.
    Full,
}

impl DpopSeen {
    /// With room for a million.
    pub(crate) fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// With room for about so many. They are spread evenly, and each share has its own bound.
    pub(crate) fn with_capacity(proofs: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect();
        Self { shards, capacity: proofs.div_ceil(SHARDS) }
    }

    /// How many, at least.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity.saturating_mul(SHARDS)
    }

    /// Uses the proof with this `jti` by the key with this thumbprint. Nobody accepts it after `end`; all times are in Unix
    /// seconds.
    ///
    /// # Errors
    ///
    /// When it has been used before, or cannot be remembered.
    pub(crate) fn enter(&self, jkt: &str, jti: &str, end: i64, now: i64) -> Result<(), NotFresh> {
        // The length keeps two pairs apart whose texts are the same one after the other.
        let length = (jkt.len() as u64).to_be_bytes();
        let hash =
            Sha256::new().chain_update(length).chain_update(jkt).chain_update(jti).finalize();
        let mut name = [0; 16];
        name.copy_from_slice(&hash[..16]);
        let shard = &self.shards[usize::from(hash[16]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).enter(name, end, now, self.capacity)
    }
}

impl Shard {
    fn new() -> Self {
        Self { ends: HashMap::new(), swept: i64::MIN, mark: i64::MIN }
    }

    fn enter(
        &mut self,
        name: [u8; 16],
        end: i64,
        now: i64,
        capacity: usize,
    ) -> Result<(), NotFresh> {
        let since = now.saturating_sub(self.swept);
        // It is due at once when the clock has been set back, which would put it off for as long otherwise.
        let is_due = !(0..SWEEP_EVERY).contains(&since);
        if is_due || (since > 0 && self.ends.len() >= capacity) {
            self.sweep(now);
        }
        if end <= self.mark {
            return Err(NotFresh::Replayed);
        }
        let is_full = self.ends.len() >= capacity;
        match self.ends.entry(name) {
            Entry::Occupied(_) => Err(NotFresh::Replayed),
            Entry::Vacant(_) if is_full => Err(NotFresh::Full),
            Entry::Vacant(entry) => {
                entry.insert(end);
                Ok(())
            }
        }
    }

    fn sweep(&mut self, now: i64) {
        let (over, mut mark) = (now.saturating_sub(GRACE), self.mark);
        self.ends.retain(|_, end| {
            let stays = *end >= over;
            if !stays {
                mark = mark.max(*end);
            }
            stays
        });
        self.mark = mark;
        self.swept = now;
        // What a flood has left goes back.
        if self.ends.capacity() > 4 * self.ends.len() {
            self.ends.shrink_to(2 * self.ends.len());
        }
    }
}

impl Default for DpopSeen {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DpopSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopSeen").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl fmt::Display for NotFresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replayed => "the proof has been used before",
            Self::Full => "too many proofs to remember at present",
        })
    }
}

impl StdError for NotFresh {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn count(seen: &DpopSeen) -> usize {
        seen.shards.iter().map(|shard| shard.lock().unwrap().ends.len()).sum()
    }

    #[test]
    fn a_proof_counts_once_and_another_key_or_jti_is_another_proof() {
        let seen = DpopSeen::new();
        assert_eq!(seen.enter("ab", "c", 160, 100), Ok(()));
        assert_eq!(seen.enter("ab", "c", 160, 100), Err(NotFresh::Replayed));
        assert_eq!(seen.enter("ab", "c", 160, 160), Err(NotFresh::Replayed));
        assert_eq!(seen.enter("a", "bc", 160, 100), Ok(()));
        assert_eq!(seen.enter("ab", "d", 160, 100), Ok(()));
    }

    #[test]
    fn what_has_ended_takes_no_memory() {
        let seen = DpopSeen::with_capacity(6400);
        for now in 0..2000 {
            for number in 0..5 {
                assert_eq!(seen.enter("key", &format!("{now}-{number}"), now + 60, now), Ok(()));
            }
        }
        assert!(count(&seen) <= 5 * usize::try_from(60 + GRACE + 2 * SWEEP_EVERY).unwrap());
    }

    #[test]
    fn a_full_memory_refuses_new_ones_and_knows_the_old_ones() {
        let seen = DpopSeen::with_capacity(64);
        let jtis: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        let entered: Vec<_> = jtis.iter().map(|jti| seen.enter("key", jti, 160, 100)).collect();
        assert_eq!(count(&seen), 64);
        for (jti, entered) in jtis.iter().zip(entered) {
            let again = seen.enter("key", jti, 160, 101);
            assert_eq!(
                again,
                if entered.is_ok() { Err(NotFresh::Replayed) } else { Err(NotFresh::Full) }
            );
        }
        // When they have ended there is room at once.
        assert!(jtis.iter().filter(|jti| seen.enter("key", jti, 300, 240).is_ok()).count() >= 64);
    }

    #[test]
    fn a_clock_that_is_set_forth_and_back_brings_no_proof_to_life_again() {
        let mut shard = Shard::new();
        let mut enter = |name, end, now| shard.enter([name; 16], end, now, 64);
        assert_eq!(enter(1, 160, 100), Ok(()));
        // Here the first is forgotten.
        assert_eq!(enter(2, 3760, 3700), Ok(()));
        assert_eq!(enter(1, 160, 101), Err(NotFresh::Replayed));
        // So is every other one that might have been among the forgotten, and none that is later.
        assert_eq!(enter(3, 159, 101), Err(NotFresh::Replayed));
        assert_eq!(enter(4, 161, 101), Ok(()));
        assert_eq!(enter(2, 3760, 3700), Err(NotFresh::Replayed));
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_no_room_from_those_that_come_after() {
        let mut shard = Shard::new();
        let mut enter = |name, end, now| shard.enter([name; 16], end, now, 2);
        assert_eq!(enter(1, 5060, 5000), Ok(()));
        assert_eq!(enter(2, 160, 100), Ok(()));
        assert_eq!(enter(3, 160, 100), Err(NotFresh::Full));
        assert_eq!(enter(3, 360, 300), Ok(()));
    }

    #[test]
    fn of_many_threads_with_one_proof_one_gets_in() {
        let seen = DpopSeen::new();
        let entered: usize = std::thread::scope(|scope| {
            let enter = || usize::from(seen.enter("key", "jti", 160, 100).is_ok());
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(enter)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(entered, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

        /// Each proof has its `iat`, and is shown at all sorts of times, as a clock that is set forth and back tells them.
        #[test]
        fn no_proof_counts_twice_whatever_the_clock_does(
            iats in vec(-200_i64..200, 1..6),
            shown in vec((0_usize..6, prop_oneof![9 => -300_i64..300, 1 => Just(i64::MAX), 1 => Just(i64::MIN)]), 0..200),
            capacity in 1_usize..8,
        ) {
            // In one shard, where they can push each other out.
            let mut shard = Shard::new();
            let mut entered = HashSet::new();
            for (which, now) in shown {
                let which = which % iats.len();
                let (name, iat) = ([u8::try_from(which).unwrap(); 16], iats[which]);
                // What the verifier lets through.
                if now.abs_diff(iat) <= 60 {
                    let is_entered = shard.enter(name, iat + 60, now, capacity).is_ok();
                    prop_assert!(!is_entered || entered.insert(which), "{which} twice");
                } else {
                    let _ = shard.enter([255; 16], now.saturating_add(60), now, capacity);
                }
                prop_assert!(shard.ends.len() <= capacity);
            }
        }

        #[test]
        fn every_first_proof_counts_while_the_clock_goes_on(steps in vec((0_i64..90, -60_i64..=60), 0..300)) {
            let seen = DpopSeen::new();
            let mut now = 0;
            for (number, (step, skew)) in steps.into_iter().enumerate() {
                now += step;
                let end = now + skew + 60;
                prop_assert_eq!(seen.enter("key", &number.to_string(), end, now), Ok(()));
                prop_assert_eq!(seen.enter("key", &number.to_string(), end, now), Err(NotFresh::Replayed));
            }
        }
    }

    #[test]
    fn a_request_that_has_read_the_clock_a_moment_before_a_sweep_is_no_replay() {
        let mut shard = Shard::new();
        let mut enter = |name, end, now| shard.enter([name; 16], end, now, 64);
        assert_eq!(enter(1, 160, 100), Ok(()));
        // Here it is swept; and the next has an older time in its hand.
        assert_eq!(enter(2, 224, 164), Ok(()));
        assert_eq!(enter(3, 160, 160), Ok(()));
        assert_eq!(enter(1, 160, 160), Err(NotFresh::Replayed));
    }

    #[test]
    fn what_has_ended_makes_room_before_the_next_sweep_is_due() {
        let mut shard = Shard::new();
        let mut enter = |name, end, now| shard.enter([name; 16], end, now, 1);
        assert_eq!(enter(1, 110, 100), Ok(()));
        assert_eq!(enter(2, 126, 116), Ok(()));
    }
}
