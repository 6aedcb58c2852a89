//! The API that the tokens open: two endpoints in the vendor's dress.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::state::State;

/// The longest body that is echoed, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

const INVALID_TOKEN: &str = r#"Bearer error="invalid_token""#;

/// The routes of the API, guarded and counted.
pub(crate) fn router(state: &Arc<State>) -> Router<Arc<State>> {
    Router::new()
        .route("/v2/shipments", get(shipments))
        .route("/v2/bookings", post(bookings))
        // Not `layer`, which would guard unknown paths as well.
        .route_layer(middleware::from_fn_with_state(Arc::clone(state), guard))
        .route_layer(middleware::from_fn_with_state(Arc::clone(state), count))
}

async fn shipments() -> Response {
    let body = json!({
        "_object": "/api/response",
        "version": 2,
        "error": null,
        "data": {
            "_object": "/api/collections/paginated",
            "prev": null,
            "next": null,
            "data": [
                shipment(1001, "Teapots to Rotterdam", "ocean"),
                shipment(1002, "Valves to Oakland", "ocean"),
                shipment(1003, "Sensors to Lyon", "air"),
            ],
        },
    });
    let mut response = Response::new(Body::from(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn shipment(id: u64, name: &str, mode: &str) -> Value {
    json!({ "_object": "/shipment", "id": id, "name": name, "transportation_mode": mode })
}

/// Gives the body back as it came, so that a test can see that a replayed request kept it.
async fn bookings(request: Request) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let Ok(body) = to_bytes(request.into_body(), MAX_BODY).await else {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::CREATED;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}

/// Lets only requests with a valid token through (RFC 6750).
async fn guard(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let refusal = match state.api_status() {
        Some(status) => refused(status, forced_challenge(status)),
        None => match bearer(request.headers()) {
            Credential::Token(token) if state.tokens.is_valid(token, state.clock.now()) => {
                return next.run(request).await;
            }
            Credential::Token(_) => refused(StatusCode::UNAUTHORIZED, Some(INVALID_TOKEN)),
            // RFC 6750 §3.1: without a credential there is nothing to say of it.
            Credential::None => refused(StatusCode::UNAUTHORIZED, Some("Bearer")),
            Credential::Ambiguous => {
                refused(StatusCode::BAD_REQUEST, Some(r#"Bearer error="invalid_request""#))
            }
        },
    };
    // An answer while the client still writes can reach it as a reset connection; a test wants the status.
    let _ = to_bytes(request.into_body(), MAX_BODY).await;
    refusal
}

async fn count(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    state.tally.api_answered(response.status());
    response
}

enum Credential<'a> {
    Token(&'a str),
    /// Several `Authorization` headers.
    Ambiguous,
    None,
}

fn bearer(headers: &HeaderMap) -> Credential<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Credential::None };
    if values.next().is_some() {
        return Credential::Ambiguous;
    }
    match value.to_str().ok().and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Credential::Token(token.trim())
        }
        _ => Credential::None,
    }
}

fn forced_challenge(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED => Some(INVALID_TOKEN),
        StatusCode::FORBIDDEN => Some(r#"Bearer error="insufficient_scope""#),
        _ => None,
    }
}

fn refused(status: StatusCode, challenge: Option<&'static str>) -> Response {
    let mut response = empty(status);
    if let Some(challenge) = challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
