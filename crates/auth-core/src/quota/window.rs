//! The rule: limits over windows of time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, Zone};
use crate::error::ConfigError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Latency and skew between the decision here and the arrival at the issuer.
const SLACK: Duration = Duration::from_secs(60);
/// The same, and a day of the issuer's may have 25 hours.
const DAY_SLACK: Duration = HOUR.saturating_add(SLACK);
pub(crate) const LARGEST_LIMIT: u32 = 10_000;
const MOST_WINDOWS: usize = 8;
const LONGEST_PERIOD: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// How many token requests the issuer allows.
///
/// The ledger dates a request when it is decided, the issuer when it arrives; so what is counted here is wider than what the
/// issuer counts. Every rolling window counts 60 seconds more than its name, and a day an hour more besides (which also covers
/// a calendar day in any time zone, and the day on which clocks are set back). A calendar window counts a request in
/// every period that the time from 60 seconds before it was decided to 110 seconds after touches.
///
/// ```
/// use auth_core::{Calendar, Quota};
///
/// let both = Quota::per_day(10).and(Quota::per_hour(3));
/// assert_eq!(both.to_string(), "10 per 24 h and 3 per 1 h");
///
/// let calendar = Quota::calendar(10, Calendar::Day).in_time_zone("America/Los_Angeles");
/// assert_eq!(calendar.to_string(), "10 per day in America/Los_Angeles");
/// ```
///
/// # Defaults
///
/// An authenticator without a quota has `Quota::per_day(10)`. Having none at all must be spelled out:
/// [`Quota::unlimited`]. Of each window, ⌊3·limit/10⌋ are held back from renewals ahead of time
/// ([`with_reserve`](Self::with_reserve)), and max(1, ⌊limit/5⌋) may answer refusals
/// ([`with_refused_share`](Self::with_refused_share)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    windows: Vec<Window>,
}

impl Quota {
    /// `limit` token requests a day, whenever the issuer's day begins.
    pub fn per_day(limit: u32) -> Self {
        Self::of(limit, Rule::Rolling { period: Millis(DAY), slack: Millis(DAY_SLACK) })
    }

    /// `limit` token requests in any hour.
    pub fn per_hour(limit: u32) -> Self {
        Self::rolling(limit, HOUR)
    }

    /// `limit` token requests in any `period`, from 1 s to 31 days.
    pub fn rolling(limit: u32, period: Duration) -> Self {
        Self::of(limit, Rule::Rolling { period: Millis(period), slack: Millis(SLACK) })
    }

    /// `limit` token requests in each hour, day or month of the calendar, in UTC unless
    /// [`in_time_zone`](Self::in_time_zone) says otherwise.
    ///
    /// Only for an issuer that is known to begin anew at midnight: [`per_day`](Self::per_day) is right for both kinds.
    pub fn calendar(limit: u32, calendar: Calendar) -> Self {
        Self::of(limit, Rule::Calendar { calendar, zone: Zone::utc() })
    }

    /// No limit. Every request is still written down, and failures are still paced.
    pub fn unlimited() -> Self {
        Self { windows: Vec::new() }
    }

    fn of(limit: u32, rule: Rule) -> Self {
        let (reserve, refused) = (default_reserve(limit), (limit / 5).max(1));
        Self { windows: vec![Window { limit, reserve, refused, rule }] }
    }

    /// The time zone of the calendar windows so far, by its name in the IANA database, such as `Europe/Berlin`. An unknown
    /// one is an error when the authenticator is built: without the system's own database (the package `tzdata`), turn
    /// the feature `bundled-tzdb` on.
    #[must_use]
    pub fn in_time_zone(mut self, name: &str) -> Self {
        for window in &mut self.windows {
            if let Rule::Calendar { zone, .. } = &mut window.rule {
                *zone = Zone::named(name);
            }
        }
        self
    }

    /// How many units of each window so far are held back from renewals ahead of time, which begin while the token is still
    /// valid: less than the limit.
    #[must_use]
    pub fn with_reserve(mut self, units: u32) -> Self {
        self.windows.iter_mut().for_each(|window| window.reserve = units);
        self
    }

    /// How many units of each window so far may be spent because an API answered 401: from 1 to the limit.
    #[must_use]
    pub fn with_refused_share(mut self, units: u32) -> Self {
        self.windows.iter_mut().for_each(|window| window.refused = units);
        self
    }

    /// Both this and `other` hold.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.windows.extend(other.windows);
        self
    }

    /// The windows, in the order in which they were given.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.windows.len() > MOST_WINDOWS {
            let problem = format!("more than {MOST_WINDOWS} windows are more than a record keeps");
            return Err(ConfigError::new("quota", problem));
        }
        self.windows.iter().try_for_each(Window::check)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.windows.is_empty() {
            return f.write_str("unlimited");
        }
        for (i, window) in self.windows.iter().enumerate() {
            if i > 0 {
                f.write_str(" and ")?;
            }
            write!(f, "{window}")?;
        }
        Ok(())
    }
}

/// One limit over one window.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    limit: u32,
    reserve: u32,
    refused: u32,
    #[serde(flatten)]
    pub(super) rule: Rule,
}

/// What a window is a window of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Rule {
    Rolling {
        #[serde(rename = "period_ms")]
        period: Millis,
        #[serde(rename = "slack_ms")]
        slack: Millis,
    },
    Calendar {
        calendar: Calendar,
        #[serde(rename = "time_zone")]
        zone: Zone,
    },
}

impl Window {
    /// How many requests.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// How many of them are held back from renewals ahead of time.
    pub fn reserve(&self) -> u32 {
        self.reserve
    }

    /// How many of them may answer refusals.
    pub fn refused_share(&self) -> u32 {
        self.refused
    }

    /// In what time, by the issuer's rule: for a calendar window the usual length of its periods, for months 31 days.
    pub fn period(&self) -> Duration {
        match &self.rule {
            Rule::Rolling { period, .. } => period.0,
            Rule::Calendar { calendar, .. } => calendar.usual(),
        }
    }

    /// In what time at the longest, as the ledger counts: the period, the slack between this side's clock and the issuer's,
    /// and the hour by which clocks are set back.
    pub fn span(&self) -> Duration {
        match &self.rule {
            Rule::Rolling { period, slack } => period.0.saturating_add(slack.0),
            Rule::Calendar { calendar, .. } => calendar.longest() + EARLIER + LATER,
        }
    }

    /// The calendar and the name of the time zone, if it is a calendar window.
    pub fn calendar(&self) -> Option<(Calendar, &str)> {
        match &self.rule {
            Rule::Rolling { .. } => None,
            Rule::Calendar { calendar, zone } => Some((*calendar, zone.name())),
        }
    }

    /// Whether it is one that `check` lets through, on some machine.
    pub(super) fn is_sound(&self) -> bool {
        let period = self.period();
        (1..=LARGEST_LIMIT).contains(&self.limit)
            && self.reserve < self.limit
            && (1..=self.limit).contains(&self.refused)
            && period >= Duration::from_secs(1)
            && period <= LONGEST_PERIOD
            && self.span() <= LONGEST_PERIOD + DAY
    }

    fn check(&self) -> Result<(), ConfigError> {
        let problem = |problem: String| Err(ConfigError::new("quota", problem));
        let limit = self.limit;
        if limit == 0 {
            return problem("a limit of 0 allows no token at all".to_owned());
        }
        if limit > LARGEST_LIMIT {
            return problem(format!(
                "a limit of {limit} is more than the ledger can count ({LARGEST_LIMIT} per window): choose a shorter window \
                 with a smaller limit, or `Quota::unlimited`"
            ));
        }
        if self.reserve >= limit {
            return problem(format!(
                "a reserve of {} of {limit} leaves nothing to renewals",
                self.reserve
            ));
        }
        if self.refused == 0 || self.refused > limit {
            return problem(format!(
                "the share of refusals must be between 1 and {limit}, and not {}",
                self.refused
            ));
        }
        match &self.rule {
            Rule::Rolling { period, .. }
                if period.0 < Duration::from_secs(1) || period.0 > LONGEST_PERIOD =>
            {
                problem("a window is between 1 s and 31 days long".to_owned())
            }
            Rule::Calendar { zone, .. } if zone.known().is_none() => problem(format!(
                "the time zone `{}` is not known here: it must be a name of the IANA database, such as Europe/Berlin; without \
                 the system's database (the package `tzdata`), turn the feature `bundled-tzdb` of auth-core on",
                zone.name().escape_default()
            )),
            _ => Ok(()),
        }
    }
}

/// ⌊3·limit/10⌋, which does not overflow.
pub(super) fn default_reserve(limit: u32) -> u32 {
    limit / 10 * 3 + limit % 10 * 3 / 10
}

/// A calendar window counts a request from this long before it was decided, since clocks that are less than a minute apart
/// are taken for equal,
pub(super) const EARLIER: Duration = Duration::from_secs(60);
/// to this long after: the longest deadline, and a minute.
pub(super) const LATER: Duration = Duration::from_secs(50 + 60);

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Rolling { period, .. } => write!(f, "{} per {}", self.limit, Human(period.0)),
            Rule::Calendar { calendar, zone } => {
                write!(f, "{} per {calendar} in {}", self.limit, zone.name().escape_default())
            }
        }
    }
}

/// A duration in its largest whole units.
pub(crate) struct Human(pub(crate) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        if secs >= 3600 && secs.is_multiple_of(3600) {
            write!(f, "{} h", secs / 3600)
        } else if secs >= 3600 && secs.is_multiple_of(60) {
            write!(f, "{} h {} min", secs / 3600, secs % 3600 / 60)
        } else if secs >= 60 && secs.is_multiple_of(60) {
            write!(f, "{} min", secs / 60)
        } else if secs >= 1 {
            write!(f, "{secs} s")
        } else {
            write!(f, "{} ms", self.0.as_millis())
        }
    }
}

/// A duration that is stored as whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Millis(pub(super) Duration);

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX))
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(|millis| Self(Duration::from_millis(millis)))
    }
}
