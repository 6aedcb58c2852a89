//! The rule: limits over rolling windows.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Latency and skew between the decision here and the arrival at the issuer.
const SLACK: Duration = Duration::from_secs(60);
/// A day of the issuer's may have 25 hours.
const DAY_SLACK: Duration = HOUR;
const LARGEST_LIMIT: u32 = 10_000;
const LONGEST_PERIOD: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// How many token requests the issuer allows.
///
/// The ledger dates a request when it is decided, the issuer when it arrives; so a window here is longer than the issuer's:
/// a day counts 25 hours (which also covers a calendar day in any time zone, and the day on which clocks are set back),
/// every other window 60 seconds more than its name.
///
/// ```
/// use auth_core::Quota;
///
/// let both = Quota::per_day(10).and(Quota::per_hour(3));
/// assert_eq!(both.to_string(), "10 per 24 h and 3 per 1 h");
/// ```
///
/// # Defaults
///
/// An authenticator without a quota has `Quota::per_day(10)`. Having none at all must be spelled out:
/// [`Quota::unlimited`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    windows: Vec<Window>,
}

impl Quota {
    /// `limit` token requests a day.
    pub fn per_day(limit: u32) -> Self {
        Self { windows: vec![Window { limit, period: Millis(DAY), slack: Millis(DAY_SLACK) }] }
    }

    /// `limit` token requests an hour.
    pub fn per_hour(limit: u32) -> Self {
        Self::rolling(limit, HOUR)
    }

    /// `limit` token requests in any `period`.
    pub fn rolling(limit: u32, period: Duration) -> Self {
        Self { windows: vec![Window { limit, period: Millis(period), slack: Millis(SLACK) }] }
    }

    /// No limit. Every request is still written down, and failures are still paced.
    pub fn unlimited() -> Self {
        Self { windows: Vec::new() }
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
        for window in &self.windows {
            if window.limit == 0 {
                return Err(ConfigError::new("quota", "a limit of 0 allows no token at all"));
            }
            if window.limit > LARGEST_LIMIT {
                return Err(ConfigError::new(
                    "quota",
                    format!(
                        "a limit of {} is more than the ledger keeps ({LARGEST_LIMIT} per window)",
                        window.limit
                    ),
                ));
            }
            if window.period() < Duration::from_secs(1) || window.period() > LONGEST_PERIOD {
                return Err(ConfigError::new("quota", "a window is between 1 s and 31 days long"));
            }
        }
        Ok(())
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

/// One limit over one rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    limit: u32,
    #[serde(rename = "period_ms")]
    period: Millis,
    #[serde(rename = "slack_ms")]
    slack: Millis,
}

impl Window {
    /// How many requests.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// In what time, by the issuer's rule.
    pub fn period(&self) -> Duration {
        self.period.0
    }

    /// In what time, as the ledger counts: the period and the slack between this side's clock and the issuer's.
    pub fn span(&self) -> Duration {
        self.period.0.saturating_add(self.slack.0)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.limit, Human(self.period()))
    }
}

/// A duration in its largest whole unit.
pub(crate) struct Human(pub(crate) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        if secs >= 3600 && secs.is_multiple_of(3600) {
            write!(f, "{} h", secs / 3600)
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
struct Millis(Duration);

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
