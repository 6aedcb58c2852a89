//! What a 401 costs.

use std::time::Duration;

use auth_core::Quota;
use tokio::task::JoinSet;

use crate::support::*;

// torture: B18
#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once_for_all_who_were_refused() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    let mut refused = JoinSet::new();
    for _ in 0..1000 {
        let auth = auth.clone();
        refused.spawn(async move { text(&auth.replacement(first).await.unwrap()).to_owned() });
    }
    assert!(refused.join_all().await.iter().all(|token| token == "Bearer token-2"));
    assert_eq!(issuer.requests(), 2);
}

// torture: B12
#[tokio::test(start_paused = true)]
async fn a_late_refusal_of_an_older_token_costs_nothing() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    auth.replacement(first).await.unwrap();
    for _ in 0..100 {
        auth.refuse(first);
        settle().await;
        assert_eq!(text(&auth.replacement(first).await.unwrap()), "Bearer token-2");
    }
    assert_eq!(issuer.requests(), 2);
}

// torture: B12
#[tokio::test(start_paused = true)]
async fn a_refused_token_that_cannot_be_renewed_is_served_on() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    issuer.always(Some(503));
    let error = auth.replacement(first).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-1");
    assert!(!auth.status().await.token.unwrap().suspect);
    assert_eq!(issuer.requests(), 2);
}

// torture: B11
#[tokio::test(start_paused = true)]
async fn an_api_that_refuses_everything_costs_one_renewal_an_hour_at_most() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    for _ in 0..10_000 {
        let generation = auth.authorization().await.unwrap().generation();
        if let Err(error) = auth.replacement(generation).await {
            assert!(error.is_refused_again() || error.is_quota_exhausted(), "{error}");
        }
    }
    assert_eq!(issuer.requests(), 2, "the first token, and one because of the refusal");

    // Two of ten a day at most, however long it goes on.
    for _ in 0..24 * 60 {
        tokio::time::advance(Duration::from_secs(60)).await;
        let generation = auth.authorization().await.unwrap().generation();
        let _ = auth.replacement(generation).await;
    }
    let renewals = issuer.requests() - 1;
    assert!(renewals <= 4, "{renewals}: two for refusals, and renewals ahead of time");
}

#[tokio::test(start_paused = true)]
async fn while_the_renewal_is_under_way_others_go_on_with_the_token() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let issuer = Issuer::new([Step::Token(86_400), Step::Gate(gate.clone())]);
    let (auth, _) = authenticator(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    auth.refuse(first);
    issuer.arrival().await;
    for _ in 0..100 {
        assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-1");
    }
    assert!(auth.status().await.token.unwrap().suspect);
    gate.notify_one();
    settle().await;
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-2");
    assert_eq!(issuer.requests(), 2);
}

#[test]
fn a_refusal_outside_of_a_runtime_is_followed_up_by_the_next_request_inside_one() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime.block_on(auth.authorization()).unwrap().generation();
    auth.refuse(first);
    runtime.block_on(async {
        auth.authorization().await.unwrap();
        settle().await;
        assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-2");
    });
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_single_unit_a_day_is_enough_to_replace_a_revoked_token_the_day_after() {
    let issuer = Issuer::new([]);
    let (builder, clock) = builder(&issuer);
    let auth = builder.quota(Quota::per_day(1)).build().unwrap();
    let first = auth.authorization().await.unwrap().generation();
    let error = auth.replacement(first).await.unwrap_err();
    assert!(error.is_quota_exhausted(), "{error}");
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-1");
    tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    auth.authorization().await.unwrap();
    assert_eq!(issuer.requests(), 2);
}
