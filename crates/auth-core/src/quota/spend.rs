//! One token request in the ledger, several old ones merged into one entry, and when they happened by which clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{BootTime, Now, Timestamp};
use crate::failure::FailureKind;
use crate::fingerprint::Fingerprint;
use crate::id::FlightId;

/// Clocks that are no further apart than this are taken for equal.
pub(super) const SKEW: Duration = Duration::from_secs(60);

/// What time it is here, and by the issuer's clock, if an answer since the machine was booted had a date.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    pub(super) now: Now,
    pub(super) issuer: Option<Timestamp>,
}

/// Why a token is requested (RFC 6749 §4.4).
///
/// Only [`Expiring`](Self::Expiring) is proactive: a valid token is still there, so it leaves the reserve of every window to
/// the other causes. [`Refused`](Self::Refused) has a share of its own, so that APIs that answer 401 to everything do not eat
/// the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RenewalCause {
    /// There has been no token in this process yet.
    Start,
    /// The token is valid and grows old.
    Expiring,
    /// The token's time is over.
    Expired,
    /// The API answered 401 to the token (RFC 6750 §3.1).
    Refused,
    /// The secret changed.
    Rotated,
    /// The user asked.
    Manual,
}

impl RenewalCause {
    pub(crate) fn is_proactive(self) -> bool {
        self == Self::Expiring
    }

    /// Its word, in the log and in the record alike.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Rotated => "rotated",
            Self::Manual => "manual",
        }
    }
}

impl fmt::Display for RenewalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a spend came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Under way, or never reported.
    Pending,
    /// A token.
    Token,
    /// No token.
    Failed(FailureKind),
}

/// One token request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spend {
    pub(crate) id: FlightId,
    /// When it was decided, which is before a byte was sent.
    pub(crate) at: Timestamp,
    pub(crate) boot: BootTime,
    /// When it was decided by the issuer's clock, if that is more than a minute off this machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dated: Option<Timestamp>,
    pub(crate) cause: RenewalCause,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) outcome: Outcome,
}

impl Spend {
    /// A request that is decided now, before a byte of it is sent.
    pub(crate) fn new(
        id: FlightId,
        cause: RenewalCause,
        fingerprint: Fingerprint,
        now: Now,
    ) -> Self {
        let Now { wall: at, boot } = now;
        Self { id, at, boot, dated: None, cause, fingerprint, outcome: Outcome::Pending }
    }

    /// Whether nobody has said yet what it came to.
    pub(crate) fn is_unreported(&self) -> bool {
        matches!(self.outcome, Outcome::Pending | Outcome::Failed(FailureKind::Lost))
    }

    pub(crate) fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    /// Takes the issuer's word for when it was decided, if its answer, which came at `now`, is dated more than a minute
    /// before the decision or after the answer.
    pub(super) fn date(&mut self, date: Timestamp, now: Now) {
        let took = now.boot.since(self.boot).unwrap_or_default();
        // By the clock that dated the decision: the wall clock may have been set since.
        let agrees = date + SKEW >= self.at && date <= self.at + took + SKEW;
        self.dated = (!agrees).then(|| date - took);
    }

    /// What the time would be now if it was right when this one was decided, or answered, and if the machine was not booted
    /// since.
    pub(super) fn time_now(&self, now: Now) -> Option<Timestamp> {
        let passed = now.boot.since(self.boot)?;
        Some(self.dated.unwrap_or(self.at) + passed)
    }

    /// As the windows see it.
    pub(super) fn entry(&self) -> Entry {
        let refused = u32::from(self.cause == RenewalCause::Refused);
        let dated = self.dated.map(|dated| (dated, dated));
        Entry { first: self.at, last: self.at, boot: self.boot, dated, count: 1, refused }
    }
}

/// Token requests of some stretch of time: one, or several that were merged, which then all count as the last of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    first: Timestamp,
    last: Timestamp,
    /// That of the last.
    boot: BootTime,
    /// The first and the last by the issuer's clock, of those that it dated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dated: Option<(Timestamp, Timestamp)>,
    pub(super) count: u32,
    pub(super) refused: u32,
}

impl Entry {
    /// `count` requests of which only the number is known.
    pub(super) fn unknown(count: u32, now: Now) -> Self {
        let Now { wall, boot } = now;
        Self { first: wall, last: wall, boot, dated: None, count, refused: 0 }
    }

    /// How old the last of them is, in milliseconds. Negative for one that is dated in the future, which counts.
    ///
    /// Within one boot it is the smaller of what both clocks say, so that a clock that is set forward opens no slot; where the
    /// issuer's date has shown the wall clock to be wrong, the issuer's clock takes its place. Over a reboot there is the
    /// issuer's clock, if it has been heard of since; and otherwise only the wall clock, which is still as wrong as it was, or
    /// was set right, or is wrong in another way. The smaller age counts then, unless the clock was set back since, so that
    /// the first is ruled out.
    pub(super) fn age(&self, time: Time) -> i64 {
        let Time { now, issuer } = time;
        let since =
            |then: Timestamp, now: Timestamp| now.as_millis().saturating_sub(then.as_millis());
        let by_wall = since(self.last, now.wall);
        let dated = self.dated.map(|(_, last)| last);
        if let Some(boot) = now.boot.since(self.boot) {
            let other =
                dated.map_or(by_wall, |dated| issuer.map_or(i64::MAX, |at| since(dated, at)));
            return other.min(millis(boot));
        }
        match (dated, issuer) {
            (Some(dated), Some(issuer)) => since(dated, issuer),
            (Some(dated), None) if by_wall < -millis(SKEW) => since(dated, now.wall),
            (Some(dated), None) => by_wall.min(since(dated, now.wall)),
            (None, Some(issuer)) => by_wall.min(since(self.last, issuer)),
            (None, None) => by_wall,
        }
    }

    /// Those of them that answered a refusal.
    pub(super) fn refused_only(&self) -> Self {
        Self { count: self.refused, ..self.clone() }
    }

    /// Whether some of them may have happened after `at`.
    pub(super) fn ends_after(&self, at: Timestamp) -> bool {
        self.last > at
    }

    /// From the first of them to the last.
    pub(super) fn width(&self) -> Duration {
        self.last.saturating_since(self.first)
    }

    /// When they leave a rolling window of this span, as seen from `now`. Over a reboot they stay a minute longer: clocks that
    /// agreed may have been as far apart as that, and not be now.
    pub(super) fn leaves(&self, span: Duration, time: Time) -> Timestamp {
        let is_same_boot = time.now.boot.id == self.boot.id;
        let span = if is_same_boot { span } else { span.saturating_add(SKEW) };
        let left = millis(span).saturating_sub(self.age(time));
        Timestamp::from_millis(time.now.wall.as_millis().saturating_add(left))
    }

    /// From when to when they happened, by this machine's clock as it stands now, and by the issuer's. What is dated in the
    /// future may just as well have happened now.
    pub(super) fn happened(&self, time: Time) -> [Option<(Timestamp, Timestamp)>; 2] {
        let wall = time.now.wall;
        let last = Timestamp::from_millis(wall.as_millis().saturating_sub(self.age(time)));
        let here = (last.min(wall) - self.width(), last);
        [Some(here), self.dated.map(|(first, last)| (first.min(wall), last))]
    }

    /// Both as one entry. `later` stands behind this one in the ledger. No request of the two leaves a window sooner for
    /// that.
    pub(super) fn merge(&self, later: &Self) -> Self {
        // One that was not dated has its own date, for want of a better one.
        let dates = |entry: &Self| entry.dated.unwrap_or((entry.first, entry.last));
        let (one, other) = (dates(self), dates(later));
        let is_dated = self.dated.or(later.dated).is_some();
        let dated = is_dated.then(|| (one.0.min(other.0), one.1.max(other.1)));
        let boot = if self.boot.id == later.boot.id && self.boot.millis > later.boot.millis {
            self.boot
        } else {
            later.boot
        };
        Self {
            first: self.first.min(later.first),
            last: self.last.max(later.last),
            boot,
            dated,
            count: self.count.saturating_add(later.count),
            refused: self.refused.saturating_add(later.refused),
        }
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
