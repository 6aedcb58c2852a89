//! What an answer says of the quota.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::count::{OverQuota, WindowLeft};
use super::rule::Refusal;

/// Auth0's header: `b=per_hour;q=10;r=7;t=3540` for each window, joined by commas.
const CLIENT_QUOTA: HeaderName = HeaderName::from_static("auth0-client-quota-limit");

/// The headers that a granted request's answer carries, if any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct QuotaHeaders(Option<HeaderValue>);

/// The answer to a request over the quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OverAnswer {
    pub(crate) status: StatusCode,
    /// `error` and `error_description` (RFC 6749 §5.2); `None` for an empty body.
    pub(crate) body: Option<(&'static str, String)>,
    retry_after: Option<Duration>,
    quota: QuotaHeaders,
}

impl QuotaHeaders {
    pub(super) fn of(refusal: &Refusal, left: impl FnOnce() -> Vec<WindowLeft>) -> Self {
        match refusal {
            Refusal::Auth0Headers => Self(windows(&left())),
            Refusal::RetryAfter | Refusal::Bare | Refusal::BadRequest(_) => Self(None),
        }
    }

    /// Adds them to those of an answer.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        if let Some(windows) = self.0 {
            headers.insert(CLIENT_QUOTA, windows);
        }
    }
}

impl OverAnswer {
    pub(super) fn of(
        refusal: &Refusal,
        over: OverQuota,
        left: impl FnOnce() -> Vec<WindowLeft>,
    ) -> Self {
        let quota = QuotaHeaders::of(refusal, left);
        let exceeded = || Some(("too_many_requests", "Client quota exceeded".to_owned()));
        let (status, body, retry_after) = match refusal {
            Refusal::RetryAfter | Refusal::Auth0Headers => {
                (StatusCode::TOO_MANY_REQUESTS, exceeded(), Some(over.retry_after))
            }
            Refusal::Bare => (StatusCode::TOO_MANY_REQUESTS, None, None),
            Refusal::BadRequest(words) => {
                (StatusCode::BAD_REQUEST, Some(("invalid_request", words.clone())), None)
            }
        };
        Self { status, body, retry_after, quota }
    }

    /// Adds what it says in headers to those of its answer.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        self.quota.put(headers);
    }
}

/// `None` for a quota without windows: there is nothing to tell.
fn windows(left: &[WindowLeft]) -> Option<HeaderValue> {
    let mut text = String::new();
    for window in left {
        let WindowLeft { name, limit, left, resets_in } = window;
        let comma = if text.is_empty() { "" } else { "," };
        let reset = whole_seconds(*resets_in);
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}b={name};q={limit};r={left};t={reset}");
    }
    if text.is_empty() { None } else { HeaderValue::try_from(text).ok() }
}

/// `Retry-After` counts in whole seconds, and one too few would send the client into the next refusal.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(name: &str, limit: u32, left: u32, secs: u64) -> WindowLeft {
        WindowLeft { name: name.to_owned(), limit, left, resets_in: Duration::from_secs(secs) }
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::from_nanos(2_000_000_001)), 3);
        assert_eq!(whole_seconds(Duration::from_nanos(1)), 1);
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    #[test]
    fn the_windows_are_written_as_auth0_writes_them() {
        let both = || vec![left("per_hour", 10, 7, 3540), left("per_day", 50, 47, 43_200)];
        let mut headers = HeaderMap::new();
        QuotaHeaders::of(&Refusal::Auth0Headers, both).put(&mut headers);
        let expected = "b=per_hour;q=10;r=7;t=3540,b=per_day;q=50;r=47;t=43200";
        assert_eq!(headers[CLIENT_QUOTA], expected);
        for silent in [Refusal::RetryAfter, Refusal::Bare, Refusal::BadRequest(String::new())] {
            assert_eq!(QuotaHeaders::of(&silent, both), QuotaHeaders(None));
        }
        assert_eq!(QuotaHeaders::of(&Refusal::Auth0Headers, Vec::new), QuotaHeaders(None));
    }
}
