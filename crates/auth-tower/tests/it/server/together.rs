//! Our client side against our server side, over real sockets.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::{Authenticator, SigningKey};
use auth_issuer::{Fault, Place, When};
use auth_tower::server::DpopVerifier;
use auth_tower::{Auth, AuthLayer};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::Layer;

use super::support::{TestClock, ask};
use super::world::{World, serve};

type Hyper = Client<HttpConnector, Full<Bytes>>;

fn client(auth: &Authenticator) -> Auth<Hyper> {
    AuthLayer::new(auth.clone()).layer(Client::builder(TokioExecutor::new()).build_http())
}

fn get(url: &str, path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("{url}{path}")).body(Full::default()).unwrap()
}

// torture: B13
#[tokio::test]
async fn a_403_for_a_scope_that_is_missing_costs_no_token_request() {
    let world = World::start().await;
    let url = format!("http://{}", serve(world.guarded()).await);
    let client = client(&world.client(&url, |credentials| credentials).build().unwrap());
    for _ in 0..100 {
        let answer = ask(&client, get(&url, "/v2/bookings")).await;
        assert_eq!(answer.status, 403);
        assert!(answer.challenge().contains("insufficient_scope"), "{answer:?}");
        assert!(answer.challenge().ends_with(r#"scope="bookings""#), "{answer:?}");
    }
    assert_eq!(ask(&client, get(&url, "/v3/not-listed")).await.status, 403);
    assert_eq!(ask(&client, get(&url, "/v2/shipments")).await.status, 200);
    assert_eq!((world.issuer.token_requests(), world.handler.calls()), (1, 1));
    assert_eq!(world.fetches.count(), 1);
}

// torture: B18
#[tokio::test]
async fn a_revoked_token_is_renewed_once_and_the_request_sent_again() {
    let world = World::start().await;
    let revoked = Arc::new(Mutex::new(HashSet::new()));
    let known = revoked.clone();
    let layer = world
        .layer()
        .revoked(move |claims| claims.id().is_some_and(|id| known.lock().unwrap().contains(id)));
    let url = format!("http://{}", serve(world.behind(layer)).await);
    let client = client(&world.client(&url, |credentials| credentials).build().unwrap());
    assert_eq!(ask(&client, get(&url, "/v2/shipments")).await.status, 200);
    let id = world.handler.last().claims.unwrap().id().unwrap().to_owned();
    revoked.lock().unwrap().insert(id.clone());
    for _ in 0..3 {
        assert_eq!(ask(&client, get(&url, "/v2/shipments")).await.status, 200);
    }
    assert_ne!(world.handler.last().claims.unwrap().id(), Some(&*id));
    assert_eq!((world.issuer.token_requests(), world.handler.calls()), (2, 4));
}

#[tokio::test]
async fn a_token_that_is_over_by_the_servers_clock_is_renewed_once() {
    let world = World::start().await;
    let url = format!("http://{}", serve(world.guarded()).await);
    // The client's own clock stands still, so that it takes its token for a fresh one.
    let auth = world.client(&url, |credentials| credentials).clock(TestClock::new());
    let client = client(&auth.build().unwrap());
    assert_eq!(ask(&client, get(&url, "/v2/shipments")).await.status, 200);
    world.clock.pass(Duration::from_secs(24 * 60 * 60 + 59));
    assert_eq!(ask(&client, get(&url, "/v2/shipments")).await.status, 200, "the leeway");
    assert_eq!(world.issuer.token_requests(), 1);
    world.clock.pass(Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(ask(&client, get(&url, "/v2/shipments")).await.status, 200);
    }
    assert_eq!((world.issuer.token_requests(), world.handler.calls()), (2, 5));
}

#[tokio::test]
async fn a_server_without_keys_yet_costs_no_token() {
    let world = World::start().await;
    let url = format!("http://{}", serve(world.guarded()).await);
    let client = client(&world.client(&url, |credentials| credentials).build().unwrap());
    world.issuer.fault(Place::Keys, When::always(), Fault::down());
    for _ in 0..10 {
        assert_eq!(ask(&client, get(&url, "/v2/shipments")).await.status, 503);
    }
    world.issuer.heal();
    world.clock.pass(Duration::from_secs(10));
    assert_eq!(ask(&client, get(&url, "/v2/shipments")).await.status, 200);
    assert_eq!((world.issuer.token_requests(), world.fetches.count()), (1, 2));
}

#[tokio::test]
async fn bound_tokens_pass_with_a_proof_for_each_request() {
    let world = World::start().await;
    let layer = world.layer().dpop(DpopVerifier::new().plain_http());
    let url = format!("http://{}", serve(world.behind(layer)).await);
    let bound =
        |credentials: auth_core::ClientCredentials| credentials.dpop(SigningKey::generate_es256());
    let client = client(&world.client(&url, bound).build().unwrap());
    for path in ["/v2/shipments", "/v2/shipments?page=2", "/v2/shipments/17", "/v2/me"] {
        let answer = ask(&client, get(&url, path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let seen = world.handler.last();
        assert!(seen.headers["authorization"].to_str().unwrap().starts_with("DPoP "));
        assert!(seen.claims.unwrap().confirmation().unwrap().jkt.is_some());
    }
    let answer = ask(&client, get(&url, "/v2/bookings")).await;
    assert!(answer.challenge().starts_with(r#"DPoP error="insufficient_scope""#), "{answer:?}");
    assert_eq!((world.issuer.token_requests(), world.handler.calls()), (1, 4));
}
