//! What a 401 costs.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use auth_core::{Quota, Store};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_test::{assert_pending, task};

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
    issuer.arrivals(2).await;
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

// torture: B12
#[tokio::test(start_paused = true)]
async fn a_late_refusal_does_not_touch_a_token_that_was_renewed_in_the_meantime() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    tokio::time::advance(DAY).await;
    auth.authorization().await.unwrap();
    for _ in 0..100 {
        auth.refuse(first);
        settle().await;
        assert!(!auth.status().await.token.unwrap().suspect);
        assert_eq!(text(&auth.replacement(first).await.unwrap()), "Bearer token-2");
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    assert_eq!(issuer.requests(), 2);
}

/// Another flight clears a suspicion while the one who had it still waits.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_denied_meanwhile_leaves_nobody_waiting() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    issuer.always(Some(503));
    tokio::time::advance(DAY * 91 / 100).await;
    let mut refused = task::spawn(auth.replacement(first));
    assert_pending!(refused.poll());
    settle().await;
    auth.try_authorization().unwrap();
    settle().await;
    for _ in 0..100 {
        if let Poll::Ready(result) = refused.poll() {
            assert!(result.is_err());
            return;
        }
        settle().await;
    }
    panic!("it waits on, woken again and again: {}", auth.status().await);
}

#[tokio::test(start_paused = true)]
async fn a_generation_of_another_authenticator_is_answered_with_any_token() {
    let (one, _) = authenticator(&Issuer::new([]));
    let first = one.authorization().await.unwrap().generation();
    let second = one.replacement(first).await.unwrap().generation();
    let issuer = Issuer::new([]);
    let (other, _) = authenticator(&issuer);
    other.authorization().await.unwrap();
    assert_eq!(text(&other.replacement(second).await.unwrap()), "Bearer token-1");
    assert_eq!(issuer.requests(), 1);
}

/// A renewal ahead of time fails while a refusal comes in: the refusal is followed up all the same.
#[tokio::test(start_paused = true)]
async fn a_refusal_during_a_denied_renewal_is_followed_up() {
    let issuer = Issuer::new([Step::Token(60), Step::Token(60)]);
    let (builder, _) = builder(&issuer);
    let auth = builder.quota(Quota::per_day(4)).build().unwrap();
    for _ in 0..2 {
        auth.authorization().await.unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    let third = auth.authorization().await.unwrap().generation();
    tokio::time::advance(DAY * 91 / 100).await;
    // Three of four are spent, which is all that is open to renewals.
    auth.try_authorization().unwrap();
    auth.refuse(third);
    settle().await;
    for _ in 0..10 {
        auth.authorization().await.unwrap();
        settle().await;
    }
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-4");
}

/// Promise 5, for a renewal that fails: one token request for a refusal, and another an hour later at the earliest.
#[tokio::test(start_paused = true)]
async fn refusals_of_one_token_cost_one_request_an_hour_while_the_issuer_fails() {
    let issuer = Issuer::new([]);
    let (builder, _) = builder(&issuer);
    let auth = builder.quota(Quota::unlimited()).build().unwrap();
    let first = auth.authorization().await.unwrap().generation();
    issuer.always(Some(503));
    for second in 0..3 * 3600 {
        assert!(auth.replacement(first).await.is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(issuer.requests() <= 2 + second / 3600, "after {second} s: {}", issuer.requests());
    }
    assert_eq!(issuer.requests(), 4);
}

/// The newer token could not be written down, so the record still has the one that was refused.
#[tokio::test(start_paused = true)]
async fn a_refused_token_in_the_record_is_not_adopted_again() {
    let gate = Arc::new(Notify::new());
    let store = Moody::default();
    let issuer = Issuer::new([Step::Token(86_400), Step::Gate(gate.clone())]);
    let (builder, _) = builder(&issuer);
    let auth = builder.store(Store::new(store.clone())).build().unwrap();
    let first = auth.authorization().await.unwrap().generation();
    auth.refuse(first);
    issuer.arrivals(2).await;
    store.fails.store(true, SeqCst);
    gate.notify_one();
    tokio::time::sleep(Duration::from_secs(60)).await;
    store.fails.store(false, SeqCst);
    let second = auth.authorization().await.unwrap();
    assert_eq!(text(&second), "Bearer token-2");
    for _ in 0..40 {
        auth.refuse(second.generation());
        settle().await;
        assert_ne!(text(&auth.authorization().await.unwrap()), "Bearer token-1");
        tokio::time::advance(Duration::from_secs(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_have_a_new_token_past_every_hold() {
    let issuer = Issuer::new([refusal(401, "invalid_client")]);
    let (auth, _) = authenticator(&issuer);
    assert!(auth.authorization().await.unwrap_err().is_invalid_client());
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(auth.authorization().await.is_err());
    assert_eq!(text(&auth.renew().await.unwrap()), "Bearer token-1");
    assert_eq!(text(&auth.renew().await.unwrap()), "Bearer token-2");
    assert_eq!(auth.status().await.windows[0].spent, 3);
}

#[tokio::test(start_paused = true)]
async fn a_late_refusal_is_answered_even_if_the_newer_token_has_expired() {
    let issuer = Issuer::new((0..3).map(|_| Step::Token(3600)));
    let (auth, _) = authenticator(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    auth.renew().await.unwrap();
    tokio::time::advance(Duration::from_secs(3700)).await;
    assert_eq!(text(&auth.replacement(first).await.unwrap()), "Bearer token-3");
}

#[tokio::test(start_paused = true)]
async fn the_refusal_of_an_expired_token_is_an_expiry() {
    let issuer = Issuer::new((0..9).map(|_| Step::Token(600)));
    let (auth, _) = authenticator(&issuer);
    let mut generation = auth.authorization().await.unwrap().generation();
    // More often than refusals may have of the budget.
    for number in 2..6 {
        tokio::time::advance(Duration::from_secs(601)).await;
        let newer = auth.replacement(generation).await.unwrap();
        assert_eq!(text(&newer), format!("Bearer token-{number}"));
        generation = newer.generation();
    }
}
