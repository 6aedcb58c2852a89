//! The middleware inside of reqwest-retry.

use std::time::Duration;

use auth_issuer::{Fault, Issuer};
use auth_reqwest::AuthMiddleware;
use reqwest::{Response, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::policies::ExponentialBackoff;
use reqwest_retry::{
    DefaultRetryableStrategy, RetryTransientMiddleware, Retryable, RetryableStrategy,
};

use crate::harness::{bare, builder, get, spent};
use crate::peer::{Peer, plain};

const RETRIES: u32 = 3;

fn backoff() -> ExponentialBackoff {
    ExponentialBackoff::builder()
        .retry_bounds(Duration::from_millis(1), Duration::from_millis(2))
        .build_with_max_retries(RETRIES)
}

/// Holds every failure worth another try, which the default does not.
struct Everything;

impl RetryableStrategy for Everything {
    fn handle(&self, result: &reqwest_middleware::Result<Response>) -> Option<Retryable> {
        match result {
            Ok(_) => DefaultRetryableStrategy.handle(result),
            Err(_) => Some(Retryable::Transient),
        }
    }
}

fn clients(auth: &AuthMiddleware) -> [ClientWithMiddleware; 2] {
    let usual = RetryTransientMiddleware::new_with_policy(backoff());
    let stubborn = RetryTransientMiddleware::new_with_policy_and_strategy(backoff(), Everything);
    [
        ClientBuilder::new(bare()).with(usual).with(auth.clone()).build(),
        ClientBuilder::new(bare()).with(stubborn).with(auth.clone()).build(),
    ]
}

// torture: B20
#[tokio::test]
async fn retries_do_not_multiply_token_requests_and_the_error_is_found() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_all(Fault::status(503));
    let authenticator = builder(&issuer).build().unwrap();
    for client in clients(&AuthMiddleware::new(authenticator.clone())) {
        let failed = get(&client, &issuer).await.unwrap_err();
        let found = auth_reqwest::error(&failed).unwrap();
        assert!(found.is_transient() && found.retry_at().is_some(), "{found}");
    }
    assert_eq!(issuer.token_requests(), 1);
    assert_eq!(issuer.counters().api_total(), 0);
    assert_eq!(spent(&authenticator).await, 1);
}

#[tokio::test]
async fn each_attempt_carries_the_token() {
    let issuer = Issuer::start().await.unwrap();
    let api = Peer::start(|_| plain("503 Service Unavailable")).await;
    let authenticator = builder(&issuer).origin(api.url()).build().unwrap();
    let [client, _] = clients(&AuthMiddleware::new(authenticator));
    let response = client.get(api.url()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(api.heads().len(), 1 + RETRIES as usize);
    assert!(api.heads().iter().all(|head| head.matches("authorization: bearer").count() == 1));
    assert_eq!(issuer.token_requests(), 1);
}
