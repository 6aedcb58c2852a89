//! The answers to requests that are refused (RFC 6750 §3, RFC 9449 §7.1): the status, what the client is to show instead, and
//! why, in words that quote nothing of the request.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::access::Refused;
use super::certificate::CertificateError;
use super::error::ConfigError;
use super::need::Need;
use super::presented::{PresentError, Scheme};
use super::proof::ProofError;

/// In seconds: when to come back after more proofs than can be remembered.
const PAUSE: u64 = 5;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub(crate) enum Refusal<'a> {
    /// It shows no credential that this server knows.
    NothingShown,
    /// Its token or key is expired, revoked, malformed, unknown or not for this server (RFC 6750 §3.1, `invalid_token`). The
    /// description goes to the client.
    InvalidToken {
        /// The scheme that the token came with.
        scheme: Scheme,
        /// Without quotes and backslashes.
        description: &'static str,
    },
    /// A legacy key, where only tokens go.
    KeyNotTaken,
    /// A token, where only legacy keys go. It is not looked at: no other one opens more.
    TokenNotTaken(Scheme),
    /// A token in the scheme of legacy keys, where it would do in its own.
    TokenAsKey,
    /// Its token is good, and has not been granted what is needed (RFC 6750 §3.1, `insufficient_scope`).
    InsufficientScope {
        /// The scheme that the token came with.
        scheme: Scheme,
        /// What is needed.
        need: &'a Need,
    },
    /// Its credential cannot be read.
    Unreadable(PresentError),
    /// The table refuses it, whatever it shows.
    Refused(Refused),
    /// Its token is bound to a key, and that is not shown as it must be (RFC 9449 §4.3).
    Proof(ProofError),
    /// Its token is bound to a certificate, and that is not shown (RFC 8705 §3).
    Certificate {
        /// The scheme that the token came with.
        scheme: Scheme,
        /// What is wrong.
        error: CertificateError,
    },
    /// Nothing is known against it: what tokens are verified with cannot be had at present.
    Unavailable {
        /// When to come back.
        retry_after: Duration,
    },
}

/// Writes the answers. It knows what a client must be told of this server.
#[derive(Clone, Debug)]
pub(crate) struct Challenger {
    realm: Option<String>,
    algs: String,
    announces_dpop: bool,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// `WWW-Authenticate`: what to show instead.
    pub(crate) challenge: Option<HeaderValue>,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// None for a request that showed nothing: it is told of no error (RFC 6750 §3.1).
    pub(crate) error: Option<Told>,
}

/// What a client is told of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// `error`.
    pub(crate) code: &'static str,
    /// `error_description`.
    pub(crate) description: &'static str,
}

/// A status with its error code (RFC 6750 §3.1, RFC 9449 §7.1).
#[derive(Clone, Copy)]
struct Code(StatusCode, &'static str);

const INVALID_REQUEST: Code = Code(StatusCode::BAD_REQUEST, "invalid_request");
const INVALID_TOKEN: Code = Code(StatusCode::UNAUTHORIZED, "invalid_token");
const INVALID_PROOF: Code = Code(StatusCode::UNAUTHORIZED, "invalid_dpop_proof");
const INSUFFICIENT_SCOPE: Code = Code(StatusCode::FORBIDDEN, "insufficient_scope");
const ACCESS_DENIED: Code = Code(StatusCode::FORBIDDEN, "access_denied");
const UNAVAILABLE: Code = Code(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");

impl Challenger {
    /// Without a realm. Proofs may be signed like this, as [`DpopVerifier::algs`](super::DpopVerifier::algs) lists it: whoever
    /// shows a token with one, or one that has to have one, is told so.
    pub(crate) fn new(algs: impl Into<String>) -> Self {
        Self { realm: None, algs: algs.into(), announces_dpop: false }
    }

    /// With a realm in each challenge (RFC 9110 §11.5).
    ///
    /// # Errors
    ///
    /// When it has characters that cannot stand in a header: all but visible ASCII and spaces.
    pub(crate) fn realm(mut self, realm: impl Into<String>) -> Result<Self, ConfigError> {
        let realm = realm.into();
        if !realm.bytes().all(is_printable) {
            let problem = "has characters that are not visible ASCII or spaces";
            return Err(ConfigError::new("realm", problem));
        }
        self.realm = Some(realm);
        Ok(self)
    }

    /// Tells all others too that tokens which are bound to a key would do (RFC 9449 §7.1).
    #[must_use]
    pub(crate) fn announcing_dpop(mut self) -> Self {
        self.announces_dpop = true;
        self
    }

    /// What is answered to a request that is refused for this.
    pub(crate) fn answer(&self, refusal: &Refusal<'_>) -> Answer {
        match *refusal {
            Refusal::NothingShown => {
                let challenge = self.challenge(Scheme::Bearer, StatusCode::UNAUTHORIZED, &[]);
                Answer {
                    status: StatusCode::UNAUTHORIZED,
                    challenge: Some(challenge),
                    retry_after: None,
                    error: None,
                }
            }
            Refusal::InvalidToken { scheme, description } => {
                self.challenging(scheme, INVALID_TOKEN, description)
            }
            Refusal::KeyNotTaken => self.challenging(
                Scheme::Bearer,
                INVALID_TOKEN,
                "an API key does not open this endpoint; send an access token",
            ),
            // Not a 401, by which a client would fetch another token, at a price and for nothing.
            Refusal::TokenNotTaken(scheme) => self.challenging(
                scheme,
                INSUFFICIENT_SCOPE,
                "this endpoint takes API keys only, and no access token opens it; send an API key",
            ),
            Refusal::TokenAsKey => self.challenging(
                Scheme::Bearer,
                INVALID_TOKEN,
                "the scheme Token is for API keys; send an access token with the scheme Bearer",
            ),
            Refusal::InsufficientScope { scheme, need } => {
                let scope = need.required_scopes().collect::<Vec<_>>().join(" ");
                let description = "the token has not been granted what this endpoint needs";
                self.with(
                    scheme,
                    INSUFFICIENT_SCOPE,
                    description,
                    Some(&*scope).filter(|scope| !scope.is_empty()),
                )
            }
            Refusal::Unreadable(PresentError::Several) => {
                let description =
                    "send one credential, in one Authorization field and nowhere else";
                self.challenging(Scheme::Bearer, INVALID_REQUEST, description)
            }
            Refusal::Unreadable(PresentError::Malformed(scheme)) => {
                self.challenging(scheme, INVALID_TOKEN, "the credential is malformed")
            }
            Refusal::Refused(Refused::Ambiguous(_)) => Answer::plain(
                INVALID_REQUEST,
                "servers read this path in different ways; write it in its plain form",
            ),
            Refusal::Refused(Refused::Unlisted) => {
                Answer::plain(ACCESS_DENIED, "no credential opens this method and path")
            }
            Refusal::Proof(error @ ProofError::TooMany) => {
                Answer { retry_after: Some(PAUSE), ..Answer::plain(UNAVAILABLE, error.words()) }
            }
            // Its token has to come with a proof, whether others are told of that or not.
            Refusal::Proof(error @ ProofError::BoundTokenAsBearer) => {
                let challenger = self.clone().announcing_dpop();
                challenger.challenging(Scheme::Bearer, INVALID_TOKEN, error.words())
            }
            Refusal::Proof(error) if error.is_about_token() => {
                self.challenging(Scheme::Dpop, INVALID_TOKEN, error.words())
            }
            Refusal::Proof(error) => self.challenging(Scheme::Dpop, INVALID_PROOF, error.words()),
            Refusal::Certificate { scheme, error } => {
                self.challenging(scheme, INVALID_TOKEN, error.words())
            }
            Refusal::Unavailable { retry_after } => {
                // Rounded up: a client that comes back too early has come for nothing.
                let seconds =
                    retry_after.as_secs().saturating_add((retry_after.subsec_nanos() > 0).into());
                let description = "tokens cannot be verified at present";
                Answer {
                    retry_after: Some(seconds.max(1)),
                    ..Answer::plain(UNAVAILABLE, description)
                }
            }
        }
    }

    fn challenging(&self, scheme: Scheme, code: Code, description: &'static str) -> Answer {
        self.with(scheme, code, description, None)
    }

    fn with(
        &self,
        scheme: Scheme,
        code: Code,
        description: &'static str,
        scope: Option<&str>,
    ) -> Answer {
        let mut params = vec![("error", code.1), ("error_description", description)];
        params.extend(scope.map(|scope| ("scope", scope)));
        let answer = Answer::plain(code, description);
        let challenge = self.challenge(scheme, answer.status, &params);
        Answer { challenge: Some(challenge), ..answer }
    }

    /// The challenge of the scheme that the request used, and for a 401 to a bearer token the other one that would do as well, where
    /// that is announced (RFC 9449 §7.1, §7.2), in one field line.
    fn challenge(
        &self,
        scheme: Scheme,
        status: StatusCode,
        params: &[(&str, &str)],
    ) -> HeaderValue {
        let realm = self.realm.as_deref().map(|realm| ("realm", realm)).into_iter();
        let algs = ("algs", &*self.algs);
        let params = realm.clone().chain(params.iter().copied());
        let is_offer = self.announces_dpop && status == StatusCode::UNAUTHORIZED;
        let text = match scheme {
            Scheme::Dpop => written("DPoP", params.chain([algs])),
            Scheme::Bearer if is_offer => {
                format!("{}, {}", written("Bearer", params), written("DPoP", realm.chain([algs])))
            }
            Scheme::Bearer => written("Bearer", params),
        };
        HeaderValue::from_str(&text).expect("quoting leaves nothing but visible ASCII and spaces")
    }
}

impl Answer {
    fn plain(Code(status, code): Code, description: &'static str) -> Self {
        let error = Some(Told { code, description });
        Self { status, challenge: None, retry_after: None, error }
    }

    /// JSON with `error` and `error_description`, if there is something to say.
    pub(crate) fn body(&self) -> Option<String> {
        let Told { code, description } = self.error?;
        Some(serde_json::json!({"error": code, "error_description": description}).to_string())
    }

    /// As a response, which no cache may keep.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        let has_body = self.error.is_some();
        let mut response = Response::new(Bytes::from(self.body().unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl<'a> From<PresentError> for Refusal<'a> {
    fn from(error: PresentError) -> Self {
        Self::Unreadable(error)
    }
}

impl<'a> From<Refused> for Refusal<'a> {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl<'a> From<ProofError> for Refusal<'a> {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

/// A scheme and its parameters, each a `quoted-string` (RFC 9110 §5.6.4, §11.3).
fn written<'a>(scheme: &str, params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = scheme.to_owned();
    for (number, (name, value)) in params.into_iter().enumerate() {
        text.push_str(if number == 0 { " " } else { ", " });
        text.push_str(name);
        text.push_str("=\"");
        for character in value.chars() {
            match character {
                '"' | '\\' => text.extend(['\\', character]),
                ' '..='~' => text.push(character),
                _ => text.push('?'),
            }
        }
        text.push('"');
    }
    text
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

#[cfg(test)]
mod tests;
