//! Days, hours and months of a time zone, as the half-open stretches of time that they are.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A period of the calendar, at whose end an issuer begins to count anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Calendar {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight: 23 or 25 hours when clocks are changed.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl Calendar {
    /// How long it is as a rule, a month at its longest.
    pub(super) fn usual(self) -> Duration {
        match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
            Self::Month => 31 * 24 * HOUR,
        }
    }

    /// How long it can be: clocks that are set back make an hour, and with it the day, one hour longer.
    pub(super) fn longest(self) -> Duration {
        self.usual() + HOUR
    }

    /// The period that `at` is in. Outside of jiff's years (−9999 to 9999) it is all of that time.
    pub(super) fn period(self, zone: &TimeZone, at: Timestamp) -> Range<Timestamp> {
        self.bounds(zone, at).unwrap_or_else(|| {
            let (min, max) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
            let (start, end) = (Timestamp::from_millis(min.as_millisecond()), max.as_millisecond());
            if at < start {
                Timestamp::from_millis(i64::MIN)..start
            } else {
                start..Timestamp::from_millis(end.max(at.as_millis()).saturating_add(1))
            }
        })
    }

    fn bounds(self, zone: &TimeZone, at: Timestamp) -> Option<Range<Timestamp>> {
        let instant = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
        let local = instant.to_zoned_datetime(zone.clone());
        let midnight = |date: jiff::civil::Date| {
            date.to_zoned_datetime(zone.clone()).and_then(|zoned| zoned.start_of_day()).ok()
        };
        let (start, end) = match self {
            Self::Hour => {
                let into =
                    Duration::from_secs(
                        u64::from(local.minute().unsigned_abs()) * 60
                            + u64::from(local.second().unsigned_abs()),
                    ) + Duration::from_nanos(u64::from(local.subsec_nanosecond().unsigned_abs()));
                let start = at - into;
                return Some(start..start + HOUR);
            }
            Self::Day => (local.start_of_day().ok()?, midnight(local.date().tomorrow().ok()?)?),
            Self::Month => {
                let first = local.date().first_of_month();
                let next = local.date().last_of_month().tomorrow().ok()?;
                (midnight(first)?, midnight(next)?)
            }
        };
        let millis =
            |zoned: &ZonedDateTime| Timestamp::from_millis(zoned.timestamp().as_millisecond());
        Some(millis(&start)..millis(&end))
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        })
    }
}

/// A time zone by its name in the IANA database, which may not be known on this machine.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    name: Arc<str>,
    known: Option<TimeZone>,
}

impl Zone {
    pub(super) fn utc() -> Self {
        Self { name: "UTC".into(), known: Some(TimeZone::UTC) }
    }

    pub(super) fn named(name: &str) -> Self {
        Self { name: name.into(), known: TimeZone::get(name).ok() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn known(&self) -> Option<&TimeZone> {
        self.known.as_ref()
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(if name == "UTC" { Self::utc() } else { Self::named(&name) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Milliseconds of an instant in RFC 3339.
    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn length(calendar: Calendar, zone: &str, text: &str) -> u64 {
        let zone = TimeZone::get(zone).unwrap();
        let period = calendar.period(&zone, at(text));
        assert!(period.contains(&at(text)));
        period.end.saturating_since(period.start).as_secs()
    }

    // torture: F51
    #[test]
    fn days_have_23_24_or_25_hours_and_months_what_they_have() {
        let day = |text| length(Calendar::Day, "America/New_York", text) / 3600;
        assert_eq!(day("2026-03-08T12:00:00Z"), 23);
        assert_eq!(day("2026-11-01T12:00:00Z"), 25);
        assert_eq!(day("2026-11-02T12:00:00Z"), 24);
        let month = |text| length(Calendar::Month, "UTC", text) / 86_400;
        assert_eq!(month("2028-02-29T23:59:59Z"), 29, "a leap day");
        assert_eq!(month("2026-12-31T23:59:59Z"), 31);
        assert_eq!(length(Calendar::Hour, "Asia/Kolkata", "2026-01-01T00:29:59Z"), 3600);
    }

    #[test]
    fn a_zone_that_skips_midnight_has_days_all_the_same() {
        // Chile sets its clocks forward at midnight.
        let zone = TimeZone::get("America/Santiago").unwrap();
        let day = Calendar::Day.period(&zone, at("2026-09-06T12:00:00Z"));
        assert_eq!(day.end.saturating_since(day.start), 23 * HOUR);
    }

    #[test]
    fn times_beyond_every_calendar_are_one_period() {
        for millis in [i64::MIN, i64::MAX] {
            let at = Timestamp::from_millis(millis);
            let period = Calendar::Day.period(&TimeZone::UTC, at);
            assert!(period.start <= at && at <= period.end, "{period:?}");
        }
    }

    proptest! {
        // torture: F51
        /// Periods tile time: each moment is in one, and the next begins where it ends.
        #[test]
        fn periods_tile_time(
            secs in 1_700_000_000i64..2_000_000_000,
            zone in prop_oneof![
                Just("UTC"), Just("America/New_York"), Just("Europe/Berlin"),
                Just("America/Santiago"), Just("Pacific/Apia"),
            ],
            calendar in prop_oneof![Just(Calendar::Hour), Just(Calendar::Day), Just(Calendar::Month)],
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let at = Timestamp::from_secs(secs);
            let period = calendar.period(&zone, at);
            prop_assert!(period.contains(&at));
            let last = period.end - Duration::from_millis(1);
            prop_assert_eq!(&calendar.period(&zone, last), &period);
            let next = calendar.period(&zone, period.end);
            prop_assert_eq!(next.start, period.end);
            prop_assert!(period.end.saturating_since(period.start) <= calendar.longest());
        }
    }
}
