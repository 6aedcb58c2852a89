//! Which `jti` was used before: a memory that is bounded and never forgets one that would still be accepted.

use std::collections::{BTreeSet, HashSet};

use aws_lc_rs::digest::{SHA256, digest};

/// The `jti`s of things that expire (RFC 7519 §4.1.7).
///
/// At its bound it forgets the one that expires first, and from then on takes nothing that expires no later than that:
/// what is forgotten cannot come back. A flood thus shortens the time for which something may be used, instead of
/// growing the memory or letting a replay through. It asks no clock, so one that is set back opens nothing.
#[derive(Debug)]
pub(crate) struct Replays {
    most: usize,
    seen: HashSet<Digest>,
    by_expiry: BTreeSet<(u64, Digest)>,
    /// What expires then or earlier may have been seen and forgotten.
    forgotten: Option<u64>,
}

/// Of one length, whatever the `jti`'s is.
type Digest = [u8; 32];

impl Replays {
    /// A memory of `most` of them, of which there must be at least one.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, seen: HashSet::new(), by_expiry: BTreeSet::new(), forgotten: None }
    }

    /// Whether `jti` of `owner` is used for the first time; `expires_at` is when it would not be accepted any more.
    pub(crate) fn is_first(&mut self, owner: &str, jti: &str, expires_at: u64) -> bool {
        if self.forgotten.is_some_and(|forgotten| expires_at <= forgotten) {
            return false;
        }
        let digest = identity(owner, jti);
        if !self.seen.insert(digest) {
            return false;
        }
        self.by_expiry.insert((expires_at, digest));
        if self.seen.len() > self.most
            && let Some((expired_at, digest)) = self.by_expiry.pop_first()
        {
            self.seen.remove(&digest);
            self.forgotten = self.forgotten.max(Some(expired_at));
        }
        true
    }
}

/// The length goes first, so that no other pair has the same text.
fn identity(owner: &str, jti: &str) -> Digest {
    let mut bytes = [0; 32];
    let text = format!("{}:{owner}{jti}", owner.len());
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_jti_is_its_owners_and_used_once_whenever_it_expires() {
        let mut replays = Replays::new(10);
        assert!(replays.is_first("a", "bc", 5));
        assert!(!replays.is_first("a", "bc", 5));
        assert!(!replays.is_first("a", "bc", 6));
        assert!(replays.is_first("ab", "c", 5));
        assert!(replays.is_first("a", "b", 5));
    }

    proptest! {
        #[test]
        fn nothing_is_taken_twice_and_the_memory_is_bounded(
            most in 1_usize..6,
            uses in prop::collection::vec((0_u8..12, 0_u64..20), 1..200),
        ) {
            let mut replays = Replays::new(most);
            let mut taken = HashSet::new();
            for (jti, expires_at) in uses {
                if replays.is_first("owner", &jti.to_string(), expires_at) {
                    prop_assert!(taken.insert((jti, expires_at)));
                }
                prop_assert!(replays.seen.len() <= most);
                prop_assert_eq!(replays.seen.len(), replays.by_expiry.len());
            }
        }

        #[test]
        fn what_expires_later_than_all_others_is_taken(most in 1_usize..6, count in 1_u64..100) {
            let mut replays = Replays::new(most);
            for time in 0..count {
                prop_assert!(replays.is_first("owner", &time.to_string(), time));
            }
        }
    }
}
