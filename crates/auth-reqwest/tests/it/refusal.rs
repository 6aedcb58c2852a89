//! What becomes of a 401, and of a 403.

use auth_issuer::Issuer;
use auth_reqwest::AuthMiddleware;
use bytes::Bytes;
use http_body_util::Full;
use reqwest::{Body, Response, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::task::JoinSet;

use crate::harness::{bare, builder, client, get, spent};
use crate::peer::{INVALID_TOKEN, Peer, plain};

async fn book(client: &ClientWithMiddleware, issuer: &Issuer, body: Body) -> Response {
    client.post(format!("{}/v2/bookings", issuer.url())).body(body).send().await.unwrap()
}

// torture: B18
#[tokio::test]
async fn a_revoked_token_costs_one_renewal_and_the_request_is_replayed_once() {
    let issuer = Issuer::start().await.unwrap();
    let authenticator = builder(&issuer).build().unwrap();
    let client = client(&authenticator);
    assert_eq!(get(&client, &issuer).await.unwrap().status(), StatusCode::OK);
    issuer.revoke_all();
    assert_eq!(get(&client, &issuer).await.unwrap().status(), StatusCode::OK);
    assert_eq!(issuer.token_requests(), 2);
    assert_eq!((issuer.counters().api(401), issuer.counters().api(200)), (1, 2));
    assert_eq!(get(&client, &issuer).await.unwrap().status(), StatusCode::OK);
    assert_eq!(issuer.token_requests(), 2);
    assert_eq!(spent(&authenticator).await, 2);
}

// torture: B18
#[tokio::test]
async fn a_replayed_post_has_its_body_again() {
    let issuer = Issuer::start().await.unwrap();
    let client = client(&builder(&issuer).build().unwrap());
    let body = "b".repeat(100_000);
    assert_eq!(book(&client, &issuer, body.clone().into()).await.status(), StatusCode::CREATED);
    issuer.revoke_all();
    let response = book(&client, &issuer, body.clone().into()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.text().await.unwrap(), body);
    assert_eq!(issuer.token_requests(), 2);
    assert_eq!((issuer.counters().api(401), issuer.counters().api(201)), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_401s_costs_one_renewal() {
    let issuer = Issuer::start().await.unwrap();
    let client = client(&builder(&issuer).build().unwrap());
    get(&client, &issuer).await.unwrap();
    issuer.revoke_all();
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let request = client.get(format!("{}/v2/shipments", issuer.url()));
        requests.spawn(async move { request.send().await.unwrap().status() });
    }
    for status in requests.join_all().await {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(issuer.token_requests(), 2);
}

// torture: B19
#[tokio::test]
async fn a_streamed_body_is_not_replayed_but_the_next_request_has_the_new_token() {
    let issuer = Issuer::start().await.unwrap();
    let authenticator = builder(&issuer).build().unwrap();
    let client = client(&authenticator);
    get(&client, &issuer).await.unwrap();
    let first = authenticator.status().await.token.unwrap().generation;
    issuer.revoke_all();
    // A body that reqwest can only pass on.
    let streamed = Body::wrap(Full::new(Bytes::from_static(b"once")));
    let response = book(&client, &issuer, streamed).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(issuer.counters().api(401), 1);

    let token = authenticator.status().await.token.unwrap();
    assert!(token.suspect || token.generation > first);
    // Waits for the renewal that is under way, and starts no other.
    let newer = authenticator.replacement(first).await.unwrap();
    assert!(newer.generation() > first);
    let response = get(&client, &issuer).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(issuer.token_requests(), 2);
    assert_eq!(issuer.counters().api(401), 1);
}

// torture: B13
#[tokio::test]
async fn a_403_never_costs_a_token_request() {
    let issuer = Issuer::start().await.unwrap();
    let authenticator = builder(&issuer).build().unwrap();
    let client = client(&authenticator);
    issuer.api_status(Some(403));
    for _ in 0..30 {
        let response = get(&client, &issuer).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(issuer.token_requests(), 1);
    assert_eq!(issuer.counters().api(403), 30);
    assert!(!authenticator.status().await.token.unwrap().suspect);
}

#[tokio::test]
async fn an_api_that_refuses_every_token_costs_one_further_token_request() {
    let issuer = Issuer::start().await.unwrap();
    let authenticator = builder(&issuer).build().unwrap();
    let client = client(&authenticator);
    issuer.api_status(Some(401));
    for _ in 0..30 {
        let response = get(&client, &issuer).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key("www-authenticate"));
    }
    assert_eq!(issuer.token_requests(), 2);
    // One replay, in the first of them.
    assert_eq!(issuer.counters().api(401), 31);
    // The token is served on: another API may be content with it.
    assert!(authenticator.try_authorization().is_some());
}

#[tokio::test]
async fn the_401_itself_comes_back_when_no_newer_token_can_be_had() {
    let issuer = Issuer::start().await.unwrap();
    let client = client(&builder(&issuer).build().unwrap());
    get(&client, &issuer).await.unwrap();
    issuer.revoke_all();
    issuer.fail_all(auth_issuer::Fault::status(503));
    let response = get(&client, &issuer).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
    assert_eq!(issuer.token_requests(), 2);
}

#[tokio::test]
async fn a_401_by_redirect_from_another_origin_refuses_nothing() {
    let issuer = Issuer::start().await.unwrap();
    let other = Peer::with_status(INVALID_TOKEN).await;
    let location = other.url();
    let api = Peer::start(move |_| crate::peer::found(&location)).await;
    let authenticator = builder(&issuer).origin(api.url()).build().unwrap();
    let response = client(&authenticator).get(api.url()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(!other.heads()[0].contains("authorization:"));
    assert_eq!(issuer.token_requests(), 1);
    assert!(!authenticator.status().await.token.unwrap().suspect);
}

/// Puts a response together anew, and forgets its URL.
struct Rebuild;

#[async_trait::async_trait]
impl Middleware for Rebuild {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let response = next.run(request, extensions).await?;
        let rebuilt = http::Response::builder().status(response.status());
        Ok(rebuilt.body(response.bytes().await?).unwrap().into())
    }
}

#[tokio::test]
async fn a_401_that_another_middleware_rebuilt_still_counts() {
    let issuer = Issuer::start().await.unwrap();
    let auth = AuthMiddleware::new(builder(&issuer).build().unwrap());
    let client = ClientBuilder::new(bare()).with(auth).with(Rebuild).build();
    get(&client, &issuer).await.unwrap();
    issuer.revoke_all();
    assert_eq!(get(&client, &issuer).await.unwrap().status(), StatusCode::OK);
    assert_eq!(issuer.token_requests(), 2);
}

#[tokio::test]
async fn a_replay_carries_one_authorization_and_the_newer_one() {
    let issuer = Issuer::start().await.unwrap();
    let api = Peer::start(|_| plain(INVALID_TOKEN)).await;
    let authenticator = builder(&issuer).origin(api.url()).build().unwrap();
    client(&authenticator).get(api.url()).header("x-mine", "kept").send().await.unwrap();
    let heads = api.heads();
    assert_eq!(heads.len(), 2);
    let tokens: Vec<&str> =
        heads.iter().map(|head| head.split("authorization: ").nth(1).unwrap()).collect();
    assert!(heads.iter().all(|head| head.matches("authorization:").count() == 1));
    assert!(heads.iter().all(|head| head.contains("x-mine: kept")));
    assert_ne!(tokens[0].lines().next(), tokens[1].lines().next());
}
