//! Which tokens were revoked, by their numbers: pure.

use std::collections::HashMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::clock::unix_seconds;

/// From how many revocations on those are forgotten whose tokens have expired long ago, and how long that is, in seconds.
const MOST: usize = 10_000;
const DEAD_FOR: u64 = 7 * 24 * 60 * 60;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Revoked {
    /// All tokens with a smaller number are.
    below: u64,
    /// When the others expire, in Unix seconds.
    numbers: HashMap<u64, u64>,
}

impl Revoked {
    pub(crate) fn contains(&self, number: u64) -> bool {
        number < self.below || self.numbers.contains_key(&number)
    }

    pub(crate) fn insert(&mut self, number: u64, expires_at: u64) {
        self.numbers.insert(number, expires_at);
    }

    pub(crate) fn insert_below(&mut self, number: u64) {
        self.below = self.below.max(number);
        self.numbers.retain(|known, _| *known >= self.below);
    }

    /// Makes room, if there are many: tokens that are dead anyhow; not at once, since a test may set its clock back.
    pub(crate) fn forget_dead(&mut self, now: SystemTime) {
        if self.numbers.len() >= MOST {
            let dead = unix_seconds(now).saturating_sub(DEAD_FOR);
            self.numbers.retain(|_, expires_at| *expires_at > dead);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn of_many_those_are_forgotten_whose_tokens_died_a_week_ago_and_no_others() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let mut revoked = Revoked::default();
        let most = MOST as u64;
        for number in 0..most - 1 {
            // Every other one is alive still.
            revoked.insert(number, if number.is_multiple_of(2) { 1_000 } else { 2_000 });
        }
        revoked.forget_dead(at(1_000 + DEAD_FOR));
        assert!(revoked.contains(0), "there are not that many yet");
        revoked.insert(most, 1_001);
        revoked.forget_dead(at(999 + DEAD_FOR));
        assert!(revoked.contains(0), "its token died less than a week ago");
        revoked.forget_dead(at(1_000 + DEAD_FOR));
        for number in 0..most - 1 {
            assert_eq!(revoked.contains(number), !number.is_multiple_of(2), "{number}");
        }
        assert!(revoked.contains(most));
    }

    #[test]
    fn all_below_a_number_are_revoked_and_none_is_ever_valid_again() {
        let mut revoked = Revoked::default();
        revoked.insert(3, 1_000);
        revoked.insert(7, 1_000);
        revoked.insert_below(5);
        revoked.insert_below(4);
        let all: Vec<u64> = (0..10).filter(|number| revoked.contains(*number)).collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 7]);
        assert_eq!(revoked.numbers.len(), 1);
    }
}
