//! Tokens that have been verified, by their SHA-256.
//!
//! Flat over threads: each CPU has a stripe of its own, with entries and claims of its own, so that a read takes no lock and
//! writes to nothing that another CPU reads: not even a reference count. A token that moves to another CPU is verified there
//! once more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use auth_core::{Apart, PerCpu, Timestamp};
use subtle::ConstantTimeEq;

use super::claims::Claims;

/// How many entries are in one set. A read compares with at most so many, and a write copies the pointers of so many.
const WAYS: usize = 8;

/// The SHA-256 of a token. The text itself stays nowhere.
pub(crate) type Digest = [u8; 32];

/// Nothing but tokens that were found good; whether they still are is up to whoever asks.
pub(crate) struct Cache(Option<PerCpu<Apart<Stripe>>>);

struct Stripe {
    ways: usize,
    sets: Box<[ArcSwapOption<Set>]>,
}

/// Immutable, and replaced as a whole. Oldest first.
type Set = Vec<Arc<Apart<Entry>>>;

struct Entry {
    digest: Digest,
    generation: u64,
    claims: Claims,
    /// Since it was last passed over when room was made. A hint, which guards no other memory.
    used: AtomicBool,
}

impl Cache {
    /// For `capacity` tokens of each CPU; 0 is none at all. They are not shared out: a token is used on every CPU, and on a machine
    /// with many a share would be too small for those that are in use.
    pub(crate) fn new(capacity: usize) -> Self {
        Self((capacity > 0).then(|| {
            PerCpu::for_each_cpu(|_| {
                let ways = capacity.min(WAYS);
                let sets = std::iter::repeat_with(ArcSwapOption::empty).take(capacity / ways);
                Apart(Stripe { ways, sets: sets.collect() })
            })
        }))
    }

    /// What the token says, if it was verified here with the keys of `generation`.
    #[inline]
    pub(crate) fn get(&self, digest: &Digest, generation: u64) -> Option<Claims> {
        self.0.as_ref()?.get().0.get(digest, generation)
    }

    /// Remembers a token that was verified with the keys of `generation`.
    pub(crate) fn insert(&self, digest: Digest, generation: u64, claims: Claims, now: Timestamp) {
        if let Some(stripes) = &self.0 {
            stripes.get().0.insert(digest, generation, claims, now);
        }
    }
}

impl Stripe {
    fn set(&self, digest: &Digest) -> &ArcSwapOption<Set> {
        let index = usize::try_from(word(digest, 0) % self.sets.len() as u64).unwrap_or(0);
        &self.sets[index]
    }

    fn get(&self, digest: &Digest, generation: u64) -> Option<Claims> {
        let set = self.set(digest).load();
        let entry = set.as_ref()?.iter().find(|entry| entry.0.is(digest, generation))?;
        let used = &entry.0.used;
        // A write only once in a while: the line stays clean.
        if !used.load(Ordering::Relaxed) {
            used.store(true, Ordering::Relaxed);
        }
        Some(entry.0.claims.clone())
    }

    fn insert(&self, digest: Digest, generation: u64, claims: Claims, now: Timestamp) {
        let set = self.set(&digest);
        let old = set.load();
        let keeps = |entry: &&Arc<Apart<Entry>>| {
            let Entry { digest: other, generation: of, claims, .. } = &entry.0;
            *of == generation && *other != digest && claims.expires_at() > now
        };
        let mut entries = Vec::with_capacity(self.ways);
        entries.extend(old.iter().flat_map(|old| old.iter()).filter(keeps).cloned());
        if entries.len() >= self.ways {
            make_room(&mut entries);
        }
        let used = AtomicBool::new(false);
        entries.push(Arc::new(Apart(Entry { digest, generation, claims, used })));
        // If another was faster, this token is verified once more.
        set.compare_and_swap(&old, Some(Arc::new(entries)));
    }
}

/// Takes the oldest out that was not used; those that were go behind the others, and have to be used again.
fn make_room(entries: &mut Set) {
    let passed =
        entries.iter().take_while(|entry| entry.0.used.swap(false, Ordering::Relaxed)).count();
    let oldest = passed % entries.len();
    entries.rotate_left(oldest);
    entries.remove(0);
}

impl Entry {
    fn is(&self, digest: &Digest, generation: u64) -> bool {
        // A word of the hash first: whoever sends a token cannot choose it.
        self.generation == generation
            && word(&self.digest, 1) == word(digest, 1)
            && bool::from(self.digest.ct_eq(digest))
    }
}

fn word(digest: &Digest, index: usize) -> u64 {
    let bytes = digest.as_chunks::<8>().0[index];
    u64::from_le_bytes(bytes)
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cache").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn stripe(ways: usize, sets: usize) -> Stripe {
        Stripe { ways, sets: std::iter::repeat_with(ArcSwapOption::empty).take(sets).collect() }
    }

    fn claims(exp: i64) -> Claims {
        Claims::parse(format!(r#"{{"exp":{exp}}}"#).into_bytes()).unwrap()
    }

    fn digest(number: u32) -> Digest {
        Sha256::digest(number.to_be_bytes()).into()
    }

    fn len(stripe: &Stripe) -> usize {
        stripe.sets.iter().map(|set| set.load().as_ref().map_or(0, |set| set.len())).sum()
    }

    #[test]
    fn a_hundred_thousand_tokens_stay_within_the_bound_and_a_hot_one_stays() {
        for capacity in [1, 7, 64, 4096] {
            let cache = Cache::new(capacity);
            let (hot, claims) = (digest(u32::MAX), claims(2000));
            let stripes = cache.0.as_ref().unwrap();
            for number in 0..100_000 {
                cache.insert(digest(number), 1, claims.clone(), NOW);
            }
            assert!(stripes.iter().any(|stripe| len(&stripe.0) > 0));
            for stripe in stripes {
                assert!(len(&stripe.0) <= capacity, "{}/{capacity}", len(&stripe.0));
            }

            let stripe = stripe(WAYS, 4);
            stripe.insert(hot, 1, claims.clone(), NOW);
            for number in 0..1000 {
                assert!(stripe.get(&hot, 1).is_some(), "after {number} others");
                stripe.insert(digest(number), 1, claims.clone(), NOW);
            }
            assert_eq!(len(&stripe), 4 * WAYS);
        }
    }

    #[test]
    fn tokens_in_use_find_their_place_however_many_cpus_there_are() {
        let cache = Cache::new(1024);
        let stripe = &cache.0.as_ref().unwrap().iter().next().unwrap().0;
        let mut found = 0;
        for round in 0..10 {
            for number in 0..500 {
                match stripe.get(&digest(number), 1) {
                    Some(_) => found += u32::from(round > 0),
                    None => stripe.insert(digest(number), 1, claims(2000), NOW),
                }
            }
        }
        // Sets fill unevenly: the few that overflow do so with any hash.
        assert!(found > 4000, "{found} of 4500");
    }

    #[test]
    fn a_set_makes_room_even_if_all_of_it_is_hot() {
        let stripe = stripe(2, 1);
        for number in 0..10 {
            stripe.insert(digest(number), 1, claims(2000), NOW);
            assert!(stripe.get(&digest(number), 1).is_some());
        }
        assert_eq!(len(&stripe), 2);
    }

    #[test]
    fn other_keys_and_other_tokens_find_nothing() {
        let stripe = stripe(WAYS, 1);
        stripe.insert(digest(1), 1, claims(2000), NOW);
        assert!(stripe.get(&digest(1), 1).is_some());
        assert!(stripe.get(&digest(1), 2).is_none());
        assert!(stripe.get(&digest(2), 1).is_none());
        // What cannot be asked for any more makes room first.
        stripe.insert(digest(2), 2, claims(2000), NOW);
        stripe.insert(digest(3), 2, claims(2000), NOW + std::time::Duration::from_secs(1000));
        assert_eq!(len(&stripe), 1);
        stripe.insert(digest(3), 2, claims(2001), NOW);
        assert_eq!(len(&stripe), 1);
    }

    #[test]
    fn without_room_nothing_is_remembered() {
        let cache = Cache::new(0);
        cache.insert(digest(1), 1, claims(2000), NOW);
        assert!(cache.get(&digest(1), 1).is_none());
    }

    // Two threads of one CPU may write at a time, and readers never see anything but whole sets.
    #[test]
    fn threads_that_write_at_once_lose_at_most_an_entry() {
        let stripe = stripe(WAYS, 2);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let stripe = &stripe;
                scope.spawn(move || {
                    for number in 0..2000 {
                        let number = thread * 10_000 + number;
                        stripe.insert(digest(number), 1, claims(2000 + i64::from(number)), NOW);
                        if let Some(found) = stripe.get(&digest(number), 1) {
                            assert_eq!(
                                found.expires_at(),
                                Timestamp::from_secs(2000 + i64::from(number))
                            );
                        }
                    }
                });
            }
        });
        assert!(len(&stripe) > 0 && len(&stripe) <= 2 * WAYS);
    }
}
