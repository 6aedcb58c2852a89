//! The answer of a token endpoint: a token, or a failure of one defined kind (RFC 6749 §5.1 and §5.2).
//!
//! Which kind, and what follows, is in the table of `answers.rs`. What the issuer wrote gets into a message by way of
//! `quote.rs` alone.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::{Zeroize, Zeroizing};

use super::quote::{Redactions, quote};
use super::{LONGEST_ANSWER, dpop, said};
use crate::answers::{self, Fault};
use crate::clock::Timestamp;
use crate::failure::{Failure, FailureKind};
use crate::quota::said::Said;
use crate::token::AccessToken;

/// The type of token that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// RFC 6750: the request had no proof.
    Bearer,
    /// RFC 9449 §5: the request had a proof, and the token is bound to its key.
    Dpop,
}

impl TokenType {
    fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// A usable token, what the issuer says of its lifetime in seconds, and the scope if it names one (RFC 6749 §5.1).
#[derive(Debug)]
pub(crate) struct TokenResponse {
    pub(crate) token: AccessToken,
    pub(crate) expires_in: Option<f64>,
    pub(crate) scope: Option<String>,
}

/// An answer: what came of the request, and what the issuer says besides.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) token: Result<TokenResponse, Failure>,
    pub(crate) said: Said,
    /// What the next proof must have in it (RFC 9449 §8.2).
    pub(crate) nonce: Option<String>,
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

/// Reads an answer that arrived at `now` to a request for a token of the type `demanded`, and wipes it. None of `secrets` gets
/// into a message.
pub(crate) fn read(
    response: Response<Bytes>,
    now: Timestamp,
    refusals: &[QuotaRefusal],
    demanded: TokenType,
    secrets: &Redactions,
) -> Reading {
    let (head, body) = response.into_parts();
    let nonce = dpop::nonce(&head.headers).map(str::to_owned);
    let retry_after = retry_after(&head.headers, now);
    let proves = demanded == TokenType::Dpop && nonce.is_some();
    let reader = Reader { status: head.status, refusals, demanded, proves, secrets };
    let answer = reader.read(&head.headers, &body);
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
    let is_unauthorized = head.status == StatusCode::UNAUTHORIZED;
    let token = answer.map_err(|failure| Failure { retry_after, is_unauthorized, ..failure });
    Reading { token, said: said::read(&head.headers), nonce }
}

/// What an answer is read by.
struct Reader<'a> {
    status: StatusCode,
    refusals: &'a [QuotaRefusal],
    demanded: TokenType,
    /// Whether a proof with a nonce can be sent next.
    proves: bool,
    secrets: &'a Redactions,
}

impl Reader<'_> {
    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<TokenResponse, Failure> {
        if body.len() > LONGEST_ANSWER {
            return Err(self.junk(Fault::TooLong));
        }
        if self.status.is_success() {
            if is_compressed(headers) {
                return Err(self.junk(Fault::Compressed));
            }
            if !is_json(headers) {
                return Err(self.junk(Fault::ContentType));
            }
            return match serde_json::from_slice::<Answer>(body) {
                Ok(answer) if answer.error.is_some() => Err(self.refused(&answer)),
                Ok(answer) => self.token(answer),
                Err(error) if error.is_data() => Err(self.junk(Fault::Members)),
                Err(_) => Err(self.junk(Fault::NotJson)),
            };
        }
        let answer = serde_json::from_slice::<Answer>(body).unwrap_or_default();
        if self.refusals.iter().any(|refusal| refusal.fits(self.status, body)) {
            return Err(Fault::QuotaRefusal.failure(self.said(&answer)));
        }
        Err(self.refused(&answer))
    }

    fn token(&self, answer: Answer) -> Result<TokenResponse, Failure> {
        let Answer { access_token, token_type, expires_in, scope, .. } = answer;
        let Some(mut token) = access_token else { return Err(self.junk(Fault::NoToken)) };
        let demanded = self.demanded.name();
        match token_type {
            Some(kind) if kind.eq_ignore_ascii_case(demanded) => {}
            Some(_) => {
                let since = match self.demanded {
                    TokenType::Bearer => "",
                    TokenType::Dpop => ", although a proof was sent (RFC 9449 section 5)",
                };
                let problem = format!("its `token_type` is not `{demanded}`{since}");
                return Err(Fault::TokenType.unusable(problem));
            }
            None => return Err(Fault::TokenType.unusable("the answer has no `token_type`")),
        }
        let expires_in = match expires_in {
            Some(Seconds(Some(seconds))) => Some(seconds),
            Some(Seconds(None)) => {
                return Err(Fault::ExpiresIn.unusable("its `expires_in` is not a number"));
            }
            None => None,
        };
        let token = AccessToken::parse(std::mem::take(&mut *token))
            .map_err(|problem| Fault::TokenText.unusable(problem))?;
        let scope = scope.and_then(|Text(scope)| scope).map(|scope| scope.as_str().to_owned());
        Ok(TokenResponse { token, expires_in, scope })
    }

    /// What an answer without a token comes to.
    fn refused(&self, answer: &Answer) -> Failure {
        let code = answer.error.as_ref().map(|code| code.as_str());
        let row = answers::of(self.status, code);
        let said = self.said(answer);
        // Nothing would hold the next request back, and it would fare no better.
        if row.kind == FailureKind::NonceRequired && !self.proves {
            return Fault::NoNonce.failure(said);
        }
        row.failure(said)
    }

    /// What the issuer answered: its status, its error code and its own words for it.
    fn said(&self, answer: &Answer) -> String {
        let quote = |text: &str| {
            // An answer that refuses a token and gives one: nobody is to see it.
            let token = answer.access_token.as_ref().map(|token| token.as_str());
            let text = quote(text.trim(), &self.secrets.and(token));
            (!text.is_empty()).then_some(text)
        };
        let mut said = format!("the issuer answered {}", self.status.as_u16());
        match answer.error.as_ref().map(|code| code.as_str()) {
            Some(code) if answers::is_known(code) => said.push_str(&format!(" `{code}`")),
            Some(code) => {
                let code = quote(code).map_or_else(String::new, |code| format!(" \"{code}\""));
                said.push_str(&format!(" with the unregistered error code{code}"));
            }
            None => {}
        }
        let description = answer.description.as_ref().and_then(|Text(text)| quote(text.as_ref()?));
        if let Some(description) = description {
            said.push_str(&format!(" (\"{description}\")"));
        }
        said
    }

    fn junk(&self, fault: Fault) -> Failure {
        let status = self.status.as_u16();
        fault.failure(format_args!("the issuer answered {status} with {}", fault.words()))
    }
}

/// Transports do not decompress.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity")
}

/// A missing content type is let pass: a token is paid for, and the body says what it is.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
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
    scope: Option<Text>,
    error: Option<Zeroizing<String>>,
    description: Option<Text>,
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
                        "scope" => answer.scope = map.next_value()?,
                        "error" => {
                            answer.error = map.next_value::<Option<String>>()?.map(Zeroizing::new);
                        }
                        "error_description" => answer.description = map.next_value()?,
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

/// A text; of another type it is as good as absent, and no reason to refuse an answer that is good otherwise.
struct Text(Option<Zeroizing<String>>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lenient;

        impl<'de> Visitor<'de> for Lenient {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(Zeroizing::new(text.to_owned()))))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }

        deserializer.deserialize_any(Lenient)
    }
}

#[cfg(test)]
mod tests;
