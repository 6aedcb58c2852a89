//! The revocation endpoint: `POST /oauth/revoke` (RFC 7009). It costs no unit of the quota.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::response::Response;
use secrecy::ExposeSecret;

use super::answer::{self, Refusal};
use super::authenticate::authenticate;
use super::request::TokenRequest;
use crate::state::State;

/// Answers a revocation request.
pub(crate) async fn revoke(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    let request = TokenRequest::read(request).await;
    match revoked(&state, &request) {
        Ok(()) => answer::done(),
        Err(refusal) => {
            tracing::debug!(?refusal, client = request.client_id, "revocation refused");
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
