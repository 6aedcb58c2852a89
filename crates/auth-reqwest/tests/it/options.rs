//! Several credentials in one client, and what one request wants otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use auth_core::{ApiKey, Authenticator, CredentialUsed, RequestOptions, Routes, SecretSource};
use auth_issuer::Issuer;
use auth_reqwest::AuthMiddleware;
use bytes::Bytes;
use http_body_util::Full;
use reqwest::{Body, Method, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::harness::builder;
use crate::peer::{INVALID_TOKEN, Peer, found, plain};

/// An API that takes everything, until it is told to refuse what it is sent first.
async fn api() -> (Peer, Arc<AtomicBool>) {
    let refuses = Arc::new(AtomicBool::new(false));
    let once = refuses.clone();
    let api = Peer::start(move |_| match once.swap(false, SeqCst) {
        true => plain(INVALID_TOKEN),
        false => plain("200 OK"),
    })
    .await;
    (api, refuses)
}

fn over(routes: impl Into<Routes>) -> ClientWithMiddleware {
    let auth = AuthMiddleware::new(routes);
    let client = auth.client(reqwest::Client::builder().no_proxy()).unwrap();
    ClientBuilder::new(client).with(auth).build()
}

async fn with(
    client: &ClientWithMiddleware,
    api: &Peer,
    options: RequestOptions,
) -> reqwest::Response {
    client.get(api.url()).with_extension(options).send().await.unwrap()
}

async fn bound(issuer: &Issuer, api: &Peer) -> Authenticator {
    builder(issuer).origin(api.url()).build().unwrap()
}

#[tokio::test]
async fn each_version_gets_its_own_credential() {
    let issuer = Issuer::start().await.unwrap();
    let (api, _) = api().await;
    let key = ApiKey::builder("legacy", "key-one").token().build().unwrap();
    let routes = Routes::builder()
        .insecure_loopback(true)
        .route(format!("{}/v1", api.url()), key)
        .route(format!("{}/v2", api.url()), bound(&issuer, &api).await)
        .build()
        .unwrap();
    let client = over(routes);
    let get = |path: &str| client.get(format!("{}{path}", api.url())).send();
    get("/v1/x").await.unwrap();
    get("/v2/x").await.unwrap();
    let stray = get("/v3").await.unwrap_err();
    assert!(auth_reqwest::error(&stray).unwrap().is_unrouted());
    let stray = get("/v2//x").await.unwrap_err();
    assert!(auth_reqwest::error(&stray).unwrap().is_unrouted());
    let heads = api.heads();
    assert_eq!(heads.len(), 2);
    assert!(heads[0].contains(r#"authorization: token token="key-one""#), "{}", heads[0]);
    assert!(heads[1].contains("authorization: bearer ey"), "{}", heads[1]);
    assert_eq!(issuer.token_requests(), 1);
}

// torture: E39
#[tokio::test]
async fn the_client_of_one_of_two_middlewares_follows_no_redirect_of_the_other() {
    let issuer = Issuer::start().await.unwrap();
    let api = Peer::start(|head| match head.starts_with("get /v1") {
        true => found("/partner"),
        false => plain("200 OK"),
    })
    .await;
    let own = AuthMiddleware::new(builder(&issuer).build().unwrap());
    let key = ApiKey::new("key", "key-one").unwrap();
    let other = Routes::builder().insecure_loopback(true).route(format!("{}/v1", api.url()), key);
    let client = own.client(reqwest::Client::builder().no_proxy()).unwrap();
    let other = AuthMiddleware::new(other.build().unwrap());
    let client = ClientBuilder::new(client).with(own).with(other).build();
    let answer = client.get(format!("{}/v1", api.url())).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), api.heads().len()), (302, 1));
}

// torture: C22
#[tokio::test]
async fn a_key_in_a_header_of_its_own_is_replaced_after_a_401() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "key-one").unwrap();
    let (api, refuses) = api().await;
    let key = ApiKey::builder("key", SecretSource::file(&path)).in_header("X-Api-Key").build();
    let routes = Routes::builder().insecure_loopback(true).route(api.url(), key.unwrap());
    let client = over(routes.build().unwrap());
    client.get(api.url()).send().await.unwrap();
    std::fs::write(directory.path().join("next"), "key-two").unwrap();
    std::fs::rename(directory.path().join("next"), &path).unwrap();
    refuses.store(true, SeqCst);
    assert_eq!(client.post(api.url()).body("document").send().await.unwrap().status(), 200);
    let heads = api.heads();
    for (head, key) in heads.iter().zip(["key-one", "key-one", "key-two"]) {
        assert!(head.contains(&format!("x-api-key: {key}\r\n")), "{head}");
        assert!(!head.contains("authorization"), "{head}");
    }
    assert_eq!(heads.len(), 3);
}

#[tokio::test]
async fn a_request_can_skip_and_say_what_becomes_of_a_401() {
    let issuer = Issuer::start().await.unwrap();
    let (api, refuses) = api().await;
    let client = over(bound(&issuer, &api).await);
    with(&client, &api, RequestOptions::new().skip()).await;
    assert!(!api.heads()[0].contains("authorization"));
    assert_eq!(issuer.token_requests(), 0);

    let response = with(&client, &api, RequestOptions::new().report()).await;
    let used = response.extensions().get::<CredentialUsed>().unwrap();
    assert_eq!((&*used.credential, used.generation.get()), (issuer.client_id(), 1));

    refuses.store(true, SeqCst);
    let forbids = RequestOptions::new().never_replay().report();
    let response = with(&client, &api, forbids).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.extensions().get::<CredentialUsed>().unwrap().generation.get(), 1);
    assert_eq!(api.heads().len(), 3);
}

// torture: B19
#[tokio::test]
async fn a_stream_is_sent_again_if_the_request_brings_it_once_more() {
    let issuer = Issuer::start().await.unwrap();
    let (api, refuses) = api().await;
    let client = over(bound(&issuer, &api).await);
    let stream = || Body::wrap(Full::new(Bytes::from_static(b"once more")));
    refuses.store(true, SeqCst);
    let options = RequestOptions::new().replay_with(stream).report();
    let request = client.put(api.url()).header("x-mine", "kept").with_extension(options);
    let response = request.body(stream()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.extensions().get::<CredentialUsed>().unwrap().generation.get(), 2);
    let heads = api.heads();
    assert_eq!(heads.len(), 2);
    assert!(heads.iter().all(|head| head.starts_with("put / ") && head.contains("x-mine: kept")));
    assert_eq!(issuer.token_requests(), 2);
}

#[tokio::test]
async fn the_middleware_can_leave_out_the_methods_that_are_not_idempotent() {
    let issuer = Issuer::start().await.unwrap();
    let (api, refuses) = api().await;
    // Each with a token of its own, which no refusal has brought.
    for (method, brings, expected) in
        [(Method::PUT, false, 200), (Method::POST, false, 401), (Method::POST, true, 200)]
    {
        let auth = AuthMiddleware::new(bound(&issuer, &api).await).replay_only_idempotent(true);
        let client = auth.client(reqwest::Client::builder().no_proxy()).unwrap();
        let client = ClientBuilder::new(client).with(auth).build();
        refuses.store(true, SeqCst);
        let options = RequestOptions::new();
        let copy = || Body::from("copy");
        let options = if brings { options.replay_with(copy) } else { options };
        let request = client.request(method, api.url()).with_extension(options);
        assert_eq!(request.send().await.unwrap().status(), expected);
    }
}

#[tokio::test]
async fn a_request_can_ask_for_the_credential_of_its_tenant() {
    let issuer = Issuer::start().await.unwrap();
    let (api, _) = api().await;
    let tenant = builder(&issuer).origin(api.url()).name("tenant").build().unwrap();
    let client = over(bound(&issuer, &api).await);
    let options = RequestOptions::new().credential(tenant).report();
    let response = with(&client, &api, options).await;
    assert_eq!(&*response.extensions().get::<CredentialUsed>().unwrap().credential, "tenant");
}

#[test]
fn a_key_for_plain_http_needs_an_opt_in() {
    let key = ApiKey::new("key", "key-one").unwrap();
    let routes = Routes::builder().route("http://127.0.0.1:1/", key).build();
    assert!(routes.unwrap_err().to_string().contains("insecure_loopback"));
}
