//! What the issuer says is left of its quota. It lowers what is left here, and never raises it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spend::{SKEW, millis};
use super::window::default_reserve;
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
    /// Until when it stands, if it still does: by the smaller of what both clocks say has passed, or by the one that was not
    /// set back. What another boot dated far into the future was dated by a wrong clock, and stands no more.
    pub(super) fn ends(&self, now: Now) -> Option<Timestamp> {
        let wall = now.wall.as_millis().saturating_sub(self.said.as_millis());
        let passed = match now.boot.since(self.boot) {
            Some(boot) if wall < 0 => millis(boot),
            Some(boot) => wall.min(millis(boot)),
            None if wall < -millis(SKEW) => return None,
            None => wall.max(0),
        };
        let passed = Duration::from_millis(passed.unsigned_abs());
        let left = Duration::from_millis(self.lasts_ms).saturating_sub(passed);
        (!left.is_zero()).then(|| now.wall + left)
    }

    /// How many units of it are held back from renewals ahead of time: the default share of a limit.
    pub(super) fn reserve(&self) -> u32 {
        self.limit.map_or(0, default_reserve)
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

    /// The request whose answer had the last word on this bucket.
    pub(super) fn after(&self, name: &str) -> Option<FlightId> {
        self.0.iter().find(|word| word.name == name).map(|word| word.after)
    }

    /// Takes an answer's word, which came at `now`, for the request `after` that was decided at `decided`. If that was not
    /// decided later than the one whose word is known, the lower of the two stands.
    pub(super) fn take(
        &mut self,
        bucket: &Bucket,
        after: FlightId,
        decided: Timestamp,
        is_later: bool,
        longest: Duration,
        now: Now,
    ) {
        self.0.retain(|word| word.ends(now).is_some());
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
        match self.0.iter_mut().find(|known| known.name == bucket.name) {
            Some(known) if is_later => *known = word,
            Some(known) => known.left = known.left.min(word.left),
            None => self.0.push(word),
        }
        if self.0.len() > KEPT {
            let most = self.0.iter().enumerate().max_by_key(|(_, word)| word.left);
            if let Some((most, _)) = most {
                self.0.remove(most);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Word> {
        self.0.iter()
    }
}
