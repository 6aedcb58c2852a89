//! The layer outside of each of tower's own and inside, over hyper-util's client and an issuer on
//! loopback.

use std::time::Duration;

use auth_issuer::{Fault, Gate, Issuer};
use auth_tower::{AuthLayer, BoxError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tower::spawn_ready::SpawnReadyLayer;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::support::*;

type HyperClient = Client<HttpConnector, Full<Bytes>>;

/// A stack whose type is not told: that each can be one is part of the test.
pub(crate) type Stack = BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>;

/// How many requests are sent at once; the limits let them all in.
const HERD: usize = 24;
const LONG: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn boxed<S>(stack: S) -> Stack
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    BoxCloneSyncService::new(stack.map_err(Into::into))
}

type Order = fn(AuthLayer, HyperClient) -> Stack;

/// Each of tower's layers on both sides. What is not `Clone` stands behind a buffer.
const ORDERS: [(&str, Order); 17] = [
    ("alone", |auth, client| boxed(auth.layer(client))),
    ("buffer outside", |auth, client| {
        boxed(ServiceBuilder::new().buffer(HERD).layer(auth).service(client))
    }),
    ("buffer inside", |auth, client| {
        boxed(ServiceBuilder::new().layer(auth).buffer(HERD).service(client))
    }),
    ("concurrency limit outside", |auth, client| {
        boxed(ServiceBuilder::new().concurrency_limit(2).layer(auth).service(client))
    }),
    ("concurrency limit inside", |auth, client| {
        boxed(ServiceBuilder::new().layer(auth).concurrency_limit(2).service(client))
    }),
    ("retry outside", |auth, client| {
        boxed(ServiceBuilder::new().retry(Stubborn(3)).layer(auth).service(client))
    }),
    ("retry inside", |auth, client| {
        boxed(ServiceBuilder::new().layer(auth).retry(Stubborn(3)).service(client))
    }),
    ("timeout outside", |auth, client| {
        boxed(ServiceBuilder::new().timeout(LONG).layer(auth).service(client))
    }),
    ("timeout inside", |auth, client| {
        boxed(ServiceBuilder::new().layer(auth).timeout(LONG).service(client))
    }),
    ("load shed outside", |auth, client| {
        let stack = ServiceBuilder::new().load_shed().layer(auth).concurrency_limit(HERD);
        boxed(stack.service(client))
    }),
    ("load shed inside", |auth, client| {
        let stack = ServiceBuilder::new().layer(auth).load_shed().concurrency_limit(HERD);
        boxed(stack.service(client))
    }),
    ("rate limit outside", |auth, client| {
        let stack = ServiceBuilder::new().buffer(HERD).rate_limit(1000, SECOND).layer(auth);
        boxed(stack.service(client))
    }),
    ("rate limit inside", |auth, client| {
        let stack = ServiceBuilder::new().layer(auth).buffer(HERD).rate_limit(1000, SECOND);
        boxed(stack.service(client))
    }),
    ("spawn ready outside", |auth, client| {
        let stack = ServiceBuilder::new().buffer(HERD).layer(SpawnReadyLayer::new()).layer(auth);
        boxed(stack.concurrency_limit(2).service(client))
    }),
    ("spawn ready inside", |auth, client| {
        let stack = ServiceBuilder::new().layer(auth).buffer(HERD).layer(SpawnReadyLayer::new());
        boxed(stack.concurrency_limit(2).service(client))
    }),
    ("boxed inside", |auth, client| boxed(auth.layer(boxed(client)))),
    ("as the documents have it", |auth, client| {
        let outer = ServiceBuilder::new().timeout(LONG).retry(Stubborn(3)).layer(auth);
        let inner = outer.buffer(HERD).load_shed().concurrency_limit(HERD);
        boxed(inner.rate_limit(1000, SECOND).service(client))
    }),
];

/// Sends a herd to the issuer's API; the statuses of the answers.
pub(crate) fn herd(stack: &Stack, issuer: &Issuer) -> JoinSet<u16> {
    let mut calls = JoinSet::new();
    for _ in 0..HERD {
        let call = stack.clone().oneshot(get(&format!("{}/v2/shipments", issuer.url())));
        calls.spawn(async { call.await.unwrap().status().as_u16() });
    }
    calls
}

// torture: A1
#[tokio::test]
async fn in_every_order_a_herd_costs_one_token_request_and_a_revoked_token_one_renewal() {
    for (order, stack) in ORDERS {
        let (issuer, gate) = (Issuer::start().await.unwrap(), Gate::new());
        issuer.fail_next(1, Fault::until(&gate));
        let stack = stack(AuthLayer::new(against(&issuer).build().unwrap()), client());
        let cold = herd(&stack, &issuer);
        issuer.until_token_requests(1).await;
        gate.open();
        // The API takes no request without the token.
        assert_eq!(cold.join_all().await, [200; HERD], "{order}");
        assert_eq!(issuer.token_requests(), 1, "{order}");
        assert_eq!(issuer.counters().api_total(), HERD as u64, "{order}");

        issuer.revoke_all();
        assert_eq!(herd(&stack, &issuer).join_all().await, [200; HERD], "{order}");
        assert_eq!(issuer.token_requests(), 2, "{order}");
        assert!(issuer.counters().api(401) >= 1, "{order}");
    }
}

// torture: B20
#[tokio::test]
async fn in_every_order_an_issuer_that_fails_is_asked_once_and_the_error_is_found() {
    for (order, stack) in ORDERS {
        let issuer = Issuer::start().await.unwrap();
        issuer.fail_all(Fault::status(503));
        let stack = stack(AuthLayer::new(against(&issuer).build().unwrap()), client());
        for _ in 0..3 {
            let request = get(&format!("{}/v2/shipments", issuer.url()));
            let error = stack.clone().oneshot(request).await.unwrap_err();
            let ours = auth_tower::error(&*error).expect(order);
            assert!(ours.is_transient() && ours.retry_at().is_some(), "{order}: {ours}");
        }
        assert_eq!((issuer.token_requests(), issuer.counters().api_total()), (1, 0), "{order}");
    }
}

// torture: B20
#[tokio::test]
async fn in_every_order_an_api_that_refuses_every_token_costs_one_renewal() {
    for (order, stack) in ORDERS {
        let issuer = Issuer::start().await.unwrap();
        issuer.api_status(Some(401));
        let stack = stack(AuthLayer::new(against(&issuer).build().unwrap()), client());
        for _ in 0..3 {
            assert_eq!(herd(&stack, &issuer).join_all().await, [401; HERD], "{order}");
        }
        assert_eq!(issuer.token_requests(), 2, "{order}");
    }
}

/// Tries everything again that is no success, which is more than a policy should.
#[derive(Clone)]
pub(crate) struct Stubborn(pub(crate) usize);

impl<B: Clone, ResB, E> tower::retry::Policy<Request<B>, Response<ResB>, E> for Stubborn {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<B>,
        result: &mut Result<Response<ResB>, E>,
    ) -> Option<Self::Future> {
        if result.as_ref().is_ok_and(|response| response.status().is_success()) {
            return None;
        }
        self.0 = self.0.checked_sub(1)?;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}
