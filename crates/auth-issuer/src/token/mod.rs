//! The token endpoint: `POST /oauth/token` (RFC 6749 §4.4), and its neighbour that revokes.

mod answer;
mod authenticate;
mod basic;
mod request;
mod revoke;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};

use self::answer::Refusal;
use self::authenticate::authenticate;
use self::request::TokenRequest;
pub(crate) use self::revoke::revoke;
use crate::clock::Clock as _;
use crate::credential::{Known, Serial};
use crate::fault::{Fault, Place, Twist};
use crate::past::Outcome;
use crate::possession::NONCE;
use crate::registry::Uncharged;
use crate::state::State;
use crate::tokens::{Minted, Wanted};

/// Answers a token request.
///
/// What it costs is settled on arrival, before any wait: a client that gives up waiting has spent its unit all the
/// same.
pub(crate) async fn token(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    if is_foreign(&state, &request) {
        return Refusal::Foreign.into_response();
    }
    state.tally.arrived();
    let request = TokenRequest::read(request).await;
    let shown = state.registry.shown(request.client_id.as_deref());
    state.set_last_token_request(request.record(&shown));

    let fault = state.fault(Place::Token);
    let asked = check(&state, &request);
    let is_charged =
        state.charges(fault.as_ref()) && (asked.is_ok() || state.registry.counts_failures());
    let (id, audience) = (request.client_id.as_deref(), request.audience.as_deref());
    let (id, audience) = (id.unwrap_or_default(), audience.unwrap_or_default());
    let clock = || state.clock.right();
    // What is malformed is refused before anybody is asked who it is.
    let known = request.problem.is_none() && !matches!(&asked, Err(Refusal::InvalidClient { .. }));
    let begun = state.registry.begin(id, audience, known, is_charged, clock);
    let end = |outcome, token| {
        state.registry.end(id, begun.number, outcome, token);
        state.tally.ended(outcome);
    };
    if fault.as_ref().is_some_and(Fault::replaces_answer) {
        // Before it strikes: a fault that never answers is to be counted too.
        end(Outcome::Faulted, None);
    }
    state.tally.received();

    let twist = fault.as_ref().and_then(Fault::twist);
    let answer = async {
        let quota = match begun.spent {
            Ok(quota) => quota,
            Err(Uncharged::OverQuota(over)) => {
                tracing::debug!(client = shown, "token request over the quota");
                end(Outcome::OverQuota, None);
                return answer::over_quota(*over);
            }
            Err(Uncharged::NotKept) => {
                end(Outcome::Failed, None);
                return Refusal::NotKept.into_response();
            }
        };
        if asked.is_ok() && twist == Some(Twist::NewKey) {
            state.rotate_keys_aside().await;
        }
        let mut response =
            match asked.and_then(|asked| Ok((asked.mint(&state, &request, twist)?, asked))) {
                Ok((minted, asked)) => {
                    end(Outcome::Issued, Some((audience.to_owned(), minted.held)));
                    state.dooms(&minted.token, twist);
                    let (scope, is_bound) = (asked.scope.as_deref(), asked.jkt.is_some());
                    let lifetime = state.tokens.lifetime();
                    answer::issued(&minted.token, lifetime, scope, is_bound, quota)
                }
                Err(refusal) => {
                    tracing::debug!(?refusal, client = shown, "token request refused");
                    end(refusal.outcome(), None);
                    refusal.into_response()
                }
            };
        if request.has_proof()
            && let Some(nonce) = state.oauth.possession.nonce(state.clock.now())
        {
            response.headers_mut().insert(NONCE, nonce);
        }
        response
    };
    match fault {
        Some(fault) => fault.strike(answer).await,
        None => answer.await,
    }
}

/// Whether a browser sent it for the page of another site. A form there can name a client, and would spend its quota.
fn is_foreign(state: &State, request: &Request) -> bool {
    state.access.is_foreign(&state.oauth.url, request.uri(), request.headers())
}

/// What a request is entitled to.
struct Asked<'a> {
    client: &'a str,
    serial: Serial,
    audience: &'a str,
    scope: Option<String>,
    /// The thumbprint of the key that the token is to be bound to.
    jkt: Option<String>,
}

impl Asked<'_> {
    fn mint(
        &self,
        state: &State,
        request: &TokenRequest,
        twist: Option<Twist>,
    ) -> Result<Minted, Refusal> {
        // A fault may have held it back since it was checked.
        match state.registry.known(self.client) {
            Known::Yes(serial, _) if serial == self.serial => {}
            Known::Disabled => return Err(Refusal::Disabled),
            Known::Yes(..) | Known::No => {
                return Err(Refusal::InvalidClient { by_header: request.used_header() });
            }
        }
        let now = state.clock.now();
        let now = twist.map_or(now, |twist| twist.time(now));
        let (scope, jkt) = (self.scope.as_deref(), self.jkt.as_deref());
        let (client, serial, audience) = (self.client, self.serial, self.audience);
        let wanted = Wanted { client, serial, audience, scope, jkt };
        state.tokens.mint(&wanted, now).ok_or(Refusal::Unsigned)
    }
}

/// Whether `request` is entitled to a token, as of its arrival. Assertions and proofs are used up.
fn check<'a>(state: &State, request: &'a TokenRequest) -> Result<Asked<'a>, Refusal> {
    let (client, serial, grant) = authenticate(state, request)?;
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
    let (oauth, now) = (&state.oauth, state.clock.now());
    let proof = request.proof.as_ref().map_err(|error| Refusal::Proof(*error))?;
    let holder = |proof: &SecretString| {
        let holder = oauth.possession.holder(proof.expose_secret(), &oauth.token_endpoint, now);
        holder.map_err(Refusal::Proof)
    };
    let jkt = proof.as_ref().map(holder).transpose()?;
    Ok(Asked { client, serial, audience, scope, jkt })
}
