//! A moment as a number: neither the arithmetic of windows nor what is kept overflows, or stops at 1970.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SEC: i128 = 1_000_000_000;

/// Nanoseconds since the Unix epoch, negative before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i128);

impl Moment {
    /// `span` later. A hundred billion years of both still fit.
    pub(crate) fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// The time it is; `None` beyond the machine's range.
    pub(crate) fn time(self) -> Option<SystemTime> {
        let since = self.since(Self(0));
        let before = Self(0).since(self);
        UNIX_EPOCH.checked_add(since)?.checked_sub(before)
    }

    /// How long it is from `earlier` to this; zero if it is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let nanos = u128::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0);
        let per_sec = NANOS_PER_SEC.unsigned_abs();
        match u64::try_from(nanos / per_sec) {
            Ok(secs) => {
                // A rest of a division by 10⁹ always fits.
                Duration::new(secs, u32::try_from(nanos % per_sec).unwrap_or(0))
            }
            Err(_) => Duration::MAX,
        }
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(nanos(since)),
            Err(before) => Self(-nanos(before.duration())),
        }
    }
}

/// As `[seconds, nanoseconds]`, rounded down to the second: no format loses a digit of it.
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let secs = self.0.div_euclid(NANOS_PER_SEC);
        // Every clock's seconds are 64 bits wide.
        let secs = i64::try_from(secs).unwrap_or(if secs < 0 { i64::MIN } else { i64::MAX });
        let nanos = u32::try_from(self.0.rem_euclid(NANOS_PER_SEC)).unwrap_or(0);
        (secs, nanos).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (secs, nanos) = <(i64, u32)>::deserialize(deserializer)?;
        if i128::from(nanos) >= NANOS_PER_SEC {
            return Err(D::Error::custom("a second has 1,000,000,000 nanoseconds"));
        }
        Ok(Self(i128::from(secs) * NANOS_PER_SEC + i128::from(nanos)))
    }
}

/// A time in the same form, for `serde(with)`: the standard library's own has none before the epoch.
pub(crate) mod stored {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        Moment::from(*time).serialize(to)
    }

    pub(crate) fn deserialize<'de, D>(from: D) -> Result<SystemTime, D::Error>
    where
        D: Deserializer<'de>,
    {
        let time = Moment::deserialize(from)?.time();
        time.ok_or_else(|| D::Error::custom("a time beyond the range of this machine"))
    }
}

/// Moments in the order of time, whatever order they were stored in: the count searches them.
pub(crate) fn sorted<'de, D>(deserializer: D) -> Result<VecDeque<Moment>, D::Error>
where
    D: Deserializer<'de>,
{
    let mut moments = Vec::<Moment>::deserialize(deserializer)?;
    moments.sort_unstable();
    Ok(moments.into())
}

fn nanos(span: Duration) -> i128 {
    // 64 bits of seconds are fewer than 94 bits of nanoseconds.
    i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_survives_its_storage(
            secs in -100_000_000_000_i64..1_000_000_000_000,
            nanos in 0_u32..1_000_000_000,
        ) {
            let moment = Moment(i128::from(secs) * NANOS_PER_SEC + i128::from(nanos));
            let stored = serde_json::to_string(&moment).unwrap();
            prop_assert_eq!(serde_json::from_str::<Moment>(&stored).unwrap(), moment);
            let time = moment.time().unwrap();
            prop_assert_eq!(Moment::from(time), moment);
        }
    }

    #[test]
    fn times_before_the_epoch_and_the_longest_spans_are_moments_too() {
        let early = Moment::from(UNIX_EPOCH - Duration::from_nanos(1));
        assert_eq!(early, Moment(-1));
        assert_eq!(serde_json::to_string(&early).unwrap(), "[-1,999999999]");
        assert_eq!(early.after(Duration::MAX).since(early), Duration::MAX);
        assert_eq!(early.since(Moment(0)), Duration::ZERO);
        assert!(serde_json::from_str::<Moment>("[0,1000000000]").is_err());
    }
}
