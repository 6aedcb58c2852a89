//! What the issuer says is left of its quota. It lowers what is left here, and never raises it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spend::millis;
use crate::clock::{BootTime, Now, Timestamp};
use crate::id::FlightId;

/// No word of an issuer's is believed for longer, unless a window is longer.
pub(crate) const LONGEST_WORD: Duration = Duration::from_secs(25 * 60 * 60);

/// More buckets than these are nobody's.
const KEPT: usize = 8;

/// What an answer says besides its token or its error.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Said {
    /// When the issuer's clock says that it answered.
    pub(crate) date: Option<Timestamp>,
    pub(crate) buckets: Vec<Bucket>,
}

/// One of the issuer's own counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The issuer's name for it, of a few plain characters; empty if it has none.
    pub(crate) name: String,
    /// How many requests it allows, if it says so.
    pub(crate) limit: Option<u32>,
    pub(crate) left: u32,
    /// When it counts anew.
    pub(crate) resets_in: Duration,
}

/// A bucket as it stood in an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Word {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<u32>,
    pub(super) left: u32,
    /// The request whose answer it was: those that were decided later may not be counted in it.
    pub(super) after: FlightId,
    /// When it was decided.
    pub(super) decided: Timestamp,
    said: Timestamp,
    boot: BootTime,
    lasts_ms: u64,
}

impl Word {
    /// Until when it stands, if it still does. By the smaller of what both clocks say has passed.
    pub(super) fn ends(&self, now: Now) -> Option<Timestamp> {
        let wall = now.wall.as_millis().saturating_sub(self.said.as_millis()).max(0);
        let passed = now.boot.since(self.boot).map_or(wall, |boot| wall.min(millis(boot)));
        let passed = Duration::from_millis(passed.unsigned_abs());
        let left = Duration::from_millis(self.lasts_ms).saturating_sub(passed);
        (!left.is_zero()).then(|| now.wall + left)
    }

    /// How many units of it are held back from renewals ahead of time: the default share of a limit.
    pub(super) fn reserve(&self) -> u32 {
        self.limit.map_or(0, |limit| limit / 10 * 3 + limit % 10 * 3 / 10)
    }
}

/// The last word on each bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Words(Vec<Word>);

impl Words {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes an answer's word, which came at `now`, for the request `after` that was decided at `decided`. The word on a later
    /// request stands.
    pub(super) fn take(
        &mut self,
        bucket: &Bucket,
        after: FlightId,
        decided: Timestamp,
        longest: Duration,
        now: Now,
    ) {
        self.0.retain(|word| word.ends(now).is_some());
        let known = self.0.iter().position(|word| word.name == bucket.name);
        if known.is_some_and(|known| self.0[known].decided > decided) {
            return;
        }
        let lasts = bucket.resets_in.min(longest.max(LONGEST_WORD));
        let word = Word {
            name: bucket.name.clone(),
            limit: bucket.limit,
            left: bucket.left,
            after,
            decided,
            said: now.wall,
            boot: now.boot,
            lasts_ms: u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX),
        };
        match known {
            Some(known) => self.0[known] = word,
            None if self.0.len() < KEPT => self.0.push(word),
            None => {}
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Word> {
        self.0.iter()
    }
}
