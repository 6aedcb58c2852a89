//! Where a key set is, and what comes from there (RFC 7517 §5).

use std::time::Duration;

use auth_core::{LONGEST_ANSWER, Origin};
use bytes::Bytes;
use http::header::{ACCEPT, AGE, CACHE_CONTROL};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};

use crate::server::error::ConfigError;
use crate::server::keys::{self, Key};

/// Checks the URL of a key set. Whoever can change what comes from there can sign tokens, so it is https; plain http is for
/// loopback, and only if `insecure_loopback` says so.
pub(super) fn check(url: &str, insecure_loopback: bool) -> Result<Uri, ConfigError> {
    let fail = |problem: &str| Err(ConfigError::new("jwks", problem));
    if let Err(error) = url.parse::<Origin>() {
        let text = error.to_string();
        return fail(text.strip_prefix("origin: ").unwrap_or(&text));
    }
    let Ok(uri) = url.parse::<Uri>() else { return fail("is not a URL") };
    if uri.scheme() != Some(&Scheme::HTTPS) && !insecure_loopback {
        return fail(
            "is plain http; for a server on loopback that is allowed with `insecure_loopback(true)`",
        );
    }
    Ok(uri)
}

/// The URL without its query, which may have secrets in it.
pub(super) fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}{}", uri.path())
}

/// What an answer has brought.
pub(super) struct Answer {
    pub(super) keys: Vec<Key>,
    /// How long they are fresh from now on.
    pub(super) lifetime: Duration,
    /// How long ago the issuer has said so (RFC 9111 §5.1).
    pub(super) age: Duration,
}

/// Asks the issuer itself and no cache (RFC 9111 §5.2.1.4): it is asked seldom, and when it is, some token's key may be newer
/// than what a cache has.
pub(super) fn request(uri: &Uri) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri.clone();
    let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
    request.headers_mut().insert(ACCEPT, accept);
    request.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    request
}

/// The keys in an answer and how long they are fresh, or what is wrong with it.
///
/// A set without a key that can be used may be an accident at the issuer's, and taken at its word it would end every token. It
/// counts as no answer, and ends them when the keys at hand do.
pub(super) fn read(
    answer: &Response<Bytes>,
    fresh_for: Duration,
    fresh_at_most: Duration,
) -> Result<Answer, &'static str> {
    if answer.status() != StatusCode::OK {
        return Err("the answer is no 200");
    }
    if answer.body().len() > LONGEST_ANSWER {
        return Err("the answer is longer than 64 KiB");
    }
    let keys = keys::parse(answer.body()).ok_or("the answer is no key set")?;
    if keys.is_empty() {
        return Err("the key set has no key that can be used");
    }
    let age = age(answer.headers());
    let lifetime = lifetime(answer.headers(), age).unwrap_or(fresh_for).min(fresh_at_most);
    Ok(Answer { keys, lifetime, age })
}

/// How long a cache has kept the answer, if one did. What cannot be read says nothing (RFC 9111 §5.1).
fn age(headers: &HeaderMap) -> Duration {
    let text = headers.get(AGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Duration::from_secs(seconds(text).unwrap_or(0))
}

/// Delta seconds (RFC 9111 §1.2.2): what is too large is as good as the largest.
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// What is left of `Cache-Control: max-age` (RFC 9111 §5.2.2.1) after `age`, but at least a minute, whatever the issuer says.
fn lifetime(headers: &HeaderMap, age: Duration) -> Option<Duration> {
    const LEAST: Duration = Duration::from_secs(60);

    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut max_age = None;
    for directive in lines.flat_map(|line| line.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(LEAST),
            // The first counts (RFC 9111 §4.2.1). One that cannot be read means that the answer is stale already.
            "max-age" if max_age.is_none() => {
                let seconds = seconds(value.trim().trim_matches('"')).unwrap_or(0);
                max_age = Some(Duration::from_secs(seconds));
            }
            _ => {}
        }
    }
    max_age.map(|max_age| max_age.saturating_sub(age).max(LEAST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // torture: E41, G53
    #[test]
    fn keys_come_over_https_or_from_loopback_by_opt_in() {
        assert!(check("https://i.example/.well-known/jwks.json?v=1", false).is_ok());
        let loopback = "http://127.0.0.1:1/jwks";
        assert!(check(loopback, false).unwrap_err().to_string().contains("insecure_loopback"));
        assert!(check(loopback, true).is_ok());
        for bad in ["", "/jwks", "http://i.example/", "file:///etc/jwks", "https://u@i.example/"] {
            assert_eq!(check(bad, true).expect_err(bad).field(), "jwks");
        }
        assert!(!check("/jwks", true).unwrap_err().to_string().contains("origin"));
    }

    fn answer(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
        Response::builder().status(status).body(body.into()).unwrap()
    }

    #[test]
    fn an_answer_without_a_usable_key_is_no_key_set() {
        let long = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(LONGEST_ANSWER));
        let oct = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#;
        for (status, body) in
            [(200, "<html>"), (200, r#"{"keys":[]}"#), (200, oct), (200, &long), (302, oct)]
        {
            assert!(
                read(&answer(status, body.to_owned()), Duration::ZERO, Duration::MAX).is_err(),
                "{body:.40}"
            );
        }
        let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        assert!(read(&answer(200, key), Duration::ZERO, Duration::MAX).is_ok());
        assert!(read(&answer(500, key), Duration::ZERO, Duration::MAX).is_err());
    }

    #[test]
    fn an_answer_that_is_too_long_is_no_key_set_whatever_keys_it_has() {
        let key =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let of = |length: usize| {
            let body = format!(r#"{{"keys":[{key}],"x":"{}"}}"#, "x".repeat(length));
            (body.len(), read(&answer(200, body), Duration::ZERO, Duration::MAX).is_ok())
        };
        let (rest, _) = of(0);
        assert_eq!(of(LONGEST_ANSWER - rest), (LONGEST_ANSWER, true));
        assert_eq!(of(LONGEST_ANSWER - rest + 1), (LONGEST_ANSWER + 1, false));
    }

    #[test]
    fn max_age_counts_within_bounds() {
        let lifetime = |text: &'static str| {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(text))]);
            super::lifetime(&headers, Duration::ZERO).map(|lifetime| lifetime.as_secs())
        };
        assert_eq!(super::lifetime(&HeaderMap::new(), Duration::ZERO), None);
        assert_eq!(lifetime("public"), None);
        for (text, seconds) in [
            ("max-age=3600", 3600),
            ("public, Max-Age=\"120\"", 120),
            ("max-age=1", 60),
            ("max-age=x", 60),
            ("max-age=99999999999999999999999", u64::MAX),
            ("max-age=300, max-age=600", 300),
            ("max-age=300, no-cache", 60),
        ] {
            assert_eq!(lifetime(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_the_issuer_says_of_its_keys_age_is_capped() {
        let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let mut answer = answer(200, key);
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=999999"));
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        assert_eq!(read(&answer, hour, day).unwrap().lifetime, day);
        assert_eq!(read(&answer, hour, hour / 4).unwrap().lifetime, hour / 4);
        answer.headers_mut().clear();
        assert_eq!(read(&answer, hour, day).unwrap().lifetime, hour);
    }

    #[test]
    fn the_time_in_a_cache_is_taken_off() {
        let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let mut answer = answer(200, key);
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
        for (age, left) in
            [("3000", 600), ("3599", 60), ("9999999999999999999999", 60), ("-1", 3600), ("", 3600)]
        {
            answer.headers_mut().insert(AGE, HeaderValue::from_static(age));
            let read = read(&answer, Duration::ZERO, Duration::MAX).unwrap();
            assert_eq!(read.lifetime, Duration::from_secs(left), "{age}");
            assert_eq!(read.age.is_zero(), left == 3600, "{age}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_query() {
        let uri = "https://i.example/jwks?api_key=canary".parse().unwrap();
        assert_eq!(shown(&uri), "https://i.example/jwks");
        let request = request(&uri);
        assert_eq!(request.uri(), &uri);
        assert_eq!(request.headers()[CACHE_CONTROL], "no-cache");
    }

    proptest! {
        #[test]
        fn no_answer_panics(body in "\\PC*", cache in "[ -~]*", age in "[ -~]*") {
            let mut answer = answer(200, body);
            answer.headers_mut().insert(CACHE_CONTROL, cache.parse().unwrap());
            answer.headers_mut().insert(AGE, age.parse().unwrap());
            let _ = read(&answer, Duration::ZERO, Duration::MAX);
            let _ = lifetime(answer.headers(), super::age(answer.headers()));
        }
    }
}
