//! The rule: limits over windows of time, what they count, and how a refusal is put.

use std::time::Duration;

use super::window::Window;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many token requests each client may make, and how the issuer counts and refuses them.
///
/// RFC 6749 knows no quota; what vendors do differs in every part, and each part is a setting.
///
/// ```
/// use std::time::Duration;
///
/// use auth_issuer::{Quota, Refusal, Window};
///
/// let vendor = Quota::per_day(10);
/// // Auth0's: both windows hold, and counting is eventually consistent.
/// let auth0 = Quota::unlimited()
///     .and(Window::utc_hour(10))
///     .and(Window::utc_day(50))
///     .lag(Duration::from_secs(5))
///     .refusal(Refusal::Auth0Headers);
/// // Vertex's: 10 in 8 hours, and a refusal that looks like a mistake.
/// let vertex = Quota::unlimited()
///     .and(Window::rolling(10, Duration::from_secs(8 * 60 * 60)))
///     .refusal(Refusal::BadRequest("too many token requests".to_owned()));
/// # let _ = (vendor, auth0, vertex);
/// ```
///
/// # Defaults
///
/// Counted at once, failures too, and refused with [`Refusal::RetryAfter`]. [`Quota::default`] is
/// [`per_day(10)`](Self::per_day).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Quota {
    windows: Vec<Window>,
    lag: Duration,
    count_failures: bool,
    refusal: Refusal,
}

/// How a token request over the quota is refused.
///
/// The statuses are RFC 6585 §4's 429 or RFC 6749 §5.2's 400; `Retry-After` (RFC 9110 §10.2.3) is in seconds, never too few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// 429 `too_many_requests`, with `Retry-After`.
    #[default]
    RetryAfter,
    /// The same, and what is left of each window in `Auth0-Client-Quota-Limit`, which comes with each token too.
    Auth0Headers,
    /// 429 and nothing else: neither a body nor a word of when to come back.
    Bare,
    /// 400 `invalid_request` with these words as its description: only who reads them knows that it is the quota.
    BadRequest(String),
}

impl Quota {
    /// `limit` in any 24 hours.
    pub fn per_day(limit: u32) -> Self {
        Self::unlimited().and(Window::rolling(limit, DAY))
    }

    /// No limit.
    pub fn unlimited() -> Self {
        Self {
            windows: Vec::new(),
            lag: Duration::ZERO,
            count_failures: true,
            refusal: Refusal::default(),
        }
    }

    /// Limits it further: every window must have a unit left, and a request spends one of each.
    pub fn and(mut self, window: Window) -> Self {
        self.windows.push(window);
        self
    }

    /// How long after it was spent a unit is seen to be: eventual counting. All that arrive meanwhile are let through, so
    /// that a burst exceeds the limit. Zero counts at once.
    pub fn lag(mut self, lag: Duration) -> Self {
        self.lag = lag;
        self
    }

    /// Whether a request of a known client spends a unit although it is refused for another reason: a wrong secret, or a
    /// malformed request.
    ///
    /// If so, one over the quota is refused for that, whatever else is wrong with it.
    pub fn count_failures(mut self, count: bool) -> Self {
        self.count_failures = count;
        self
    }

    /// How a request over the quota is refused.
    pub fn refusal(mut self, refusal: Refusal) -> Self {
        self.refusal = refusal;
        self
    }

    /// The windows, in the order in which they were given.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Whether a request that is refused for another reason spends a unit.
    pub(crate) fn counts_failures(&self) -> bool {
        self.count_failures
    }

    pub(super) fn seen_after(&self) -> Duration {
        self.lag
    }

    pub(super) fn refused_by(&self) -> &Refusal {
        &self.refusal
    }
}

impl Default for Quota {
    /// Ten in any 24 hours.
    fn default() -> Self {
        Self::per_day(10)
    }
}

/// A quota that is set in two halves: a limit, and a rolling window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainQuota {
    /// `None` is without limit.
    pub(crate) limit: Option<u32>,
    pub(crate) window: Duration,
}

impl Default for PlainQuota {
    /// The same as [`Quota::default`].
    fn default() -> Self {
        Self { limit: Some(10), window: DAY }
    }
}

impl From<PlainQuota> for Quota {
    fn from(plain: PlainQuota) -> Self {
        match plain.limit {
            Some(limit) => Self::unlimited().and(Window::rolling(limit, plain.window)),
            None => Self::unlimited(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_ways_to_say_nothing_mean_the_same() {
        assert_eq!(Quota::from(PlainQuota::default()), Quota::default());
        let none = PlainQuota { limit: None, window: DAY };
        assert_eq!(Quota::from(none), Quota::unlimited());
    }
}
