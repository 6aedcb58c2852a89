//! A store that fails stops spending, and nothing else.

use std::error::Error as _;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use auth_core::Store;

use crate::support::*;

fn over(store: &Moody, issuer: &Issuer) -> (auth_core::Authenticator, SharedClock) {
    let (builder, clock) = builder(issuer);
    (builder.store(Store::new(store.clone())).build().unwrap(), clock)
}

#[tokio::test(start_paused = true)]
async fn while_the_store_fails_nothing_is_sent_and_the_token_is_served() {
    let (store, issuer) = (Moody::default(), Issuer::new([]));
    let (auth, _) = over(&store, &issuer);
    store.fails.store(true, SeqCst);
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_store() && error.is_transient() && error.source().is_some(), "{error}");
    assert!(error.to_string().contains("no space left"), "{error}");
    assert_eq!(issuer.requests(), 0);

    store.fails.store(false, SeqCst);
    tokio::time::advance(Duration::from_secs(2)).await;
    auth.authorization().await.unwrap();
    store.fails.store(true, SeqCst);
    tokio::time::advance(DAY * 91 / 100).await;
    for _ in 0..100 {
        auth.authorization().await.unwrap();
        settle().await;
    }
    assert_eq!(issuer.requests(), 1);
    assert!(auth.status().await.store_error.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_after_five_seconds() {
    let (store, issuer) = (Moody::default(), Issuer::new([]));
    let (auth, _) = over(&store, &issuer);
    store.hangs.store(true, SeqCst);
    let began = tokio::time::Instant::now();
    assert!(auth.authorization().await.unwrap_err().is_store());
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(issuer.requests(), 0);
}

// torture: G60
#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_looked_up_and_spent_once() {
    let (store, issuer) = (Moody::default(), Issuer::new([]));
    let (auth, _) = over(&store, &issuer);
    store.loses_answers.store(1, SeqCst);
    auth.authorization().await.unwrap();
    assert_eq!(issuer.requests(), 1);
    assert_eq!(auth.status().await.windows[0].spent, 1);
    assert_eq!(store.written.load(SeqCst), 2, "one to spend, one to settle");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_served_when_it_cannot_be_settled_and_is_settled_later() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let (store, issuer) = (Moody::default(), Issuer::new([Step::Gate(gate.clone())]));
    let (auth, _) = over(&store, &issuer);
    let caller = tokio::spawn({
        let auth = auth.clone();
        async move { auth.authorization().await }
    });
    issuer.arrival().await;
    store.hangs.store(true, SeqCst);
    gate.notify_one();
    let began = tokio::time::Instant::now();
    assert_eq!(text(&caller.await.unwrap().unwrap()), "Bearer token-1");
    assert!(began.elapsed() <= Duration::from_secs(1));
    assert_eq!(store.written.load(SeqCst), 1);
    store.hangs.store(false, SeqCst);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(store.written.load(SeqCst), 2);
    assert_eq!(issuer.requests(), 1);
}
