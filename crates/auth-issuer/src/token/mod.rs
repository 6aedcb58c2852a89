//! The token endpoint: `POST /oauth/token` (RFC 6749 §4.4).

mod answer;
mod basic;
mod request;

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::response::Response;

use self::answer::Refusal;
use self::request::TokenRequest;
use crate::counters::Outcome;
use crate::fault::Fault;
use crate::state::State;

/// Answers a token request.
///
/// What it costs is settled on arrival, before any wait: a client that gives up waiting has spent its unit all the
/// same.
pub(crate) async fn token(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    state.tally.arrived();
    let request = TokenRequest::read(request).await;
    state.set_last_token_request(request.record());

    let fault = state.faults.take();
    let spent = match &request.client_id {
        Some(id) if state.charges(fault.as_ref()) => state.clients.spend(id, state.clock.now()),
        _ => Ok(()),
    };
    if fault.as_ref().is_some_and(Fault::replaces_answer) {
        // Before it strikes: a fault that never answers is to be counted too.
        state.tally.ended(Outcome::Faulted);
    }
    state.tally.received();

    if let Some(fault) = fault
        && let Some(response) = fault.strike().await
    {
        return response;
    }

    let answer = match spent {
        Ok(()) => grant(&state, &request),
        Err(over) => Err(Refusal::OverQuota(over.retry_after)),
    };
    match answer {
        Ok(token) => {
            state.tally.ended(Outcome::Issued);
            answer::issued(&token, state.tokens.lifetime(), request.scope.as_deref())
        }
        Err(refusal) => {
            tracing::debug!(?refusal, client = request.client_id, "token request refused");
            state.tally.ended(refusal.outcome());
            refusal.into_response()
        }
    }
}

/// The token that `request` is entitled to.
fn grant(state: &State, request: &TokenRequest) -> Result<String, Refusal> {
    if let Some(problem) = request.problem {
        return Err(problem);
    }
    let refused = Refusal::InvalidClient { by_header: request.used_header() };
    let id = request.client_id.as_deref().ok_or(refused)?;
    let secret = request.secret.as_ref().ok_or(refused)?;
    if !state.clients.knows(id, secret) {
        return Err(refused);
    }
    match request.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(Refusal::UnsupportedGrant),
        None => return Err(Refusal::InvalidRequest("grant_type is missing")),
    }
    let audience =
        request.audience.as_deref().ok_or(Refusal::InvalidRequest("audience is missing"))?;
    if !state.audiences.iter().any(|served| served == audience) {
        return Err(Refusal::AccessDenied);
    }
    state
        .tokens
        .mint(id, audience, request.scope.as_deref(), state.clock.now())
        .ok_or(Refusal::Unsigned)
}
