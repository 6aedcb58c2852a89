//! The token endpoint's answers: RFC 6749 §5.1 and §5.2.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::jose::ProofError;
use crate::past::Outcome;
use crate::quota::{OverAnswer, QuotaHeaders};

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Malformed or incomplete; says how.
    InvalidRequest(&'static str),
    UnsupportedMediaType,
    /// Unknown, or not authenticated; by the `Authorization` header, if it tried.
    InvalidClient {
        by_header: bool,
    },
    UnsupportedGrant,
    /// No such audience.
    AccessDenied,
    /// The credential is disabled.
    Disabled,
    /// A resource that the credential was not given, or what is no scope.
    InvalidScope,
    Unsigned,
    /// The request could not be written down.
    NotKept,
    /// A browser sent it for the page of another site.
    Foreign,
    /// The revocation could not be.
    RevokedForNow,
    /// The DPoP proof proves nothing, or lacks the nonce (RFC 9449 §5 and §8).
    Proof(ProofError),
    /// A token that is to be revoked is another client's.
    NotYours,
}

#[derive(Serialize)]
struct Issued<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

/// The answer that carries a token, bound to a key or not (RFC 9449 §5), and what its client's quota has to say.
pub(super) fn issued(
    token: &str,
    lifetime: Duration,
    scope: Option<&str>,
    is_bound: bool,
    quota: QuotaHeaders,
) -> Response {
    let token_type = if is_bound { "DPoP" } else { "Bearer" };
    let issued = Issued { access_token: token, token_type, expires_in: lifetime.as_secs(), scope };
    let mut response = json(StatusCode::OK, &issued);
    quota.put(response.headers_mut());
    response
}

/// The answer to a request over the quota.
pub(super) fn over_quota(over: OverAnswer) -> Response {
    let mut response = match &over.body {
        Some((error, description)) => {
            let body = serde_json::json!({ "error": error, "error_description": description });
            json(over.status, &body)
        }
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = over.status;
            response
        }
    };
    over.put(response.headers_mut());
    response
}

/// The answer to a revocation (RFC 7009 §2.2), whose body is nobody's concern.
pub(super) fn done() -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Refusal {
    pub(super) fn into_response(self) -> Response {
        let (status, error, description) = self.parts();
        let body = serde_json::json!({ "error": error, "error_description": description });
        let mut response = json(status, &body);
        if let Self::InvalidClient { by_header: true } = self {
            // RFC 6749 §5.2: with a challenge of the scheme that the client used.
            let challenge = HeaderValue::from_static(r#"Basic realm="oauth""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::InvalidRequest(_)
            | Self::UnsupportedMediaType
            | Self::Proof(_)
            | Self::NotYours => Outcome::BadRequest,
            Self::InvalidClient { .. } => Outcome::InvalidClient,
            Self::UnsupportedGrant => Outcome::UnsupportedGrant,
            Self::AccessDenied | Self::Disabled | Self::Foreign => Outcome::AccessDenied,
            Self::InvalidScope => Outcome::InvalidScope,
            Self::Unsigned | Self::NotKept | Self::RevokedForNow => Outcome::Failed,
        }
    }

    /// Status, error code and description. Nothing of the request is repeated in it.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest(how) => (StatusCode::BAD_REQUEST, "invalid_request", how),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request",
                "Content-Type must be application/json or application/x-www-form-urlencoded",
            ),
            Self::InvalidClient { .. } => {
                (StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed")
            }
            Self::UnsupportedGrant => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "grant_type must be client_credentials",
            ),
            Self::AccessDenied => (
                StatusCode::FORBIDDEN,
                "access_denied",
                "The client has no grant for this audience",
            ),
            Self::Disabled => (
                StatusCode::BAD_REQUEST,
                "unauthorized_client",
                "The credential is disabled: enable it in Settings, API",
            ),
            Self::InvalidScope => (
                StatusCode::BAD_REQUEST,
                "invalid_scope",
                "The credential was not given all of this scope, or it is no scope (RFC 6749, section 3.3)",
            ),
            Self::NotKept => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "The request could not be written down",
            ),
            Self::RevokedForNow => (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "The revocation could not be written down, and would not outlive a restart: try again",
            ),
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                "access_denied",
                "The page of another site sent this: clients are servers, not pages",
            ),
            Self::Proof(ProofError::Invalid(how)) => {
                (StatusCode::BAD_REQUEST, "invalid_dpop_proof", how)
            }
            Self::Proof(ProofError::Nonce) => (
                StatusCode::BAD_REQUEST,
                "use_dpop_nonce",
                "The proof must have the nonce of DPoP-Nonce",
            ),
            Self::NotYours => {
                (StatusCode::BAD_REQUEST, "invalid_grant", "The token was issued to another client")
            }
            Self::Unsigned => {
                (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "The token was not signed")
            }
        }
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Strings and numbers under fixed names always serialise.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
