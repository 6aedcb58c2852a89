//! The middleware with reqwest-retry and reqwest-tracing, in the documented order and in the
//! reverse.

use std::time::Duration;

use async_trait::async_trait;
use auth_core::Authenticator;
use auth_issuer::{Fault, Gate, Issuer};
use auth_reqwest::AuthMiddleware;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use reqwest_tracing::{SpanBackendWithUrl, TracingMiddleware};
use tokio::task::JoinSet;

use crate::harness::{bare, builder, get};
use crate::log::Log;
use crate::peer::{Peer, plain};

const HERD: usize = 24;

fn retries() -> RetryTransientMiddleware<ExponentialBackoff> {
    let soon = Duration::from_millis(1);
    let backoff = ExponentialBackoff::builder().retry_bounds(soon, soon);
    RetryTransientMiddleware::new_with_policy(backoff.build_with_max_retries(3))
}

type Order = fn(&Authenticator) -> ClientBuilder;

const ORDERS: [(&str, Order); 2] = [
    ("tracing, retries, token", |auth| {
        let tracing = TracingMiddleware::<SpanBackendWithUrl>::new();
        let auth = AuthMiddleware::new(auth.clone());
        ClientBuilder::new(bare()).with(tracing).with(retries()).with(auth)
    }),
    ("token, retries, tracing", |auth| {
        let tracing = TracingMiddleware::<SpanBackendWithUrl>::new();
        let auth = AuthMiddleware::new(auth.clone());
        ClientBuilder::new(bare()).with(auth).with(retries()).with(tracing)
    }),
];

fn herd(client: &ClientWithMiddleware, issuer: &Issuer) -> JoinSet<u16> {
    let mut calls = JoinSet::new();
    for _ in 0..HERD {
        let call = client.get(format!("{}/v2/shipments", issuer.url()));
        calls.spawn(async { call.send().await.unwrap().status().as_u16() });
    }
    calls
}

// torture: A1
#[tokio::test]
async fn in_both_orders_a_herd_costs_one_token_request_and_a_revoked_token_one_renewal() {
    for (order, client) in ORDERS {
        let (issuer, gate) = (Issuer::start().await.unwrap(), Gate::new());
        issuer.fail_next(1, Fault::until(&gate));
        let client = client(&builder(&issuer).build().unwrap()).build();
        let cold = herd(&client, &issuer);
        issuer.until_token_requests(1).await;
        gate.open();
        assert_eq!(cold.join_all().await, [200; HERD], "{order}");
        assert_eq!(issuer.token_requests(), 1, "{order}");

        issuer.revoke_all();
        assert_eq!(herd(&client, &issuer).join_all().await, [200; HERD], "{order}");
        assert_eq!(issuer.token_requests(), 2, "{order}");

        // Retries take a 401 for final, so nothing is multiplied.
        issuer.api_status(Some(401));
        let before = issuer.counters().api(401);
        assert_eq!(herd(&client, &issuer).join_all().await, [401; HERD], "{order}");
        assert_eq!(issuer.counters().api(401) - before, HERD as u64, "{order}");
        assert_eq!(issuer.token_requests(), 2, "{order}");
    }
}

// torture: B20
#[tokio::test]
async fn in_both_orders_an_issuer_that_fails_is_asked_once_and_the_error_is_found() {
    for (order, client) in ORDERS {
        let issuer = Issuer::start().await.unwrap();
        issuer.fail_all(Fault::status(503));
        let client = client(&builder(&issuer).build().unwrap()).build();
        for _ in 0..3 {
            let failed = get(&client, &issuer).await.unwrap_err();
            assert!(auth_reqwest::error(&failed).expect(order).is_transient(), "{order}");
        }
        assert_eq!((issuer.token_requests(), issuer.counters().api_total()), (1, 0), "{order}");
    }
}

/// Has the token renewed after each answer, as another request could.
struct Renews(Authenticator);

#[async_trait]
impl Middleware for Renews {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let response = next.run(request, extensions).await?;
        self.0.renew().await.unwrap();
        Ok(response)
    }
}

#[tokio::test]
async fn retries_outside_take_the_newest_token_and_inside_the_one_they_began_with() {
    for ((order, client), kinds) in ORDERS.into_iter().zip([4, 1]) {
        let issuer = Issuer::start().await.unwrap();
        for number in 1..=5 {
            let body = format!(
                r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":3600}}"#
            );
            issuer.fail_next(1, Fault::body(200, "application/json", body));
        }
        let api = Peer::start(|_| plain("503 Service Unavailable")).await;
        let auth = builder(&issuer).origin(api.url()).build().unwrap();
        let client = client(&auth).with(Renews(auth)).build();
        assert_eq!(client.get(api.url()).send().await.unwrap().status(), 503);
        let token = |head: &String| {
            head.lines()
                .find_map(|line| line.strip_prefix("authorization: bearer "))
                .map(str::to_owned)
        };
        let mut tokens: Vec<_> = api.heads().iter().map(|head| token(head).unwrap()).collect();
        assert_eq!(tokens.len(), 4, "{order}");
        tokens.dedup();
        assert_eq!(tokens.len(), kinds, "{order}: {tokens:?}");
    }
}

// torture: E43
#[tokio::test]
async fn in_both_orders_traces_show_neither_token_nor_secret() {
    for (order, traced) in ORDERS {
        let log = Log::listen();
        let issuer = Issuer::start().await.unwrap();
        let auth = builder(&issuer).build().unwrap();
        assert_eq!(get(&traced(&auth).build(), &issuer).await.unwrap().status(), 200, "{order}");
        let token = auth.try_authorization().unwrap().into_header();
        let token = token.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        // A failure is logged with all its causes.
        let down = Issuer::start().await.unwrap();
        down.fail_all(Fault::oauth_error(401, "invalid_client"));
        get(&traced(&builder(&down).build().unwrap()).build(), &down).await.unwrap_err();
        let text = log.text();
        assert!(text.contains("url.full"), "{text}");
        assert_eq!(text.contains("error.cause_chain"), order.starts_with("tracing"), "{text}");
        for secret in [token, issuer.client_secret(), down.client_secret()] {
            assert!(!text.contains(secret), "{order}");
        }
    }
}
