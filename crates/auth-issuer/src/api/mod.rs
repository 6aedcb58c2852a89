//! The API that tokens and keys open, in the vendor's dress: v1 for keys, v2 for both, over a few resources.

mod data;
mod guard;
mod manners;
pub(crate) mod refusals;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State as Extract};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use self::guard::{Guarded, MAX_BODY};
pub(crate) use self::manners::Manners;
pub(crate) use self::refusals::Version;
use self::refusals::{empty, not_found, wrong_method};
use crate::resource::Resource;
use crate::state::State;
use crate::{serve, upset};

/// The routes of the API, guarded and counted.
pub(crate) fn router(state: &Arc<State>) -> Router<Arc<State>> {
    let mut router = Router::new();
    for resource in Resource::ALL {
        for version in [Version::V1, Version::V2] {
            router = router.merge(routes(state, Guarded { version, resource }));
        }
    }
    // Not `layer`, which would count unknown paths as well.
    router
        .route_layer(middleware::from_fn_with_state(Arc::clone(state), upset::api))
        .route_layer(middleware::from_fn_with_state(Arc::clone(state), count))
}

fn routes(state: &Arc<State>, guarded: Guarded) -> Router<Arc<State>> {
    let Guarded { version, resource } = guarded;
    let (prefix, list) = match version {
        Version::V1 => ("/v1", data::list_v1(resource)),
        Version::V2 => ("/v2", data::list_v2(resource)),
    };
    let all = get(move || std::future::ready(json(&list)));
    let all = if resource == Resource::Bookings { all.merge(post(echo)) } else { all };
    let one = get(move |id: Result<Path<String>, PathRejection>| {
        let id = id.ok().and_then(|Path(id)| id.parse().ok());
        let item = id.and_then(|id| match version {
            Version::V1 => data::item(resource, id),
            Version::V2 => data::item_v2(resource, id),
        });
        std::future::ready(item.map_or_else(|| not_found(version), |item| json(&item)))
    });
    let guard = middleware::from_fn_with_state((Arc::clone(state), guarded), guard::guard);
    Router::new()
        .route(&format!("{prefix}/{resource}"), all)
        .route(&format!("{prefix}/{resource}/{{id}}"), one)
        .method_not_allowed_fallback(move || std::future::ready(wrong_method(version)))
        // Not `layer`, which would guard unknown paths as well.
        .route_layer(guard)
}

fn json(body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Gives the body back as it came, so that a test can see that a replayed request kept it.
async fn echo(request: Request) -> Response {
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

async fn count(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if !serve::hangs_up(&response) {
        state.tally.api_answered(response.status());
    }
    response
}
