//! hyper-util's client and a real issuer and API on loopback.

use auth_issuer::{Fault, Gate, Issuer};
use auth_tower::AuthLayer;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

use crate::support::*;

type HyperClient = Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>;

fn client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

// torture: A1
#[tokio::test]
async fn five_hundred_cold_requests_cost_one_token_request() {
    let gate = Gate::new();
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::until(&gate));
    let auth = against(&issuer).build().unwrap();
    let api = AuthLayer::new(auth).layer(client());
    let mut calls = JoinSet::new();
    for _ in 0..500 {
        calls.spawn(api.clone().oneshot(get(&format!("{}/v2/shipments", issuer.url()))));
    }
    issuer.until_token_requests(1).await;
    gate.open();
    let responses = calls.join_all().await;
    assert!(responses.into_iter().all(|response| response.unwrap().status() == 200));
    assert_eq!(issuer.token_requests(), 1);
    assert_eq!(issuer.counters().api(200), 500);
}

// torture: B18
#[tokio::test]
async fn a_revoked_token_costs_one_renewal_and_the_request_is_sent_again() {
    let issuer = Issuer::start().await.unwrap();
    let auth = against(&issuer).build().unwrap();
    let api = AuthLayer::new(auth).layer(client());
    let post = || {
        let request = Request::post(format!("{}/v2/bookings", issuer.url()))
            .header("content-type", "application/json");
        request.body(Full::<Bytes>::from(r#"{"name":"a"}"#)).unwrap()
    };
    assert!(api.clone().oneshot(post()).await.unwrap().status().is_success());
    issuer.revoke_all();
    let response = api.clone().oneshot(post()).await.unwrap();
    assert!(response.status().is_success());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains(r#"{"name":"a"}"#), "{body:?}");
    assert_eq!(issuer.token_requests(), 2);
    assert_eq!(issuer.counters().api(401), 1);
}

#[tokio::test]
async fn a_budget_of_one_is_refused_by_both_sides_with_the_same_number() {
    let issuer = Issuer::builder().quota(1).start().await.unwrap();
    let auth = against(&issuer).quota(auth_core::Quota::per_day(1)).build().unwrap();
    let api = AuthLayer::new(auth.clone()).layer(client());
    let shipments = format!("{}/v2/shipments", issuer.url());
    assert_eq!(api.clone().oneshot(get(&shipments)).await.unwrap().status(), 200);
    issuer.revoke_all();
    // No unit is left: nothing is asked, and the API's own 401 goes back.
    assert_eq!(
        api.clone().oneshot(get(&shipments)).await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(issuer.token_requests(), 1);
}
