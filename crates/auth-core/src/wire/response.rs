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

use super::{LONGEST_ANSWER, said};
use crate::clock::Timestamp;
use crate::failure::{Failure, FailureKind};
use crate::quota::said::Said;
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

/// An answer: what came of the request, and what the issuer says besides.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) token: Result<TokenResponse, Failure>,
    pub(crate) said: Said,
}

/// An answer that means that the quota is spent, although OAuth has another meaning for it.
#[derive(Clone, Debug)]
pub(crate) struct QuotaRefusal {
    pub(crate) status: StatusCode,
    /// Stands somewhere in the body, in whatever case.
    pub(crate) text: String,
}

impl QuotaRefusal {
    fn fits(&self, status: StatusCode, body: &[u8]) -> bool {
        let text = self.text.as_bytes();
        let stands = |part: &[u8]| part.eq_ignore_ascii_case(text);
        status == self.status && (text.is_empty() || body.windows(text.len()).any(stands))
    }
}

/// Reads an answer that arrived at `now`, and wipes it.
pub(crate) fn read(
    response: Response<Bytes>,
    now: Timestamp,
    refusals: &[QuotaRefusal],
) -> Reading {
    let (head, body) = response.into_parts();
    let retry_after = retry_after(&head.headers, now);
    let answer = read_body(head.status, &head.headers, &body, refusals);
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
    let token = answer.map_err(|failure| failure.with_retry_after(retry_after));
    Reading { token, said: said::read(&head.headers) }
}

fn read_body(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    refusals: &[QuotaRefusal],
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
    if refusals.iter().any(|refusal| refusal.fits(status, body)) {
        let said =
            format!("the issuer answered {}, which means that its quota is spent", status.as_u16());
        return Err(Failure::new(FailureKind::OverQuota, said));
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
        FailureKind::Rejected => {
            ": check the credentials, the audience, the scopes and the endpoint"
        }
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
mod tests;
