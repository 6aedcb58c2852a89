//! What the issuer publishes of itself: its metadata (RFC 8414) and its keys (RFC 7517 §5).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::Response;
use axum::routing::get;
use axum::{Router, middleware};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::clock::Clock as _;
use crate::jose::ALGORITHMS;
use crate::oauth::OAuth;
use crate::state::State;
use crate::upset;

/// The well-known documents.
pub(crate) fn router(state: &Arc<State>) -> Router<Arc<State>> {
    let upset = middleware::from_fn_with_state(Arc::clone(state), upset::keys);
    let elsewhere = middleware::from_fn_with_state(Arc::clone(state), upset::elsewhere);
    let documents = get(metadata).route_layer(elsewhere);
    Router::new()
        .route("/.well-known/oauth-authorization-server", documents.clone())
        // Where clients look that know OpenID Connect only (RFC 8414 §5).
        .route("/.well-known/openid-configuration", documents)
        .route(OAuth::JWKS_PATH, get(jwks).route_layer(upset))
}

async fn metadata(Extract(state): Extract<Arc<State>>) -> Response {
    published(&document(&state.oauth), "max-age=300")
}

/// Not to be kept unasked: a key that was taken away is not to be trusted on.
async fn jwks(Extract(state): Extract<Arc<State>>) -> Response {
    published(&json!({ "keys": state.tokens.published(state.clock.now()) }), "no-cache")
}

/// RFC 8414 §2.
fn document(oauth: &OAuth) -> Value {
    let url = &oauth.url;
    let mut document = json!({
        "issuer": url,
        "token_endpoint": oauth.token_endpoint,
        "revocation_endpoint": format!("{url}{}", OAuth::REVOCATION_PATH),
        "jwks_uri": format!("{url}{}", OAuth::JWKS_PATH),
        "grant_types_supported": ["client_credentials"],
        // There is no authorization endpoint; the member is required all the same.
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "dpop_signing_alg_values_supported": ALGORITHMS,
    });
    if !oauth.scopes.is_empty() {
        document["scopes_supported"] = json!(oauth.scopes);
    }
    document
}

const METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];

fn published(document: &Value, cache: &'static str) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::ClientKeys;

    #[test]
    fn scopes_are_named_if_there_are_any() {
        let document = |scopes: &[&str]| {
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            document(&OAuth::new("http://issuer".into(), ClientKeys::default(), None, scopes))
        };
        assert_eq!(document(&[]).get("scopes_supported"), None);
        assert_eq!(document(&["read:a", "b"])["scopes_supported"], json!(["read:a", "b"]));
    }
}
