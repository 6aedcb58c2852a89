//! Two servers behind tower's balancer: the layer outside of it, and inside of each endpoint.

use std::net::SocketAddr;

use auth_core::Authenticator;
use auth_issuer::{Fault, Issuer};
use auth_tower::{AuthLayer, BoxError};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::api::{Api, numbered};
use crate::orders::{Stack, boxed, client};
use crate::support::*;

/// What requests are addressed to: the balancer decides which of the servers that is.
const NAME: &str = "https://shipments.example";

/// Two servers that take any token but the one that `revoked` is.
async fn two(revoked: &'static str) -> [Api; 2] {
    let answer = move |headers: &http::HeaderMap| {
        let sent = headers.get("authorization").map(|value| value.to_str().unwrap());
        let refused = sent.is_none_or(|sent| sent == revoked);
        status(if refused { StatusCode::UNAUTHORIZED } else { StatusCode::OK })
    };
    [Api::start(answer).await, Api::start(answer).await]
}

/// Sends a request to one server, whatever its URI says.
fn to(address: SocketAddr) -> impl Fn(Request<Full<Bytes>>) -> Request<Full<Bytes>> + Clone {
    let authority: Authority = address.to_string().parse().unwrap();
    move |mut request| {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        (parts.scheme, parts.authority) = (Some(Scheme::HTTP), Some(authority.clone()));
        *request.uri_mut() = Uri::from_parts(parts).unwrap();
        request
    }
}

/// A balancer over `endpoints`, behind a buffer since it is not `Clone`.
fn balanced<S>(endpoints: [S; 2], auth: Option<AuthLayer>) -> Stack
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Send + 'static,
    S::Error: Into<BoxError> + Send + Sync,
    S::Future: Send,
{
    let load = |endpoint| PendingRequests::new(endpoint, CompleteOnResponse::default());
    let balance = Balance::new(ServiceList::new(endpoints.map(load)));
    let stack = ServiceBuilder::new().buffer(64).service(balance);
    match auth {
        Some(auth) => boxed(auth.layer(stack)),
        None => boxed(stack),
    }
}

/// The statuses of 40 requests at once.
async fn herd(stack: &Stack) -> Vec<u16> {
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let call = stack.clone().oneshot(get(&format!("{NAME}/v2/shipments")));
        calls.spawn(async { call.await.unwrap().status().as_u16() });
    }
    calls.join_all().await
}

/// A credential for the name and for both servers.
fn on_loopback(issuer: &Issuer, apis: &[Api; 2]) -> Authenticator {
    let builder = against(issuer).origin(NAME);
    builder.origin(apis[0].url()).origin(apis[1].url()).build().unwrap()
}

type Order = fn(&Authenticator, &[Api; 2]) -> Stack;

/// The layer judges by the URI: above the rewriting that is the name, and below it the server.
const ORDERS: [(&str, Order); 3] = [
    ("outside of the balance", |auth, apis| {
        let endpoint =
            |api: &Api| ServiceBuilder::new().map_request(to(api.address)).service(client());
        balanced(apis.each_ref().map(endpoint), Some(AuthLayer::new(auth.clone())))
    }),
    ("inside, above the rewriting", |auth, apis| {
        let layer = AuthLayer::new(auth.clone());
        let endpoint = |api: &Api| {
            ServiceBuilder::new()
                .layer(layer.clone())
                .map_request(to(api.address))
                .service(client())
        };
        balanced(apis.each_ref().map(endpoint), None)
    }),
    ("inside, below the rewriting", |auth, apis| {
        let layer = AuthLayer::new(auth.clone());
        let endpoint = |api: &Api| {
            ServiceBuilder::new()
                .map_request(to(api.address))
                .layer(layer.clone())
                .service(client())
        };
        balanced(apis.each_ref().map(endpoint), None)
    }),
];

#[tokio::test]
async fn two_servers_behind_a_balancer_cost_one_token_request_and_one_renewal() {
    for (order, stack) in ORDERS {
        let (issuer, apis) = (numbered().await, two("Bearer token-1").await);
        let stack = stack(&on_loopback(&issuer, &apis), &apis);
        assert_eq!(herd(&stack).await, [200; 40], "{order}");
        assert_eq!(issuer.token_requests(), 2, "{order}");
        let sent = apis.each_ref().map(|api| api.sent("authorization"));
        assert!(sent.iter().all(|sent| !sent.is_empty()), "{order}: both get some");
        let good = sent.iter().flatten().filter(|sent| *sent == "Bearer token-2").count();
        assert_eq!(good, 40, "{order}");
    }
}

#[tokio::test]
async fn below_the_rewriting_each_server_must_be_one_of_the_credentials_origins() {
    let (issuer, apis) = (numbered().await, two("").await);
    let auth = against(&issuer).origin(NAME).origin(apis[0].url()).build().unwrap();
    let [.., (_, below)] = ORDERS;
    let statuses = herd(&below(&auth, &apis)).await;
    let [first, second] = apis.each_ref().map(|api| api.sent("authorization"));
    assert!(
        first.iter().all(|sent| sent == "Bearer token-1") && second.iter().all(String::is_empty)
    );
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), second.len());
    assert!(!second.is_empty());
}

#[tokio::test]
async fn inside_of_an_endpoint_a_second_attempt_goes_to_the_same_server() {
    let [_, inside @ ..] = ORDERS;
    for (order, stack) in inside {
        let (issuer, apis) = (numbered().await, two("Bearer token-1").await);
        let stack = stack(&on_loopback(&issuer, &apis), &apis);
        let response = stack.oneshot(get(&format!("{NAME}/x"))).await.unwrap();
        assert_eq!(response.status(), 200, "{order}");
        let mut sent = apis.each_ref().map(|api| api.sent("authorization"));
        sent.sort_unstable();
        assert_eq!(sent, [vec![], vec!["Bearer token-1", "Bearer token-2"]], "{order}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_had_takes_no_server_out_of_the_balance() {
    for (order, stack) in ORDERS {
        let (issuer, apis) = (Issuer::start().await.unwrap(), two("").await);
        issuer.fail_all(Fault::status(503));
        let stack = stack(&on_loopback(&issuer, &apis), &apis);
        for _ in 0..10 {
            let error = stack.clone().oneshot(get(&format!("{NAME}/x"))).await.unwrap_err();
            assert!(auth_tower::error(&*error).unwrap().is_transient(), "{order}: {error}");
        }
        // Both servers still answer what needs no token of ours.
        let mut calls = JoinSet::new();
        for _ in 0..40 {
            let mut request = get(&format!("{NAME}/x"));
            request.headers_mut().insert("authorization", "Basic b3du".parse().unwrap());
            calls.spawn(stack.clone().oneshot(request));
        }
        assert!(
            calls.join_all().await.iter().all(|answer| answer.as_ref().unwrap().status() == 200)
        );
        assert!(apis.iter().all(|api| !api.sent("authorization").is_empty()), "{order}");
        assert_eq!(issuer.token_requests(), 1, "{order}");
    }
}
