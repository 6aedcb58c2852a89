//! What comes between a request and its handler: the events that are due, and faults.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;

use crate::fault::Place;
use crate::state::State;

/// The longest body that is read for a fault's sake, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

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
    at(Place::Api, &state, request, next).await
}

/// Lets the request meet the fault of the key set, if there is one.
pub(crate) async fn keys(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    at(Place::Keys, &state, request, next).await
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
