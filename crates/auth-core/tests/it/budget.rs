//! The number of token requests stays within the quota, and the day is not over after one bad minute.

use std::time::Duration;

use auth_core::{Authenticator, MemoryStore, Quota, Store};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn an_outage_from_cold_is_paced_and_ends_with_the_first_success() {
    let issuer = Issuer::new([]);
    issuer.always(Some(503));
    let (auth, _) = authenticator(&issuer);
    let mut refused = 0;
    // Every ten seconds for 24 h: somebody asks.
    for _ in 0..8_640 {
        if auth.authorization().await.is_err() {
            refused += 1;
        }
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(refused, 8_640);
    let spent = issuer.requests();
    assert!((5..=10).contains(&spent), "{spent} requests in the first day");

    issuer.always(None);
    let mut waited = 0;
    while auth.authorization().await.is_err() {
        tokio::time::advance(Duration::from_secs(60)).await;
        waited += 1;
        assert!(waited < 24 * 60, "no recovery within another day");
    }
    assert_eq!(issuer.requests(), spent + 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_with_a_valid_token_fails_no_request_and_keeps_the_reserve() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    issuer.always(Some(503));
    let last = Duration::from_secs(86_400 - 61);
    let start = tokio::time::Instant::now();
    let mut served = 0;
    while start.elapsed() < last {
        auth.authorization().await.unwrap();
        settle().await;
        served += 1;
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    assert!(served > 8000);
    let attempts = issuer.requests() - 1;
    assert!((2..=6).contains(&attempts), "{attempts} attempts, and 7 units are open to renewals");

    // The token dies: one attempt at once, whatever the pace of the renewals was.
    tokio::time::advance(Duration::from_secs(61)).await;
    issuer.always(None);
    auth.authorization().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn when_the_quota_is_spent_the_error_says_when_the_next_slot_opens() {
    let issuer = Issuer::new((0..10).map(|_| Step::Token(60)));
    let (builder, clock) = builder(&issuer);
    let auth = builder.quota(Quota::per_day(3)).build().unwrap();
    for _ in 0..3 {
        auth.authorization().await.unwrap();
        tokio::time::advance(Duration::from_secs(3600)).await;
    }
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_quota_exhausted() && error.is_transient(), "{error}");
    assert!(error.to_string().contains("3 of 3 token requests are spent in 24 h"), "{error}");
    let wait = clock.until(error.retry_at().unwrap());
    assert_eq!(wait, Duration::from_secs(25 * 3600 - 3 * 3600));

    tokio::time::advance(wait - Duration::from_millis(1)).await;
    assert!(auth.authorization().await.unwrap_err().is_quota_exhausted());
    assert_eq!(issuer.requests(), 3);
    tokio::time::advance(Duration::from_millis(1001)).await;
    auth.authorization().await.unwrap();
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test(start_paused = true)]
async fn two_authenticators_of_one_client_share_a_budget_and_a_token() {
    let issuer = Issuer::new([]);
    let clock = SharedClock::new();
    let store = Store::new(MemoryStore::new());
    let with = |audience: &str| {
        Authenticator::builder(credentials().audience(audience))
            .store(store.clone())
            .transport(issuer.clone())
            .clock(clock.clone())
            .quota(Quota::per_day(2))
            .build()
            .unwrap()
    };
    let (a, twin, b, c) = (
        with("https://a.example"),
        with("https://a.example"),
        with("https://b.example"),
        with("https://c.example"),
    );
    assert_eq!(text(&a.authorization().await.unwrap()), "Bearer token-1");
    assert_eq!(text(&twin.authorization().await.unwrap()), "Bearer token-1", "adopted");
    assert_eq!(text(&b.authorization().await.unwrap()), "Bearer token-2");
    assert!(c.authorization().await.unwrap_err().is_quota_exhausted());
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn unlimited_is_paced_all_the_same() {
    let issuer = Issuer::new([]);
    issuer.always(Some(500));
    let (builder, _) = builder(&issuer);
    let auth = builder.quota(Quota::unlimited()).build().unwrap();
    for _ in 0..600 {
        auth.authorization().await.unwrap_err();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(issuer.requests(), 20);
}

// torture: B16
#[tokio::test(start_paused = true)]
async fn an_invalid_client_is_tried_once_a_day_and_another_secret_at_once() {
    let issuer = Issuer::new((0..3).map(|_| refusal(401, "invalid_client")));
    let (builder, clock) = builder(&issuer);
    let store = Store::new(MemoryStore::new());
    let auth = builder.store(store.clone()).build().unwrap();
    for _ in 0..100 {
        let error = auth.authorization().await.unwrap_err();
        assert!(error.is_invalid_client(), "{error}");
        tokio::time::advance(Duration::from_secs(800)).await;
    }
    assert_eq!(issuer.requests(), 1);
    tokio::time::advance(DAY - Duration::from_secs(80_000)).await;
    assert!(auth.authorization().await.is_err());
    assert_eq!(issuer.requests(), 2, "once a day it is tried");

    let other = auth_core::ClientCredentials::new("client", "another secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example");
    issuer.then([Step::Token(86_400)]);
    let other = Authenticator::builder(other)
        .store(store)
        .transport(issuer.clone())
        .clock(clock)
        .build()
        .unwrap();
    let error = other.authorization().await.unwrap_err();
    assert!(
        error.is_invalid_client(),
        "it was asked at once, and the issuer refused it too: {error}"
    );
    assert_eq!(issuer.requests(), 3);
}
