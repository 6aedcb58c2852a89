//! Several credentials in one client.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use auth_core::{ApiKey, Credential, Routes, SecretSource};
use auth_tower::{AuthLayer, BoxError};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::*;

const V1: &str = "https://api.example/v1/shipments";

type Seen = Arc<Mutex<Vec<String>>>;

/// An API whose v1 takes the key `takes`, and whose v2 takes every token; what it was sent.
fn api(takes: Arc<Mutex<&'static str>>) -> (Api, Seen) {
    let seen = Seen::default();
    let kept = seen.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap());
        let sent = header("authorization").or(header("x-api-key")).unwrap_or("nothing").to_owned();
        let is_v1 = request.uri().path().starts_with("/v1");
        let good =
            if is_v1 { sent.ends_with(*takes.lock().unwrap()) } else { sent.contains("token-") };
        kept.lock().unwrap().push(format!("{} {sent}", request.uri().path()));
        async move { Ok(if good { status(StatusCode::OK) } else { refused_key() }) }
    });
    (BoxCloneSyncService::new(service), seen)
}

/// As the vendor's v1 answers a bad key: with no challenge.
fn refused_key() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(r#"{"errors":[{"code":"bad_token"}]}"#));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

fn both(key: &ApiKey, tokens: impl Into<Credential>) -> Routes {
    Routes::builder()
        .route("https://api.example/v1", key.clone())
        .route("https://api.example/v2", tokens)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_version_gets_its_own_credential_and_nothing_else_gets_one() {
    let (auth, count) = scripted();
    let (api, seen) = api(Arc::new(Mutex::new("key-one")));
    let key = ApiKey::new("legacy", "key-one").unwrap();
    let service = AuthLayer::new(both(&key, auth)).layer(api);
    for uri in [V1, API, "https://partner.example/x"] {
        service.clone().oneshot(get(uri)).await.unwrap();
    }
    assert_eq!(
        *seen.lock().unwrap(),
        ["/v1/shipments Bearer key-one", "/v2/shipments Bearer token-1", "/x nothing"]
    );
    for stray in
        ["https://api.example/v1/../v2", "https://api.example/v3", "https://api.example//v1"]
    {
        let error = service.clone().oneshot(get(stray)).await.unwrap_err();
        assert!(auth_tower::error(&*error).unwrap().is_unrouted(), "{stray}");
    }
    assert_eq!((seen.lock().unwrap().len(), count.load(SeqCst)), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_token_a_request_is_sent_neither_bare_nor_with_the_key() {
    let issuer = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, BoxError>(status(StatusCode::SERVICE_UNAVAILABLE))
    });
    let (api, seen) = api(Arc::new(Mutex::new("key-one")));
    let key = ApiKey::new("legacy", "key-one").unwrap();
    let service = AuthLayer::new(both(&key, over(issuer))).layer(api);
    for _ in 0..100 {
        let error = service.clone().oneshot(get(API)).await.unwrap_err();
        assert_eq!(auth_tower::error(&*error).unwrap().credential(), "client");
        assert_eq!(service.clone().oneshot(get(V1)).await.unwrap().status(), 200);
    }
    assert!(seen.lock().unwrap().iter().all(|sent| sent == "/v1/shipments Bearer key-one"));
}

// torture: C22
#[tokio::test]
async fn a_key_that_is_reverted_is_replaced_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "key-one\n").unwrap();
    let takes = Arc::new(Mutex::new("key-one"));
    let (api, seen) = api(takes.clone());
    let key = ApiKey::builder("legacy", SecretSource::file(&path)).in_header("X-Api-Key");
    let key = key.build().unwrap();
    let routes = Routes::builder().route("https://api.example/v1", key.clone()).build().unwrap();
    let service = AuthLayer::new(routes).layer(api);
    let call = || service.clone().oneshot(get(V1));
    assert_eq!(call().await.unwrap().status(), 200);
    // Reverted, and the file replaced by then: one 401, read again, sent again.
    *takes.lock().unwrap() = "key-two";
    std::fs::write(directory.path().join("next"), "key-two\n").unwrap();
    std::fs::rename(directory.path().join("next"), &path).unwrap();
    assert_eq!(call().await.unwrap().status(), 200);
    assert_eq!(call().await.unwrap().status(), 200);
    // Reverted again, and set by code.
    *takes.lock().unwrap() = "key-three";
    key.set("key-three").unwrap();
    assert_eq!(call().await.unwrap().status(), 200);
    // Reverted, and no other is known: the API's own answer comes back.
    *takes.lock().unwrap() = "key-four";
    assert_eq!(call().await.unwrap().status(), 401);
    let sent: Vec<_> =
        seen.lock().unwrap().iter().map(|sent| sent.replace("/v1/shipments ", "")).collect();
    assert_eq!(sent[..5], ["key-one", "key-one", "key-two", "key-two", "key-three"]);
    // What the file had before is not tried again.
    assert_eq!(sent[5..], ["key-three"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_by_all_costs_no_token_request_and_no_second_attempt() {
    let (auth, count) = scripted();
    let (api, seen) = api(Arc::new(Mutex::new("another")));
    let key = ApiKey::new("legacy", "key-one").unwrap();
    let service = AuthLayer::new(both(&key, auth)).layer(api);
    for _ in 0..1000 {
        assert_eq!(service.clone().oneshot(get(V1)).await.unwrap().status(), 401);
    }
    assert_eq!((seen.lock().unwrap().len(), count.load(SeqCst)), (1000, 0));
}
