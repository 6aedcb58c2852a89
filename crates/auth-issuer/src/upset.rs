//! What comes between a request and its handler: the events that are due, and faults.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;

use crate::api::refusals::challenge;
use crate::fault::Place;
use crate::state::State;

/// The longest body that is read for a fault's sake, in bytes.
pub(crate) const MAX_BODY: usize = 16 * 1024 * 1024;

/// Lets the events happen that are due before anything is made of the request.
pub(crate) async fn play(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    state.play().await;
    next.run(request).await
}

/// Lets the request meet the fault of the API, if there is one.
pub(crate) async fn api(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    challenged(at(Place::Api, &state, request, next).await)
}

/// A refusal that a fault made is to look like one of the API's own (RFC 9110 §15.5.2): clients read the challenge.
pub(crate) fn challenged(mut response: Response) -> Response {
    if let Some(challenge) = challenge(response.status()) {
        let challenge = HeaderValue::from_static(challenge);
        response.headers_mut().entry(WWW_AUTHENTICATE).or_insert(challenge);
    }
    response
}

/// Lets the request meet the fault of the key set, if there is one.
pub(crate) async fn keys(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    at(Place::Keys, &state, request, next).await
}

/// Lets the request meet the fault of everywhere, if there is one: for what has no place of its own.
pub(crate) async fn elsewhere(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    at(Place::Everywhere, &state, request, next).await
}

/// Lets the request meet the fault of `place`, if there is one. The token endpoint does so itself, since its fault decides
/// about the quota.
async fn at(place: Place, state: &State, request: Request, next: Next) -> Response {
    match state.fault(place) {
        None => next.run(request).await,
        Some(fault) if fault.replaces_answer() => {
            // An answer while the client still writes can reach it as a reset connection; a test wants the fault.
            let _ = to_bytes(request.into_body(), MAX_BODY).await;
            fault.strike(std::future::pending()).await
        }
        Some(fault) => fault.strike(next.run(request)).await,
    }
}
