//! Answers of the page: documents, files, and redirects.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};

/// A page.
pub(super) fn html(status: StatusCode, text: String) -> Response {
    typed(status, "text/html; charset=utf-8", Body::from(text))
}

/// A file that is part of the program.
pub(super) fn asset(kind: &'static str, text: &'static str) -> Response {
    typed(StatusCode::OK, kind, Body::from(text))
}

fn typed(status: StatusCode, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// RFC 9110 §15.4.4: whatever was posted, what follows is a GET.
pub(super) fn see_other(target: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(target) = HeaderValue::from_str(target) {
        response.headers_mut().insert(LOCATION, target);
    }
    response
}
