//! reqwest's client as a tower service, under the layer of `auth-tower`.

use std::time::Duration;

use auth_core::Authenticator;
use auth_issuer::{Fault, Gate, Issuer};
use auth_tower::{AuthLayer, Auto, BoxError, Cloned, Replay, With};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use reqwest::redirect::Policy;
use reqwest::{Body, Client};
use tokio::task::JoinSet;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::harness::builder;

type Api<B> = BoxCloneSyncService<Request<B>, Response<Body>, BoxError>;

/// reqwest speaks `http`'s types after a conversion each way, of which the first can fail.
fn service<B: Into<Body> + Send + 'static>(client: Client) -> Api<B> {
    BoxCloneSyncService::new(service_fn(move |request: Request<B>| {
        let client = client.clone();
        async move {
            let request = reqwest::Request::try_from(request)?;
            Ok::<_, BoxError>(Response::from(client.execute(request).await?))
        }
    }))
}

/// Redirects are for a layer outside of the token's.
fn client() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

fn stack<B, R>(auth: &Authenticator, replay: R) -> Api<B>
where
    B: Into<Body> + Send + Sync + 'static,
    R: Replay<B> + Clone + Send + Sync + 'static,
{
    let layers = ServiceBuilder::new()
        .timeout(Duration::from_secs(600))
        .layer(AuthLayer::new(auth.clone()).replay(replay))
        .buffer(64)
        .concurrency_limit(4);
    BoxCloneSyncService::new(layers.service(service(client())))
}

#[tokio::test]
async fn a_herd_over_reqwest_costs_one_token_request_and_a_revoked_token_one_renewal() {
    let (issuer, gate) = (Issuer::start().await.unwrap(), Gate::new());
    issuer.fail_next(1, Fault::until(&gate));
    let stack = stack::<Bytes, _>(&builder(&issuer).build().unwrap(), Cloned);
    let herd = || {
        let mut calls = JoinSet::new();
        for _ in 0..24 {
            let request = Request::get(format!("{}/v2/shipments", issuer.url()));
            let call = stack.clone().oneshot(request.body(Bytes::new()).unwrap());
            calls.spawn(async { call.await.unwrap().status().as_u16() });
        }
        calls
    };
    let cold = herd();
    issuer.until_token_requests(1).await;
    gate.open();
    assert_eq!(cold.join_all().await, [200; 24]);
    assert_eq!(issuer.token_requests(), 1);
    issuer.revoke_all();
    assert_eq!(herd().join_all().await, [200; 24]);
    assert_eq!(issuer.token_requests(), 2);
}

/// The status of a request whose token was revoked, and what came back.
async fn revoked<B, R>(replay: R, body: impl Fn() -> B) -> (u16, String)
where
    B: Into<Body> + Send + Sync + 'static,
    R: Replay<B> + Clone + Send + Sync + 'static,
{
    let issuer = Issuer::start().await.unwrap();
    let stack = stack::<B, R>(&builder(&issuer).build().unwrap(), replay);
    let mut last = None;
    for _ in 0..2 {
        issuer.revoke_all();
        let request = Request::post(format!("{}/v2/bookings", issuer.url()));
        let response = stack.clone().oneshot(request.body(body()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        last = Some((status, String::from_utf8(body.to_vec()).unwrap()));
    }
    // Waits for the renewal, so that it can be counted.
    issuer.until_token_requests(2).await;
    assert_eq!(issuer.token_requests(), 2);
    last.unwrap()
}

#[tokio::test]
async fn bodies_of_reqwests_are_sent_again_by_the_policy_that_fits_them() {
    let sent = (201, "text".to_owned());
    assert_eq!(revoked(Cloned, || Bytes::from("text")).await, sent);
    let in_memory = |body: &Body| body.as_bytes().map(|bytes| Bytes::copy_from_slice(bytes).into());
    assert_eq!(revoked(With(in_memory), || Body::from("text")).await, sent);
    // The default policy knows none of them.
    assert_eq!(revoked(Auto, || Bytes::from("text")).await.0, 401);
    assert_eq!(revoked(Auto, || Body::from("text")).await.0, 401);
}

#[tokio::test]
async fn the_error_of_a_request_without_a_token_is_found_as_in_every_tower_stack() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_all(Fault::status(503));
    let stack = stack::<Bytes, _>(&builder(&issuer).build().unwrap(), Cloned);
    let request = Request::get(issuer.url()).body(Bytes::new()).unwrap();
    let error = stack.oneshot(request).await.unwrap_err();
    assert!(auth_tower::error(&*error).unwrap().is_transient(), "{error}");
    assert_eq!((issuer.token_requests(), issuer.counters().api_total()), (1, 0));
}
