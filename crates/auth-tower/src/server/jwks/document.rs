//! Where a key set is, and what comes from there (RFC 7517 §5).

use std::time::Duration;

use auth_core::{LONGEST_ANSWER, Origin};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL};
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

pub(super) fn request(uri: &Uri) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri.clone();
    let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
    request.headers_mut().insert(ACCEPT, accept);
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
) -> Result<(Vec<Key>, Duration), &'static str> {
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
    let lifetime = lifetime(answer.headers()).unwrap_or(fresh_for);
    Ok((keys, lifetime.min(fresh_at_most)))
}

/// `Cache-Control: max-age` (RFC 9111 §5.2.2.1), but at least a minute, whatever the issuer says.
fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    const LEAST: Duration = Duration::from_secs(60);

    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut max_age = None;
    for directive in lines.flat_map(|line| line.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(LEAST),
            // The first counts (RFC 9111 §4.2.1). One that cannot be read means that the answer is stale already, and one that
            // is too large is as good as the largest (§1.2.2).
            "max-age" if max_age.is_none() => {
                let digits = value.trim().trim_matches('"');
                let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let seconds = if is_number { digits.parse().unwrap_or(u64::MAX) } else { 0 };
                max_age = Some(Duration::from_secs(seconds));
            }
            _ => {}
        }
    }
    max_age.map(|max_age| max_age.max(LEAST))
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
    fn max_age_counts_within_bounds() {
        let lifetime = |text: &'static str| {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(text))]);
            super::lifetime(&headers).map(|lifetime| lifetime.as_secs())
        };
        assert_eq!(super::lifetime(&HeaderMap::new()), None);
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
        assert_eq!(read(&answer, hour, day).unwrap().1, day);
        assert_eq!(read(&answer, hour, hour / 4).unwrap().1, hour / 4);
        answer.headers_mut().clear();
        assert_eq!(read(&answer, hour, day).unwrap().1, hour);
    }

    proptest! {
        #[test]
        fn no_answer_panics(body in "\\PC*", cache in "[ -~]*") {
            let mut answer = answer(200, body);
            answer.headers_mut().insert(CACHE_CONTROL, cache.parse().unwrap());
            let _ = read(&answer, Duration::ZERO, Duration::MAX);
            let _ = lifetime(answer.headers());
        }
    }
}
