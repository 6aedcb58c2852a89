//! One limit over one window of time, and when a unit that was spent in it is back.

use std::time::Duration;

use crate::moment::Moment;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// So many token requests in a window of time: a part of a [`Quota`](super::Quota).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Window {
    limit: u32,
    rule: Rule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Rolling(Duration),
    Calendar(Calendar),
}

/// A period of the calendar, in UTC: vendors that name a zone name this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calendar {
    Hour,
    Day,
    Month,
}

impl Window {
    /// `limit` in any span of this length: a unit spent at `t` is back at exactly `t + span`.
    pub const fn rolling(limit: u32, span: Duration) -> Self {
        Self { limit, rule: Rule::Rolling(span) }
    }

    /// `limit` from one full hour to the next.
    pub const fn utc_hour(limit: u32) -> Self {
        Self { limit, rule: Rule::Calendar(Calendar::Hour) }
    }

    /// `limit` from midnight to midnight, UTC.
    pub const fn utc_day(limit: u32) -> Self {
        Self { limit, rule: Rule::Calendar(Calendar::Day) }
    }

    /// `limit` from the first of a month to the first of the next, UTC.
    pub const fn utc_month(limit: u32) -> Self {
        Self { limit, rule: Rule::Calendar(Calendar::Month) }
    }

    /// How many requests.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// What Auth0 would call it: `per_hour`, `per_day`, and others made alike, such as `per_10_minutes`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.rule {
            Rule::Calendar(Calendar::Hour) => "per_hour".to_owned(),
            Rule::Calendar(Calendar::Day) => "per_day".to_owned(),
            Rule::Calendar(Calendar::Month) => "per_month".to_owned(),
            Rule::Rolling(span) => {
                let millis = span.as_millis();
                let units = [
                    (86_400_000, "day"),
                    (3_600_000, "hour"),
                    (60_000, "minute"),
                    (1_000, "second"),
                    (1, "millisecond"),
                ];
                let whole = units.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit));
                let (unit, name) = whole.unwrap_or((1, "millisecond"));
                match millis / unit {
                    1 => format!("per_{name}"),
                    count => format!("per_{count}_{name}s"),
                }
            }
        }
    }

    /// When a unit that was spent at `at` is back. Of two units, the one that was spent first is never back last.
    pub(super) fn back(&self, at: Moment) -> Moment {
        match self.rule {
            Rule::Rolling(span) => at.after(span),
            Rule::Calendar(calendar) => calendar.end(at),
        }
    }

    /// How long until all units are back, when the last of those that count was spent at `last`.
    pub(super) fn resets_in(&self, last: Option<Moment>, now: Moment) -> Duration {
        match self.rule {
            Rule::Rolling(_) => last.map_or(Duration::ZERO, |last| self.back(last).since(now)),
            // A calendar turns its page whether anything was spent or not.
            Rule::Calendar(_) => self.back(last.map_or(now, |last| last.max(now))).since(now),
        }
    }
}

impl Calendar {
    /// The end of the period that `at` is in, which is the first moment of the next.
    fn end(self, at: Moment) -> Moment {
        let next = |span: Duration| {
            // As exact as it looks: both are a few bits long.
            let span = Moment(0).after(span).0;
            Moment(at.0.div_euclid(span).saturating_add(1).saturating_mul(span))
        };
        match self {
            Self::Hour => next(HOUR),
            Self::Day => next(DAY),
            Self::Month => {
                let day = Moment(0).after(DAY).0;
                Moment(first_of_next_month(at.0.div_euclid(day)).saturating_mul(day))
            }
        }
    }
}

/// The first of the month after the one that `day` is in; both in days since the Unix epoch.
///
/// Years are counted from March, so that the day that is there only sometimes is the last; the months from March then begin
/// on day ⌊(153·m + 2) / 5⌋ of the year. 400 of those years are 146,097 days.
fn first_of_next_month(day: i128) -> i128 {
    const ERA: i128 = 146_097;
    /// From the 1st of March of the year 0 to the epoch.
    const EPOCH: i128 = 719_468;

    let day = day + EPOCH;
    let (era, of_era) = (day.div_euclid(ERA), day.rem_euclid(ERA));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    // The month after February is the first of the next year, which may be the first of the next 400.
    let (year, month) = if month == 11 { (year + 1, 0) } else { (year, month + 1) };
    era * ERA + 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 - EPOCH
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Moment {
        httpdate::parse_http_date(text).unwrap().into()
    }

    fn written(moment: Moment) -> String {
        let time = UNIX_EPOCH + moment.since(Moment(0));
        assert_eq!(Moment::from(time), moment);
        httpdate::fmt_http_date(time)
    }

    #[test]
    fn calendar_windows_end_on_the_hour_at_midnight_and_on_the_first() {
        let (hour, day, month) = (Window::utc_hour(1), Window::utc_day(1), Window::utc_month(1));
        let last = at("Tue, 29 Feb 2028 23:59:59 GMT");
        for window in [hour, day, month] {
            assert_eq!(written(window.back(last)), "Wed, 01 Mar 2028 00:00:00 GMT");
            // The first moment belongs to the next period, the last nanosecond to this one.
            let end = window.back(last);
            assert!(window.back(end) > end);
            assert_eq!(window.back(Moment(end.0 - 1)), end);
        }
        let ends = [
            ("Sun, 15 Feb 2026 12:00:00 GMT", "Sun, 01 Mar 2026 00:00:00 GMT"),
            ("Mon, 01 Feb 2100 00:00:00 GMT", "Mon, 01 Mar 2100 00:00:00 GMT"),
            ("Tue, 01 Feb 2000 00:00:00 GMT", "Wed, 01 Mar 2000 00:00:00 GMT"),
            ("Thu, 31 Dec 2026 23:59:59 GMT", "Fri, 01 Jan 2027 00:00:00 GMT"),
        ];
        for (text, end) in ends {
            assert_eq!(written(month.back(at(text))), end);
        }
    }

    proptest! {
        /// The crate that formats dates is a second opinion on them.
        #[test]
        fn months_end_where_another_calendar_says_so(secs in 0_u64..253_402_300_800 - 31 * 86_400) {
            let now = Moment::from(UNIX_EPOCH + Duration::from_secs(secs));
            let end = Window::utc_month(1).back(now);
            prop_assert!(end > now && end <= now.after(31 * DAY));
            let (now, last) = (written(now), written(Moment(end.0 - 1)));
            prop_assert_eq!(&now[8..16], &last[8..16], "the same month and year");
            prop_assert_eq!(&written(end)[5..7], "01");
            prop_assert_eq!(&written(end)[17..], "00:00:00 GMT");
        }

        #[test]
        fn what_is_spent_first_is_never_back_last(
            a in any::<i64>(), b in any::<i64>(), span in any::<u32>(),
        ) {
            let (a, b) = (a.min(b), a.max(b));
            let (a, b) = (Moment(i128::from(a) * 1_000_000_000), Moment(i128::from(b) * 1_000_000_000));
            let rolling = Window::rolling(1, Duration::from_secs(span.into()));
            for window in [rolling, Window::utc_hour(1), Window::utc_day(1), Window::utc_month(1)] {
                prop_assert!(window.back(a) <= window.back(b));
                prop_assert!(window.back(a) >= a);
            }
        }
    }

    #[test]
    fn the_edges_of_time_have_periods() {
        for time in [SystemTime::UNIX_EPOCH - 100_000 * DAY, UNIX_EPOCH + 100_000_000 * DAY] {
            let now = Moment::from(time);
            let end = Window::utc_month(1).back(now);
            assert!(end > now && end <= now.after(31 * DAY));
        }
    }

    #[test]
    fn windows_are_called_by_their_length() {
        let named = |secs| Window::rolling(1, Duration::from_secs(secs)).name();
        assert_eq!(
            [86_400, 3_600, 600, 43_200, 90, 60].map(named),
            [
                "per_day",
                "per_hour",
                "per_10_minutes",
                "per_12_hours",
                "per_90_seconds",
                "per_minute"
            ],
        );
        assert_eq!(Window::rolling(1, Duration::from_millis(1500)).name(), "per_1500_milliseconds");
        assert_eq!(Window::utc_month(1).name(), "per_month");
    }
}
