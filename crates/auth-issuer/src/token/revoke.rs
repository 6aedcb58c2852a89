//! The revocation endpoint: `POST /oauth/revoke` (RFC 7009). It costs no unit of the quota.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::response::Response;
use secrecy::ExposeSecret;

use super::answer::{self, Refusal};
use super::authenticate::authenticate;
use super::is_foreign;
use super::request::TokenRequest;
use crate::state::State;

/// Answers a revocation request.
pub(crate) async fn revoke(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    if is_foreign(&state, &request) {
        return Refusal::Foreign.into_response();
    }
    let request = TokenRequest::read(request).await;
    match revoked(&state, &request) {
        Ok(()) => answer::done(),
        Err(refusal) => {
            let client = state.registry.shown(request.client_id.as_deref());
            tracing::debug!(?refusal, client, "revocation refused");
            refusal.into_response()
        }
    }
}

fn revoked(state: &State, request: &TokenRequest) -> Result<(), Refusal> {
    let (client, ..) = authenticate(state, request)?;
    let token = request.token.as_ref().ok_or(Refusal::InvalidRequest("token is missing"))?;
    let token = token.expose_secret();
    match state.tokens.known(token) {
        Some(known) if *known.client != *client => Err(Refusal::NotYours),
        // "The client must assume the token still exists and may retry" (RFC 7009 §2.2.1).
        Some(known) => state.revoke(&known).map_err(|_| Refusal::RevokedForNow),
        // As good as revoked (RFC 7009 §2.2).
        None => Ok(()),
    }
}
