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
    let caller = caller(&auth);
    issuer.arrivals(1).await;
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

#[tokio::test(start_paused = true)]
async fn a_store_that_never_knows_whether_it_wrote_is_given_up() {
    let (store, issuer) = (Moody::default(), Issuer::new([]));
    let (auth, _) = over(&store, &issuer);
    store.is_mute.store(true, SeqCst);
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(store.written.load(SeqCst) < 10);
    assert_eq!(issuer.requests(), 0);
}

/// The unit is only a reservation until the write is confirmed: of many who try at once, one gets the last.
#[tokio::test(start_paused = true)]
async fn sixty_four_processes_race_for_the_last_unit_and_one_gets_it() {
    let (store, issuer) = (Moody::default(), Issuer::new([]));
    let clock = SharedClock::new();
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..64 {
        // Each with a request of its own, so that none waits for another's flight.
        let auth =
            auth_core::Authenticator::builder(credentials().scope(format!("scope-{number}")))
                .store(Store::new(store.clone()))
                .transport(issuer.clone())
                .clock(clock.clone())
                .quota(auth_core::Quota::per_day(1))
                .build()
                .unwrap();
        racers.spawn(async move { auth.authorization().await });
    }
    let results = racers.join_all().await;
    let refused = results
        .iter()
        .filter(|result| result.as_ref().is_err_and(auth_core::Error::is_quota_exhausted));
    assert_eq!(refused.count(), 63);
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_store_took_is_not_there_to_send() {
    let (store, issuer) = (Moody::default(), Issuer::new([]));
    let (builder, _) = builder(&issuer);
    let auth =
        builder.store(Store::new(store.clone())).deadline(Duration::from_secs(3)).build().unwrap();
    store.write_millis.store(4000, SeqCst);
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("store"), "{error}");
    assert_eq!(issuer.requests(), 0);
    assert_eq!(auth.status().await.windows[0].spent, 1, "in doubt it is spent");
}

/// The outcome is known in this process, though the store hung when it was to be written down.
#[tokio::test(start_paused = true)]
async fn what_the_issuer_said_holds_even_if_it_could_not_be_written_down() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let (store, issuer) =
        (Moody::default(), Issuer::new([Step::Gate(gate.clone()), too_many("7200")]));
    let (auth, clock) = over(&store, &issuer);
    let caller = caller(&auth);
    issuer.arrivals(1).await;
    store.hangs.store(true, SeqCst);
    gate.notify_one();
    assert!(caller.await.unwrap().unwrap_err().is_quota_exhausted());
    store.hangs.store(false, SeqCst);
    tokio::time::advance(Duration::from_millis(1100)).await;
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_quota_exhausted(), "{error}");
    assert!(clock.until(error.retry_at().unwrap()) > Duration::from_secs(7000), "{error}");
    assert_eq!(issuer.requests(), 1);
}

/// As above, with something else to be written than a spend.
#[tokio::test(start_paused = true)]
async fn a_store_that_turns_mute_leaves_nobody_waiting() {
    // An outcome that is to be settled first.
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let (store, issuer) = (
        Moody::default(),
        Issuer::new([Step::Gate(gate.clone()), refusal(503, "server_error"), Step::Hang]),
    );
    let (auth, clock) = over(&store, &issuer);
    let caller = caller(&auth);
    issuer.arrivals(1).await;
    store.is_mute.store(true, SeqCst);
    gate.notify_one();
    caller.await.unwrap().unwrap_err();
    tokio::time::sleep(Duration::from_secs(40)).await;
    let second = tokio::time::timeout(Duration::from_secs(60), auth.authorization()).await;
    assert!(second.expect("it waits for ever").unwrap_err().is_store());

    // A flight of another process that is to be buried.
    let other = auth_core::Authenticator::builder(credentials()).store(Store::new(store.clone()));
    let other = other.transport(issuer.clone()).clock(clock).build().unwrap();
    let third = tokio::time::timeout(Duration::from_secs(60), other.authorization()).await;
    assert!(third.expect("it waits for ever").unwrap_err().is_store());
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_said_counts_from_when_it_said_it() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let (store, issuer) =
        (Moody::default(), Issuer::new([Step::Gate(gate.clone()), too_many("3600")]));
    let (auth, _) = over(&store, &issuer);
    let caller = caller(&auth);
    issuer.arrivals(1).await;
    store.fails.store(true, SeqCst);
    gate.notify_one();
    caller.await.unwrap().unwrap_err();
    tokio::time::sleep(Duration::from_secs(7200)).await;
    store.fails.store(false, SeqCst);
    auth.authorization().await.unwrap();
}
