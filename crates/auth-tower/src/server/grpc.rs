//! Refusals as gRPC has them: its clients look at `grpc-status`, and at the HTTP status only where there is none.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::challenge::Answer;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is one of gRPC's, by its content type.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = content_type.and_then(|text| text.strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// The answer without messages ("Trailers-Only"), with the challenge as metadata.
pub(super) fn response(answer: Answer) -> Response<Bytes> {
    let (status, message) = match answer.status {
        StatusCode::UNAUTHORIZED => ("16", "unauthenticated: see www-authenticate"),
        StatusCode::FORBIDDEN => ("7", "permission denied: see www-authenticate"),
        StatusCode::SERVICE_UNAVAILABLE => ("14", "tokens cannot be verified at present"),
        _ => ("3", "invalid argument: the credentials or the path are malformed"),
    };
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(status));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    if let Some(challenge) = answer.challenge {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}
