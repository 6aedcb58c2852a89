//! The answer of a token endpoint: a token, or a failure of one defined kind (RFC 6749 §5.1 and §5.2).
//!
//! Nothing that the issuer wrote gets into a message: only a status code, and an error code that is on the list below.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use zeroize::{Zeroize, Zeroizing};

use super::LONGEST_ANSWER;
use crate::clock::Timestamp;
use crate::failure::{Failure, FailureKind};
use crate::token::AccessToken;

/// The error codes that are repeated in messages, and what each means.
const KNOWN_ERRORS: &[(&str, FailureKind)] = &[
    ("invalid_client", FailureKind::InvalidClient),
    ("invalid_request", FailureKind::Rejected),
    ("invalid_grant", FailureKind::Rejected),
    ("invalid_scope", FailureKind::Rejected),
    ("invalid_target", FailureKind::Rejected),
    ("unauthorized_client", FailureKind::Rejected),
    ("unsupported_grant_type", FailureKind::Rejected),
    ("access_denied", FailureKind::Rejected),
    ("too_many_requests", FailureKind::OverQuota),
    ("slow_down", FailureKind::OverQuota),
    ("temporarily_unavailable", FailureKind::Unavailable),
    ("server_error", FailureKind::Unavailable),
];

/// A usable token, and what the issuer says of its lifetime in seconds.
#[derive(Debug)]
pub(crate) struct TokenResponse {
    pub(crate) token: AccessToken,
    pub(crate) expires_in: Option<f64>,
}

/// Reads an answer that arrived at `now`, and wipes it.
pub(crate) fn read(response: Response<Bytes>, now: Timestamp) -> Result<TokenResponse, Failure> {
    let (head, body) = response.into_parts();
    let retry_after = retry_after(&head.headers, now);
    let answer = read_body(head.status, &head.headers, &body);
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
    answer.map_err(|failure| failure.with_retry_after(retry_after))
}

fn read_body(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<TokenResponse, Failure> {
    if body.len() > LONGEST_ANSWER {
        return Err(junk(status, "more than 64 KiB"));
    }
    if status.is_success() {
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(junk(status, "a compressed body, which it was not asked for"));
        }
        if !is_json(headers) {
            return Err(junk(status, "a content type that is not JSON"));
        }
        return match serde_json::from_slice::<Answer>(body) {
            Ok(Answer { error: Some(code), .. }) => Err(refused(status, Some(&code))),
            Ok(answer) => answer.into_token(status),
            Err(error) if error.is_data() => Err(junk(
                status,
                "JSON that is no token response (a wrong type, or a member twice)",
            )),
            Err(_) => Err(junk(status, "a body that is not JSON, or cut off")),
        };
    }
    let code = serde_json::from_slice::<Answer>(body).ok().and_then(|answer| answer.error);
    Err(refused(status, code.as_deref()))
}

/// What an answer without a token comes to. `code` is the `error` member, if there was one.
fn refused(status: StatusCode, code: Option<&str>) -> Failure {
    let known = code.and_then(|code| KNOWN_ERRORS.iter().find(|(known, _)| *known == code));
    let kind = match (status, known) {
        (StatusCode::TOO_MANY_REQUESTS, _) => FailureKind::OverQuota,
        (_, Some((_, kind))) if !status.is_server_error() => *kind,
        _ if status.is_server_error() => FailureKind::Unavailable,
        _ if status.is_redirection() => FailureKind::Redirect,
        (StatusCode::UNAUTHORIZED, _) => FailureKind::InvalidClient,
        (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY, _) => FailureKind::Unavailable,
        _ if status.is_client_error() || code.is_some() => FailureKind::Rejected,
        _ => FailureKind::Junk,
    };
    let status = status.as_u16();
    let said = match (known, code) {
        (Some((known, _)), _) => format!("the issuer answered {status} `{known}`"),
        (None, Some(_)) => {
            format!("the issuer answered {status} with an error code that is not registered")
        }
        (None, None) => format!("the issuer answered {status}"),
    };
    let advice = match kind {
        FailureKind::OverQuota => ": it counts more token requests than its quota allows",
        FailureKind::InvalidClient => {
            ": it does not accept the client id and secret, or the way in which they were sent (`client_auth`)"
        }
        FailureKind::Rejected => ": check the audience, the scopes and the endpoint",
        FailureKind::Redirect => {
            ": redirects are never followed with a secret; set the final URL as `token_endpoint`"
        }
        _ => "",
    };
    Failure::new(kind, format!("{said}{advice}"))
}

fn junk(status: StatusCode, what: &str) -> Failure {
    Failure::new(FailureKind::Junk, format!("the issuer answered {} with {what}", status.as_u16()))
}

fn unusable(problem: &str) -> Failure {
    Failure::new(
        FailureKind::Unusable,
        format!("the issuer gave a token that cannot be used: {problem}"),
    )
}

/// A missing content type is let pass: the token is paid for, and the body says what it is.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let Ok(value) = value.to_str() else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// `Retry-After` (RFC 9110 §10.2.3) as a length of time: seconds, or a date against the answer's own `Date`, so that the
/// clock here does not matter. What cannot be read is ignored.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let base = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(date);
    let base = base.unwrap_or_else(|| SystemTime::from(now));
    Some(date(text)?.duration_since(base).unwrap_or_default())
}

/// The members that matter. A member that stands twice is refused, since two readers could take different ones; members
/// of other names are ignored (RFC 6749 §5.1).
#[derive(Default)]
struct Answer {
    access_token: Option<Zeroizing<String>>,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
    error: Option<String>,
}

impl Answer {
    fn into_token(self, status: StatusCode) -> Result<TokenResponse, Failure> {
        let Some(mut token) = self.access_token else {
            return Err(junk(status, "JSON that has neither `access_token` nor `error`"));
        };
        match self.token_type {
            Some(kind) if kind.eq_ignore_ascii_case("bearer") => {}
            Some(_) => return Err(unusable("its `token_type` is not `Bearer`")),
            None => return Err(unusable("the answer has no `token_type`")),
        }
        let expires_in = match self.expires_in {
            Some(Seconds(Some(seconds))) => Some(seconds),
            Some(Seconds(None)) => return Err(unusable("its `expires_in` is not a number")),
            None => None,
        };
        let token = AccessToken::parse(std::mem::take(&mut *token)).map_err(unusable)?;
        Ok(TokenResponse { token, expires_in })
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Answer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
                let mut answer = Answer::default();
                let mut seen = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "access_token" => {
                            answer.access_token =
                                map.next_value::<Option<String>>()?.map(Zeroizing::new);
                        }
                        "token_type" => answer.token_type = map.next_value()?,
                        "expires_in" => answer.expires_in = map.next_value()?,
                        "error" => answer.error = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    if !seen.insert(name) {
                        return Err(de::Error::custom("a member stands twice"));
                    }
                }
                Ok(answer)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A number, or a string that holds one, as some issuers write it; anything else is `None`.
struct Seconds(Option<f64>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::String(text)
                if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') =>
            {
                text.parse().ok()
            }
            _ => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn answer(status: u16, content_type: &str, body: &str) -> Result<TokenResponse, Failure> {
        let response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
        read(response.body(Bytes::from(body.to_owned())).unwrap(), NOW)
    }

    fn ok(members: &str) -> Result<TokenResponse, Failure> {
        answer(
            200,
            "application/json",
            &format!(r#"{{"access_token":"abc","token_type":"Bearer"{members}}}"#),
        )
    }

    fn kind(result: Result<TokenResponse, Failure>) -> FailureKind {
        result.unwrap_err().kind
    }

    // torture: D26, D27
    #[test]
    fn expires_in_may_be_a_number_or_a_string_that_holds_one() {
        for (text, seconds) in [
            ("3600", 3600.0),
            ("3600.0", 3600.0),
            ("\"3600\"", 3600.0),
            ("1e30", 1e30),
            ("18446744073709551616", 1.844_674_407_370_955_2e19),
            ("-1", -1.0),
            ("0", 0.0),
        ] {
            assert_eq!(
                ok(&format!(r#","expires_in":{text}"#)).unwrap().expires_in,
                Some(seconds),
                "{text}"
            );
        }
        assert_eq!(ok("").unwrap().expires_in, None);
        assert_eq!(ok(r#","expires_in":null"#).unwrap().expires_in, None);
        for text in ["true", "[1]", r#""an hour""#, r#""inf""#, r#""NaN""#, r#""1e400""#, r#""""#] {
            assert_eq!(
                kind(ok(&format!(r#","expires_in":{text}"#))),
                FailureKind::Unusable,
                "{text}"
            );
        }
    }

    // torture: D28
    #[test]
    fn a_member_that_stands_twice_is_refused() {
        assert_eq!(kind(ok(r#","access_token":"def""#)), FailureKind::Junk);
        assert_eq!(kind(ok(r#","expires_in":1,"expires_in":2"#)), FailureKind::Junk);
        assert_eq!(kind(ok(r#","x":1,"x":1"#)), FailureKind::Junk);
        assert!(ok(r#","x":1,"y":{"access_token":1}"#).is_ok());
    }

    // torture: D33
    #[test]
    fn a_200_that_is_no_token_response_is_a_failure_of_its_kind() {
        let json = "application/json";
        assert_eq!(kind(answer(200, json, r#"{"error":"invalid_scope"}"#)), FailureKind::Rejected);
        assert_eq!(kind(answer(200, json, r#"{"error":"what?"}"#)), FailureKind::Rejected);
        assert_eq!(kind(answer(200, "text/html", "<html>")), FailureKind::Junk);
        let token = r#"{"access_token":"abc","token_type":"Bearer"}"#;
        assert_eq!(kind(answer(200, "text/html", token)), FailureKind::Junk);
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "\"a\"",
            "{\"access_token\":1}",
            "<html>",
            "{\"access_token\":\"a",
        ] {
            assert_eq!(kind(answer(200, json, body)), FailureKind::Junk, "{body}");
        }
        assert!(answer(200, "Application/JSON; charset=utf-8", token).is_ok());
        assert!(answer(200, "application/vnd.a+json", token).is_ok());
        assert!(read(Response::new(Bytes::from(token)), NOW).is_ok());
    }

    // torture: D35
    #[test]
    fn a_long_or_compressed_body_is_refused() {
        let long = format!(
            r#"{{"access_token":"abc","token_type":"Bearer","x":"{}"}}"#,
            "x".repeat(LONGEST_ANSWER)
        );
        assert_eq!(kind(answer(200, "application/json", &long)), FailureKind::Junk);
        let body = Bytes::from(r#"{"access_token":"abc","token_type":"Bearer"}"#);
        let gzip = Response::builder().header(CONTENT_ENCODING, "gzip").body(body).unwrap();
        assert_eq!(kind(read(gzip, NOW)), FailureKind::Junk);
    }

    // torture: D36
    #[test]
    fn a_token_that_cannot_stand_in_a_header_is_unusable() {
        for token in ["", "a b", "a\\r\\nb", "a\\u0000", "\\u00e9"] {
            let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#);
            assert_eq!(
                kind(answer(200, "application/json", &body)),
                FailureKind::Unusable,
                "{token}"
            );
        }
    }

    // torture: D37
    #[test]
    fn only_bearer_tokens_are_used() {
        let of = |kind: &str| {
            answer(200, "application/json", &format!(r#"{{"access_token":"abc"{kind}}}"#))
        };
        for good in ["Bearer", "bearer", "BEARER"] {
            assert!(of(&format!(r#","token_type":"{good}""#)).is_ok());
        }
        for bad in [r#","token_type":"N_A""#, r#","token_type":"mac""#, r#","token_type":null"#, ""]
        {
            assert_eq!(kind(of(bad)), FailureKind::Unusable, "{bad}");
        }
    }

    #[test]
    fn every_status_has_its_kind() {
        let of = |status, code: &str| {
            kind(answer(
                status,
                "application/json",
                &format!(r#"{{"error":"{code}","error_description":"x"}}"#),
            ))
        };
        assert_eq!(of(401, "invalid_client"), FailureKind::InvalidClient);
        assert_eq!(of(400, "invalid_client"), FailureKind::InvalidClient);
        assert_eq!(of(400, "invalid_scope"), FailureKind::Rejected);
        assert_eq!(of(403, "access_denied"), FailureKind::Rejected);
        assert_eq!(of(403, "too_many_requests"), FailureKind::OverQuota);
        assert_eq!(of(429, "invalid_client"), FailureKind::OverQuota);
        assert_eq!(of(503, "invalid_client"), FailureKind::Unavailable);
        for (status, expected) in [
            (302, FailureKind::Redirect),
            (308, FailureKind::Redirect),
            (401, FailureKind::InvalidClient),
            (403, FailureKind::Rejected),
            (404, FailureKind::Rejected),
            (408, FailureKind::Unavailable),
            (429, FailureKind::OverQuota),
            (500, FailureKind::Unavailable),
            (599, FailureKind::Unavailable),
        ] {
            assert_eq!(kind(answer(status, "text/plain", "")), expected, "{status}");
        }
    }

    #[test]
    fn nothing_that_the_issuer_wrote_gets_into_the_message() {
        let body = r#"{"error":"canary","error_description":"canary","error_uri":"canary"}"#;
        for status in [200, 400, 401, 429, 500, 302] {
            let failure = answer(status, "application/json", body).unwrap_err();
            assert!(!format!("{failure:?} {}", failure.detail).contains("canary"));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of = |value: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers, NOW).map(|length| length.as_secs())
        };
        assert_eq!(of("120", None), Some(120));
        assert_eq!(of("99999999999999999999999", None), Some(u64::MAX));
        let date = "Fri, 31 Dec 1999 23:59:59 GMT";
        assert_eq!(
            of("Fri, 31 Dec 1999 23:59:59 GMT", Some("Fri, 31 Dec 1999 23:58:59 GMT")),
            Some(60)
        );
        assert_eq!(of(date, None), Some(0));
        assert_eq!(of("soon", None), None);
        assert_eq!(of("-1", None), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(status in 100u16..1000, body in proptest::collection::vec(any::<u8>(), 0..200), retry in "[ -~]{0,40}") {
            let response = Response::builder().status(status).header(RETRY_AFTER, retry.as_str()).body(Bytes::from(body));
            prop_assert!(read(response.unwrap(), NOW).is_err());
        }
    }
}
