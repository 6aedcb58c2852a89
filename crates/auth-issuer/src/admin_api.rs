//! What the settings page does, for programs: the JSON API under `/admin`, opened by the admin token (RFC 6750 §2.1).
//!
//! No cookie counts here, so no browser can be made to use it. The crate's documentation has the table of its routes.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, Path, Request, State as Extract};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin_error::AdminError;
use crate::clock::{unix_seconds, unix_seconds_up};
use crate::info::CredentialInfo;
use crate::json_answer::{answer, empty, error, wrong_method};
use crate::page::csrf::AdminAccess;
use crate::page::refused::Refused;
use crate::quota::Standing;
use crate::resource::Resource;
use crate::serve::Peer;
use crate::state::State;

/// More than any request here needs, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Credentials that are to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    resources: Vec<String>,
}

/// Why a request is not answered: a status, a code, and words.
#[derive(Debug)]
struct Refusal(StatusCode, &'static str, String);

/// The routes of the admin API.
pub(crate) fn router(state: &Arc<State>) -> Router<Arc<State>> {
    Router::new()
        .route("/admin", get(index))
        .route("/admin/credentials", get(list).post(create))
        .route("/admin/credentials/{id}", delete(remove))
        .route("/admin/credentials/{id}/disable", post(disable))
        .route("/admin/credentials/{id}/enable", post(enable))
        .route("/admin/credentials/{id}/rotate", post(rotate))
        .route("/admin/api-key", get(show_key).post(create_key))
        .route("/admin/api-key/revert", post(revert_key))
        .route("/admin/resources", get(resources))
        .method_not_allowed_fallback(wrong_method)
        .route_layer(middleware::from_fn_with_state(Arc::clone(state), guard))
}

/// What there is.
async fn index() -> Response {
    answer(
        StatusCode::OK,
        &json!({
            "credentials": "/admin/credentials",
            "api_key": "/admin/api-key",
            "resources": "/admin/resources",
        }),
    )
}

async fn list(Extract(state): Extract<Arc<State>>) -> Response {
    let known = state.registry.standings(state.clock.right());
    let known: Vec<Value> = known.iter().map(|(info, standing)| told(info, standing)).collect();
    answer(StatusCode::OK, &json!({ "credentials": known }))
}

async fn create(
    Extract(state): Extract<Arc<State>>,
    Extension(body): Extension<Bytes>,
) -> Response {
    let made = || {
        let wanted: Wanted =
            serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
        let resources = wanted.resources.iter().map(|name| name.parse());
        let resources: Vec<Resource> =
            resources.collect::<Result<_, _>>().map_err(|unknown| bad(format!("{unknown}")))?;
        if resources.is_empty() {
            return Err(bad("resources must not be empty".to_owned()));
        }
        Ok(state.registry.create(&wanted.name, resources, state.clock.right())?)
    };
    respond(
        StatusCode::CREATED,
        made().map(|made| with_secret(&made.client_id, &made.client_secret)),
    )
}

async fn remove(Extract(state): Extract<Arc<State>>, Path(id): Path<String>) -> Response {
    match state.registry.delete(&id) {
        Ok(()) => empty(StatusCode::NO_CONTENT),
        Err(error) => respond(StatusCode::OK, Err(error.into())),
    }
}

async fn disable(Extract(state): Extract<Arc<State>>, Path(id): Path<String>) -> Response {
    set_enabled(&state, &id, false)
}

async fn enable(Extract(state): Extract<Arc<State>>, Path(id): Path<String>) -> Response {
    set_enabled(&state, &id, true)
}

fn set_enabled(state: &State, id: &str, is_enabled: bool) -> Response {
    let set = state.registry.set_enabled(id, is_enabled);
    let told = json!({ "client_id": id, "enabled": is_enabled });
    respond(StatusCode::OK, set.map(|()| told).map_err(Refusal::from))
}

async fn rotate(Extract(state): Extract<Arc<State>>, Path(id): Path<String>) -> Response {
    let secret = state.registry.rotate(&id);
    respond(StatusCode::OK, secret.map(|secret| with_secret(&id, &secret)).map_err(Refusal::from))
}

/// Whether there is a key; not which, since only its hash is kept.
async fn show_key(Extract(state): Extract<Arc<State>>) -> Response {
    let created = state.registry.key_created();
    let told = json!({ "exists": created.is_some(), "created": created.map(unix_seconds) });
    answer(StatusCode::OK, &told)
}

async fn create_key(Extract(state): Extract<Arc<State>>) -> Response {
    respond(StatusCode::CREATED, key(state.registry.create_key(state.clock.right())))
}

async fn revert_key(Extract(state): Extract<Arc<State>>) -> Response {
    respond(StatusCode::CREATED, key(state.registry.revert_key(state.clock.right())))
}

async fn resources() -> Response {
    let all = Resource::ALL.map(|known| json!({ "name": known.name(), "title": known.title() }));
    answer(StatusCode::OK, &json!({ "resources": all }))
}

/// Lets through what comes from this machine, asks for this host, and shows the admin token.
async fn guard(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // Read before a refusal too: an answer while the client still writes can reach it as a reset connection.
    let body = to_bytes(body, MAX_BODY).await;
    let peer = parts.extensions.get().map(|Peer(peer)| *peer);
    let checked = state
        .access
        .admit(peer, &parts.uri, &parts.headers)
        .map_err(Refusal::from)
        .and_then(|_| authorize(&state.access, &parts.headers))
        .and_then(|()| is_text(parts.uri.path()))
        .and_then(|()| body.map_err(|_| bad("the body is too long, or broke off".to_owned())));
    match checked {
        Ok(body) => {
            let mut request = Request::from_parts(parts, Body::empty());
            request.extensions_mut().insert(body);
            next.run(request).await
        }
        Err(refusal) => respond(StatusCode::OK, Err(refusal)),
    }
}

/// Whether the ids in a path can be read.
fn is_text(path: &str) -> Result<(), Refusal> {
    match percent_decode_str(path).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => Err(bad("the path is not UTF-8".to_owned())),
    }
}

fn authorize(access: &AdminAccess, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, others) = (values.next(), values.next());
    if others.is_some() {
        return Err(bad("there is more than one Authorization header".to_owned()));
    }
    let token = value
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    if token.is_some_and(|token| access.is_token(token)) {
        return Ok(());
    }
    let words = "the admin token is needed, which the program prints when it starts".to_owned();
    Err(Refusal(StatusCode::UNAUTHORIZED, "invalid_token", words))
}

/// A credential as programs see it; times in Unix seconds, as in a token (RFC 7519 §2).
fn told(info: &CredentialInfo, standing: &Standing) -> Value {
    let requests = info.requests.iter().map(|request| {
        json!({
            "at": unix_seconds(request.at),
            "cause": request.cause,
            "outcome": request.outcome,
            "spent": request.spent,
        })
    });
    json!({
        "client_id": info.client_id,
        "name": info.name,
        "resources": info.resources,
        "enabled": info.is_enabled,
        "created": unix_seconds(info.created),
        "spent": info.spent,
        "quota": {
            "limit": standing.limit,
            "spent": standing.spent,
            "next_opens": standing.next.map(unix_seconds_up),
        },
        "requests": requests.collect::<Vec<_>>(),
    })
}

fn with_secret(id: &str, secret: &SecretString) -> Value {
    json!({ "client_id": id, "client_secret": secret.expose_secret() })
}

fn key(made: Result<SecretString, AdminError>) -> Result<Value, Refusal> {
    Ok(json!({ "api_key": made?.expose_secret() }))
}

fn bad(words: String) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, "invalid_request", words)
}

impl From<AdminError> for Refusal {
    fn from(error: AdminError) -> Self {
        let code = match error.status() {
            StatusCode::BAD_REQUEST => "invalid_request",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::CONFLICT => "conflict",
            _ => "server_error",
        };
        Self(error.status(), code, error.to_string())
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self(refused.status(), "access_denied", refused.advice().to_owned())
    }
}

fn respond(status: StatusCode, made: Result<Value, Refusal>) -> Response {
    match made {
        Ok(body) => answer(status, &body),
        Err(Refusal(status, code, words)) => {
            let mut response = error(status, code, &words);
            if status == StatusCode::UNAUTHORIZED {
                let challenge = HeaderValue::from_static(r#"Bearer realm="admin""#);
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}
