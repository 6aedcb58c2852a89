//! Who may pass: RFC 6750 for tokens, the vendor's own ways for keys.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION};

use super::Version;
use super::refusals::{
    INVALID_TOKEN, bad_token, bad_version, forbidden, forced, no_token, two_tokens,
};
use crate::clock::Clock as _;
use crate::possession::{self, NONCE, NotPossessed, Scheme, check_possession};
use crate::registry::Access;
use crate::resource::Resource;
use crate::state::State;

/// The longest body that is read before a refusal, in bytes.
pub(super) const MAX_BODY: usize = 16 * 1024 * 1024;

/// Which of the two APIs, and what of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guarded {
    pub(super) version: Version,
    pub(super) resource: Resource,
}

/// Lets a request through that may see what it asks for.
pub(super) async fn guard(
    Extract((state, guarded)): Extract<(Arc<State>, Guarded)>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = match state.api_status() {
        Some(status) => Some(forced(status)),
        None => match guarded.version {
            Version::V1 => v1(&state, request.headers()),
            Version::V2 => v2(&state, &request, guarded.resource),
        },
    };
    let is_bound = matches!(presented(request.headers()), Presented::Dpop(_));
    let mut response = match refusal {
        None => next.run(request).await,
        Some(refusal) => {
            // An answer while the client still writes can reach it as a reset connection; a test wants the status.
            let _ = to_bytes(request.into_body(), MAX_BODY).await;
            refusal
        }
    };
    // RFC 9449 §9: the nonce for the next proof.
    if is_bound && let Some(nonce) = state.oauth.possession.nonce(state.clock.now()) {
        response.headers_mut().insert(NONCE, nonce);
    }
    response
}

/// Keys, as `Token token="…"` and as `Bearer …`. A token is as good as a wrong key.
fn v1(state: &State, headers: &HeaderMap) -> Option<Response> {
    let key = match presented(headers) {
        Presented::Bearer(key) | Presented::Token(key) => Some(key),
        Presented::Dpop(_) | Presented::Several | Presented::Nothing => None,
    };
    if state.manners.demands_versions && !accepts_v1(headers) {
        return Some(bad_version(Version::V1));
    }
    if key.is_some_and(|key| state.registry.knows_key(key)) {
        return None;
    }
    Some(bad_token(Version::V1, r#"Token realm="Application""#))
}

/// Whether one of the types that the client takes is v1's (RFC 9110 §12.5.1).
fn accepts_v1(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(','));
    types.any(|range| {
        let essence = range.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/vnd.flexport.v1")
    })
}

/// Tokens for what their credential was given, and keys for everything.
fn v2(state: &State, request: &Request, resource: Resource) -> Option<Response> {
    let headers = request.headers();
    // Whoever says which version is to be right about it.
    let is_right = match headers.get("flexport-version") {
        Some(version) => version == "2",
        None => !state.manners.demands_versions,
    };
    if !is_right {
        return Some(bad_version(Version::V2));
    }
    let (scheme, token) = match presented(headers) {
        Presented::Bearer(token) if state.registry.knows_key(token) => return None,
        Presented::Token(key) if state.registry.knows_key(key) => return None,
        Presented::Bearer(token) => (Scheme::Bearer, token),
        Presented::Dpop(token) => (Scheme::Dpop, token),
        // That scheme is for keys alone.
        Presented::Token(_) => return Some(bad_token(Version::V2, INVALID_TOKEN)),
        Presented::Several => return Some(two_tokens()),
        Presented::Nothing => return Some(no_token()),
    };
    let unauthorized = |challenge| Some(bad_token(Version::V2, challenge));
    let invalid = match scheme {
        Scheme::Bearer => INVALID_TOKEN,
        Scheme::Dpop => NotPossessed::Token.challenge(),
    };
    let now = state.clock.now();
    let Some(valid) = state.valid(token, now) else { return unauthorized(invalid) };
    let shown = possession::Presented {
        scheme,
        token,
        jkt: valid.jkt.as_deref(),
        headers,
        method: request.method(),
        url: &format!("{}{}", state.oauth.url, request.uri().path()),
    };
    if let Err(error) = check_possession(&state.oauth.possession, &shown, now) {
        return unauthorized(error.challenge());
    }
    match state.registry.access(&valid.client, valid.serial, valid.scope.as_deref(), resource) {
        Access::Granted => None,
        Access::Ended => unauthorized(invalid),
        Access::BeyondScope => {
            let name = if scheme == Scheme::Dpop { "DPoP" } else { "Bearer" };
            let challenge = format!(r#"{name} error="insufficient_scope", scope="{resource}""#);
            Some(forbidden(&challenge, &state.manners.permission_error))
        }
    }
}

enum Presented<'a> {
    Bearer(&'a str),
    /// A token that is bound to a key (RFC 9449 §7.1).
    Dpop(&'a str),
    /// `Token token="…"`, of v1.
    Token(&'a str),
    /// Several `Authorization` fields: which of them would count?
    Several,
    Nothing,
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Presented::Nothing };
    if values.next().is_some() {
        return Presented::Several;
    }
    let Some((scheme, rest)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Presented::Nothing;
    };
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Presented::Bearer(rest);
    }
    if scheme.eq_ignore_ascii_case("dpop") {
        return Presented::Dpop(rest);
    }
    if scheme.eq_ignore_ascii_case("token")
        && let Some(quoted) = rest.strip_prefix("token=")
    {
        let key = quoted.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
        return Presented::Token(key.unwrap_or(quoted));
    }
    Presented::Nothing
}
