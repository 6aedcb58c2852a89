//! One token request, whoever asks and whoever leaves.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use auth_core::Store;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::*;

// torture: A1
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_callers_at_expiry_cost_one_request() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Token(86_400), Step::Gate(gate.clone())]);
    let (auth, _) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    tokio::time::advance(DAY).await;
    assert!(auth.try_authorization().is_none(), "the token is past its end");

    let mut callers = JoinSet::new();
    for _ in 0..100_000 {
        let auth = auth.clone();
        callers.spawn(async move { auth.authorization().await.unwrap().generation().get() });
    }
    issuer.arrivals(2).await;
    gate.notify_one();
    let served = callers.join_all().await;
    assert_eq!(served.len(), 100_000);
    assert!(served.iter().all(|generation| *generation == 2));
    assert_eq!(issuer.requests(), 2, "one for the first token, one for the second");
}

// torture: A2
#[tokio::test(start_paused = true)]
async fn a_cancelled_leader_leaves_followers_served() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone())]);
    let (auth, _) = authenticator(&issuer);
    let mut leader = task::spawn(auth.authorization());
    let mut follower = task::spawn(auth.authorization());
    assert_pending!(leader.poll());
    assert_pending!(follower.poll());
    issuer.arrivals(1).await;
    drop(leader);
    gate.notify_one();
    settle().await;
    assert_eq!(text(&assert_ready!(follower.poll()).unwrap()), "Bearer token-1");
    assert_eq!(issuer.requests(), 1);
}

// torture: A3
#[tokio::test(start_paused = true)]
async fn with_every_caller_gone_the_token_still_lands() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone())]);
    let (auth, _) = authenticator(&issuer);
    let mut only = task::spawn(auth.authorization());
    assert_pending!(only.poll());
    issuer.arrivals(1).await;
    drop(only);
    gate.notify_one();
    settle().await;
    assert_eq!(text(&auth.try_authorization().expect("it landed")), "Bearer token-1");
    assert_eq!(auth.status().await.windows[0].spent, 1);
    assert_eq!(issuer.requests(), 1);
}

// torture: A4
#[tokio::test(start_paused = true)]
async fn a_panic_is_a_typed_error_to_all_and_the_next_flight_is_possible() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone()), Step::Panic]);
    let (auth, clock) = authenticator(&issuer);
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let auth = auth.clone();
        callers.spawn(async move { auth.authorization().await.unwrap_err() });
    }
    issuer.arrivals(1).await;
    gate.notify_one();
    let errors = callers.join_all().await;
    assert_eq!(errors.len(), 100);
    for error in &errors {
        assert!(error.to_string().contains("panicked") && error.is_transient(), "{error}");
    }
    assert_eq!(auth.status().await.windows[0].spent, 1, "the request may have left");

    tokio::time::advance(clock.until(errors[0].retry_at().unwrap())).await;
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-1");
}

// torture: A6
#[tokio::test(start_paused = true)]
async fn waiters_share_one_failure() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone()), refusal(503, "temporarily_unavailable")]);
    let (auth, _) = authenticator(&issuer);
    let mut callers = JoinSet::new();
    for _ in 0..10_000 {
        let auth = auth.clone();
        callers.spawn(async move { auth.authorization().await.unwrap_err().to_string() });
    }
    issuer.arrivals(1).await;
    gate.notify_one();
    let errors = callers.join_all().await;
    assert!(errors.iter().all(|error| *error == errors[0]));
    assert_eq!(issuer.requests(), 1);

    // Callers who come later are told the same, and when to come back.
    let later = auth.authorization().await.unwrap_err();
    assert!(later.is_transient() && later.retry_at().is_some(), "{later}");
    assert_eq!(issuer.requests(), 1);
}

// torture: A7
#[tokio::test(start_paused = true)]
async fn a_valid_token_is_served_while_issuer_and_store_hang() {
    let store = Moody::default();
    let issuer = Issuer::new([Step::Token(86_400), Step::Hang]);
    let (builder, _) = builder(&issuer);
    let auth = builder.store(Store::new(store.clone())).build().unwrap();
    auth.authorization().await.unwrap();

    tokio::time::advance(Duration::from_secs(86_400 * 91 / 100)).await;
    for hang_in_store in [true, false] {
        store.hangs.store(hang_in_store, SeqCst);
        for _ in 0..1000 {
            let served = assert_ready!(task::spawn(auth.authorization()).poll()).unwrap();
            assert_eq!(text(&served), "Bearer token-1");
            assert!(auth.try_authorization().is_some());
        }
        settle().await;
        tokio::time::advance(Duration::from_secs(60)).await;
        settle().await;
    }
    // The request that hung in the issuer was cut off at its deadline, and nobody noticed.
    assert!(issuer.requests() <= 2);
    assert!(auth.try_authorization().is_some());
}

// torture: A7
#[tokio::test(start_paused = true)]
async fn an_old_token_is_renewed_once_in_the_background() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    tokio::time::advance(Duration::from_secs(86_400 * 79 / 100)).await;
    auth.authorization().await.unwrap();
    settle().await;
    assert_eq!(issuer.requests(), 1, "not before 80 % of the lifetime");

    tokio::time::advance(Duration::from_secs(86_400 * 11 / 100 + 1)).await;
    for _ in 0..1000 {
        assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-1");
    }
    settle().await;
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-2");
    assert_eq!(issuer.requests(), 2);
}

// torture: A9
#[test]
fn two_runtimes_share_one_handle() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone())]);
    let (auth, _) = authenticator(&issuer);
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (auth, barrier) = (auth.clone(), barrier.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()
                    .unwrap();
                barrier.wait();
                runtime.block_on(async {
                    let mut callers = JoinSet::new();
                    for _ in 0..1000 {
                        let auth = auth.clone();
                        callers.spawn(async move {
                            auth.authorization().await.unwrap().generation().get()
                        });
                    }
                    callers.join_all().await
                })
            })
        })
        .collect();
    // Both have callers waiting by the time that the answer may come.
    let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
    waiting.block_on(issuer.arrivals(1));
    gate.notify_one();
    for thread in threads {
        assert!(thread.join().unwrap().iter().all(|generation| *generation == 1));
    }
    assert_eq!(issuer.requests(), 1);
}

// torture: A5, A9
#[test]
fn when_the_runtime_is_gone_the_next_caller_starts_another() {
    let issuer = Issuer::new([Step::Hang]);
    let (auth, _) = authenticator(&issuer);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    let first = runtime();
    first.block_on(async {
        let mut caller = task::spawn(auth.authorization());
        assert_pending!(caller.poll());
        issuer.arrivals(1).await;
    });
    drop(first);

    let served = runtime().block_on(async {
        let served = auth.authorization().await.unwrap();
        assert_eq!(
            auth.status().await.windows[0].spent,
            2,
            "the unit of the flight that was cut off stays spent"
        );
        served
    });
    assert_eq!(text(&served), "Bearer token-1");
    assert_eq!(issuer.requests(), 2);
}

// torture: A5
#[test]
fn flights_that_are_cut_off_again_and_again_are_paced() {
    let issuer = Issuer::new([Step::Hang, Step::Hang, Step::Hang]);
    let (auth, _) = authenticator(&issuer);
    let mut errors = 0;
    for _ in 0..20 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut caller = task::spawn(auth.authorization());
            let mut polled = caller.poll();
            if polled.is_pending() {
                settle().await;
                polled = caller.poll();
            }
            if let std::task::Poll::Ready(result) = polled {
                assert!(result.unwrap_err().retry_at().is_some());
                errors += 1;
            }
        });
    }
    assert_eq!(
        issuer.requests(),
        2,
        "the first says nothing about the issuer, the second begins a streak"
    );
    assert!(errors > 10);
}

#[test]
fn without_a_runtime_the_error_says_so() {
    let (auth, _) = authenticator(&Issuer::new([]));
    assert!(auth.try_authorization().is_none());
    let error = assert_ready!(task::spawn(auth.authorization()).poll()).unwrap_err();
    assert!(error.to_string().contains("runtime") && !error.is_transient(), "{error}");
}

// torture: A10
#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_costs_one_unit_and_the_deadline() {
    let issuer = Issuer::new([Step::Hang]);
    let (builder, clock) = builder(&issuer);
    let auth = builder.deadline(Duration::from_secs(3)).build().unwrap();
    let before = tokio::time::Instant::now();
    let error = auth.authorization().await.unwrap_err();
    assert_eq!(before.elapsed().as_secs(), 3);
    assert!(error.is_timeout() && error.is_transient(), "{error}");
    assert_eq!(auth.status().await.windows[0].spent, 1);

    tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    auth.authorization().await.unwrap();
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_dead_on_arrival_are_not_fetched_in_a_loop() {
    let issuer = Issuer::new((0..50).map(|_| Step::Token(1)));
    let (auth, _) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    for _ in 0..20 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let error = auth.authorization().await.unwrap_err();
        assert!(error.to_string().contains("cannot keep up"), "{error}");
    }
    assert_eq!(issuer.requests(), 1);
}

/// A runtime that is kept and not run drives no flight, and nobody who runs waits for it for ever.
#[test]
fn a_flight_on_a_runtime_that_stands_still_is_given_up() {
    let issuer = Issuer::new([Step::Hang]);
    let (auth, clock) = authenticator(&issuer);
    let idle = paused_runtime();
    idle.block_on(async {
        let mut caller = task::spawn(auth.authorization());
        assert_pending!(caller.poll());
        issuer.arrivals(1).await;
    });
    let served = paused_runtime().block_on(served_in_time(&auth, &clock));
    assert_eq!(text(&served), "Bearer token-1");
    assert_eq!(issuer.requests(), 2);
    drop(idle);
}

/// The flight that was given up is driven again after its token was refused and replaced.
#[test]
fn a_flight_that_was_given_up_puts_no_refused_token_back_to_use() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone())]);
    let store = Moody::default();
    let (builder, clock) = builder(&issuer);
    let auth = builder.store(Store::new(store.clone())).build().unwrap();
    let idle = paused_runtime();
    idle.block_on(async {
        let mut caller = task::spawn(auth.authorization());
        assert_pending!(caller.poll());
        issuer.arrivals(1).await;
        // It has its token, and stands still while it writes that down.
        store.write_millis.store(500, SeqCst);
        gate.notify_one();
        settle().await;
    });
    assert_eq!(issuer.tokens(), 1);
    store.write_millis.store(0, SeqCst);
    paused_runtime().block_on(async {
        let first = served_in_time(&auth, &clock).await;
        assert_eq!(text(&first), "Bearer token-1", "what the first flight fetched is not lost");
        assert_eq!(text(&auth.replacement(first.generation()).await.unwrap()), "Bearer token-2");
    });
    idle.block_on(async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        settle().await;
    });
    assert_eq!(text(&auth.try_authorization().unwrap()), "Bearer token-2");
    assert_eq!(issuer.requests(), 2);
}

fn paused_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// The token, within two minutes of the test's clock. That of a runtime which stands still does not go on by itself, so time
/// passes by hand.
async fn served_in_time(
    auth: &auth_core::Authenticator,
    clock: &SharedClock,
) -> auth_core::Authorization {
    let mut caller = task::spawn(auth.authorization());
    for _ in 0..120 {
        if let std::task::Poll::Ready(result) = caller.poll() {
            return result.unwrap();
        }
        clock.0.suspend(Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        settle().await;
    }
    panic!("it waits for ever");
}
