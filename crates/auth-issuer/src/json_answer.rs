//! Answers in JSON, and errors as OAuth has them (RFC 6749 §5.2).

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

/// An answer that is not to be kept.
pub(crate) fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = empty(status);
    *response.body_mut() = Body::from(body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An error, and words for whoever reads it.
pub(crate) fn error(status: StatusCode, code: &str, words: &str) -> Response {
    answer(status, &json!({ "error": code, "error_description": words }))
}

pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// For the routers' own 405, which has no body otherwise. They add `Allow` themselves.
pub(crate) async fn wrong_method() -> Response {
    let words = "this path takes other methods: see Allow";
    error(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", words)
}
