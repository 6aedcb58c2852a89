//! How the API says no, in the dress of each version.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// Which of the two APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Keys only.
    V1,
    /// Tokens and keys.
    V2,
}

pub(super) const INVALID_TOKEN: &str = r#"Bearer error="invalid_token""#;

/// The body of the vendor's refusal of a key.
const BAD_TOKEN: &str = r#"{"errors":[{"code":"bad_token"}]}"#;

/// And v2's, in its own dress.
const BAD_TOKEN_V2: &str = r#"{"_object":"/api/response","version":2,"data":null,"error":{"code":"bad_token","message":"The token or key is unknown, expired or revoked"}}"#;

/// Nothing was shown.
const NO_TOKEN_V2: &str = r#"{"_object":"/api/response","version":2,"data":null,"error":{"code":"no_token","message":"Show a token or a key in the Authorization field"}}"#;

/// More than one was.
const TWO_TOKENS_V2: &str = r#"{"_object":"/api/response","version":2,"data":null,"error":{"code":"invalid_request","message":"Show one token or key, and not several"}}"#;

/// Another version was asked of v2, or none where one must be, in these words.
const BAD_VERSION_V2: &str = r#"{"_object":"/api/response","version":2,"data":null,"error":{"code":"bad_version","message":"Flexport-Version must be 2"}}"#;

/// The same of v1.
const BAD_VERSION: &str = r#"{"errors":[{"code":"bad_version"}]}"#;

/// A token lacks the permission: v2's body unless another was set.
pub(super) const INSUFFICIENT_SCOPE_V2: &str = r#"{"_object":"/api/response","version":2,"data":null,"error":{"code":"insufficient_scope","message":"The token has no permission for this resource"}}"#;

const NOT_FOUND: &str = r#"{"errors":[{"code":"not_found"}]}"#;

const NOT_FOUND_V2: &str = r#"{"_object":"/api/response","version":2,"data":null,"error":{"code":"not_found","message":"There is no such resource"}}"#;

const WRONG_METHOD: &str = r#"{"errors":[{"code":"method_not_allowed"}]}"#;

const WRONG_METHOD_V2: &str = r#"{"_object":"/api/response","version":2,"data":null,"error":{"code":"method_not_allowed","message":"This path takes other methods: see Allow"}}"#;

/// There is nothing of that name.
pub(crate) fn not_found(version: Version) -> Response {
    said(StatusCode::NOT_FOUND, version, NOT_FOUND, NOT_FOUND_V2)
}

/// For the router's own 405, to which it adds `Allow`.
pub(super) fn wrong_method(version: Version) -> Response {
    said(StatusCode::METHOD_NOT_ALLOWED, version, WRONG_METHOD, WRONG_METHOD_V2)
}

/// The request does not say that it means this version.
pub(super) fn bad_version(version: Version) -> Response {
    let status = match version {
        Version::V1 => StatusCode::NOT_ACCEPTABLE,
        Version::V2 => StatusCode::BAD_REQUEST,
    };
    said(status, version, BAD_VERSION, BAD_VERSION_V2)
}

/// The token or the key is not a good one.
pub(super) fn bad_token(version: Version, challenge: &str) -> Response {
    let response = said(StatusCode::UNAUTHORIZED, version, BAD_TOKEN, BAD_TOKEN_V2);
    challenged(response, challenge)
}

/// No token and no key was shown to v2: RFC 6750 §3.1 has nothing more to say of that in the challenge.
pub(super) fn no_token() -> Response {
    let response = said(StatusCode::UNAUTHORIZED, Version::V2, BAD_TOKEN, NO_TOKEN_V2);
    challenged(response, "Bearer")
}

/// Several were.
pub(super) fn two_tokens() -> Response {
    let response = said(StatusCode::BAD_REQUEST, Version::V2, BAD_TOKEN, TWO_TOKENS_V2);
    challenged(response, r#"Bearer error="invalid_request""#)
}

/// The token lacks the permission, with the body that was set.
pub(super) fn forbidden(challenge: &str, (content_type, body): &(HeaderValue, Bytes)) -> Response {
    let mut response = refused(StatusCode::FORBIDDEN, challenge);
    if !body.is_empty() {
        *response.body_mut() = Body::from(body.clone());
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    response
}

/// A refusal without words.
fn refused(status: StatusCode, challenge: &str) -> Response {
    challenged(empty(status), challenge)
}

/// What the API was told to answer to everything.
pub(crate) fn forced(status: StatusCode) -> Response {
    match challenge(status) {
        Some(challenge) => refused(status, challenge),
        None => empty(status),
    }
}

/// What comes with a refusal of this status whose reason is not known (RFC 9110 §15.5.2, RFC 6750 §3.1).
pub(crate) fn challenge(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED => Some(INVALID_TOKEN),
        StatusCode::FORBIDDEN => Some(r#"Bearer error="insufficient_scope""#),
        _ => None,
    }
}

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn said(status: StatusCode, version: Version, v1: &'static str, v2: &'static str) -> Response {
    let mut response = empty(status);
    *response.body_mut() = Body::from(match version {
        Version::V1 => v1,
        Version::V2 => v2,
    });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn challenged(mut response: Response, challenge: &str) -> Response {
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
