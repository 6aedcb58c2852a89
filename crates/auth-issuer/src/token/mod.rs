//! The token endpoint: `POST /oauth/token` (RFC 6749 §4.4).

mod answer;
mod basic;
mod request;

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::response::Response;
use secrecy::ExposeSecret as _;

use self::answer::Refusal;
use self::request::TokenRequest;
use crate::clock::Clock as _;
use crate::credential::Known;
use crate::fault::{Fault, Place};
use crate::past::Outcome;
use crate::registry::Uncharged;
use crate::state::State;
use crate::tokens::Minted;

/// Answers a token request.
///
/// What it costs is settled on arrival, before any wait: a client that gives up waiting has spent its unit all the
/// same.
pub(crate) async fn token(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    state.tally.arrived();
    let request = TokenRequest::read(request).await;
    state.set_last_token_request(request.record());

    let fault = state.fault(Place::Token);
    let asked = check(&state, &request);
    let is_charged =
        state.charges(fault.as_ref()) && (asked.is_ok() || state.registry.counts_failures());
    let (id, audience) = (request.client_id.as_deref(), request.audience.as_deref());
    let (id, audience) = (id.unwrap_or_default(), audience.unwrap_or_default());
    let is_revoked = |number| state.tokens.is_revoked(number);
    let begun = state.registry.begin(id, audience, is_charged, is_revoked, state.clock.right());
    let end = |outcome, token| {
        state.registry.end(id, begun.number, outcome, token);
        state.tally.ended(outcome);
    };
    if fault.as_ref().is_some_and(Fault::replaces_answer) {
        // Before it strikes: a fault that never answers is to be counted too.
        end(Outcome::Faulted, None);
    }
    state.tally.received();

    let answer = async {
        let quota = match begun.spent {
            Ok(quota) => quota,
            Err(Uncharged::OverQuota(over)) => {
                tracing::debug!(client = id, "token request over the quota");
                end(Outcome::OverQuota, None);
                return answer::over_quota(*over);
            }
            Err(Uncharged::NotKept) => {
                end(Outcome::Failed, None);
                return Refusal::NotKept.into_response();
            }
        };
        match asked.and_then(|asked| Ok((asked.mint(&state)?, asked.scope))) {
            Ok((minted, scope)) => {
                end(Outcome::Issued, Some((audience.to_owned(), minted.held)));
                let lifetime = state.tokens.lifetime();
                answer::issued(&minted.token, lifetime, scope.as_deref(), quota)
            }
            Err(refusal) => {
                tracing::debug!(?refusal, client = id, "token request refused");
                end(refusal.outcome(), None);
                refusal.into_response()
            }
        }
    };
    match fault {
        Some(fault) => fault.strike(answer).await,
        None => answer.await,
    }
}

/// What a request is entitled to.
struct Asked<'a> {
    client: &'a str,
    audience: &'a str,
    scope: Option<String>,
}

impl Asked<'_> {
    fn mint(&self, state: &State) -> Result<Minted, Refusal> {
        let (scope, now) = (self.scope.as_deref(), state.clock.now());
        state.tokens.mint(self.client, self.audience, scope, now).ok_or(Refusal::Unsigned)
    }
}

/// Whether `request` is entitled to a token. No clock decides about it, so it is known on arrival.
fn check<'a>(state: &State, request: &'a TokenRequest) -> Result<Asked<'a>, Refusal> {
    if let Some(problem) = request.problem {
        return Err(problem);
    }
    let refused = Refusal::InvalidClient { by_header: request.used_header() };
    let id = request.client_id.as_deref().ok_or(refused)?;
    let secret = request.secret.as_ref().ok_or(refused)?;
    let grant = match state.registry.authenticate(id, secret.expose_secret()) {
        Known::Yes(grant) => grant,
        Known::Disabled => return Err(Refusal::Disabled),
        Known::No => return Err(refused),
    };
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
    let scope = grant.scope(request.scope.as_deref()).map_err(|_| Refusal::InvalidScope)?;
    Ok(Asked { client: id, audience, scope })
}
