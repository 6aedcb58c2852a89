use std::time::Duration;

use auth_core::{Clock, TokioClock};
use serde_json::Value;

use super::*;
use crate::server::jwks::Jwks;
use crate::server::testing::{Does, Endpoint, Pair, provider, set};

const URL: &str = "https://issuer.example/jwks";

fn over(endpoint: &Endpoint) -> (Source, Arc<TokioClock>) {
    provider();
    let clock = Arc::new(TokioClock::new());
    (Jwks::url(URL, endpoint.clone()).source(clock.clone()).unwrap(), clock)
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn generation(source: &Source) -> u64 {
    source.0.generation()
}

fn key() -> Value {
    Pair::p256().named("k")
}

// torture: A1
#[tokio::test(start_paused = true)]
async fn a_thousand_first_callers_are_one_fetch() {
    let endpoint = Endpoint::of(&[key()]);
    let (source, clock) = over(&endpoint);
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (source, now) = (source.clone(), clock.now());
            tokio::spawn(async move { source.others(0, now).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Others::New);
    }
    assert_eq!((endpoint.fetches(), generation(&source)), (1, 1));
    // Who comes later with an old look has nothing to wait for.
    assert_eq!(source.others(0, clock.now()).await, Others::New);
    assert_eq!(endpoint.fetches(), 1);
}

// torture: A2, A3
#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_the_flight_alone() {
    let endpoint = Endpoint::of(&[key()]);
    let (source, clock) = over(&endpoint);
    let mut caller = tokio_test::task::spawn(source.others(0, clock.now()));
    tokio_test::assert_pending!(caller.poll());
    drop(caller);
    pass(1).await;
    assert_eq!((endpoint.fetches(), generation(&source)), (1, 1));
}

// torture: A4
#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_ends_the_flight_and_the_next_is_possible() {
    let endpoint = Endpoint::new(Does::Panic);
    let (source, clock) = over(&endpoint);
    let begun = clock.now();
    assert_eq!(source.others(0, begun).await, Others::Unknown);
    // At once: not when the patience of the callers is over.
    assert!(clock.now().wall.saturating_since(begun.wall) < Duration::from_secs(1));
    assert!(source.retry_after(clock.now()) >= Duration::from_secs(9));
    endpoint.publishes(&[key()]);
    pass(10).await;
    assert_eq!(source.others(0, clock.now()).await, Others::New);
    assert_eq!(endpoint.fetches(), 2);
}

// torture: A5
#[test]
fn a_flight_that_is_gone_with_its_runtime_makes_room_for_another() {
    let endpoint = Endpoint::of(&[key()]);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let first = runtime();
    let (source, clock) = first.block_on(async { over(&endpoint) });
    first.block_on(async { source.look_after(clock.now()) });
    drop(first);
    assert_eq!(generation(&source), 0);
    runtime().block_on(async {
        clock.suspend(Duration::from_secs(20));
        assert_eq!(source.others(0, clock.now()).await, Others::New);
    });
}

// torture: A10
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_holds_a_caller_for_the_timeout() {
    let endpoint = Endpoint::new(Does::Hang);
    let (source, clock) = over(&endpoint);
    let begun = clock.now();
    assert_eq!(source.others(0, begun).await, Others::Unknown);
    let waited = clock.now().wall.saturating_since(begun.wall);
    assert!(waited >= Duration::from_secs(5) && waited < Duration::from_secs(6), "{waited:?}");
    pass(1).await;
    // The pause counts from the end.
    assert_eq!(source.others(0, clock.now()).await, Others::Unknown);
    assert_eq!(endpoint.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn old_keys_are_used_on_while_others_are_fetched_in_the_background() {
    let (a, b) = (key(), key());
    let endpoint = Endpoint::of(std::slice::from_ref(&a));
    let (source, clock) = over(&endpoint);
    assert_eq!(source.others(0, clock.now()).await, Others::New);
    // Until then nobody takes the lock.
    let look_at = source.0.look_at.load(Ordering::Relaxed);
    assert_eq!(look_at, clock.now().boot.millis + 600_000);
    pass(599).await;
    source.look_after(clock.now());
    pass(1).await;
    assert_eq!(endpoint.fetches(), 1, "still fresh");

    endpoint.publishes(std::slice::from_ref(&b));
    for _ in 0..100 {
        source.look_after(clock.now());
        assert_eq!(generation(&source), 1);
    }
    pass(1).await;
    assert_eq!((endpoint.fetches(), generation(&source)), (2, 2));
}

// torture: B17
#[tokio::test(start_paused = true)]
async fn keys_stay_while_the_endpoint_is_down_and_the_attempts_are_paced() {
    for down in [Does::Fail, Does::Panic, Does::Answer("<html>".into()), Does::Answer(set(&[]))] {
        let endpoint = Endpoint::of(&[key()]);
        let (source, clock) = over(&endpoint);
        assert_eq!(source.others(0, clock.now()).await, Others::New);
        endpoint.now(down);
        for _ in 0..4 * 3600 {
            source.look_after(clock.now());
            pass(1).await;
        }
        assert_eq!(generation(&source), 1);
        let fetches = endpoint.fetches();
        assert!((200..=245).contains(&fetches), "{fetches} in four hours");
        endpoint.publishes(&[key()]);
        pass(60).await;
        source.look_after(clock.now());
        pass(1).await;
        assert_eq!(generation(&source), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_issuer_says_how_long_keys_are_fresh() {
    let endpoint = Endpoint::new(Does::AnswerFor(3600, set(&[key()])));
    let (source, clock) = over(&endpoint);
    assert_eq!(source.others(0, clock.now()).await, Others::New);
    for (seconds, fetches) in [(3590, 1), (11, 2)] {
        pass(seconds).await;
        source.look_after(clock.now());
        pass(0).await;
        tokio::task::yield_now().await;
        assert_eq!(endpoint.fetches(), fetches);
    }
}

// torture: G61
#[tokio::test(start_paused = true)]
async fn a_suspended_machine_notices_that_its_keys_are_old() {
    let endpoint = Endpoint::of(&[key()]);
    let (source, clock) = over(&endpoint);
    assert_eq!(source.others(0, clock.now()).await, Others::New);
    // The wall clock alone makes nothing old, and keeps nothing fresh.
    clock.jump_wall(-86_400_000);
    source.look_after(clock.now());
    pass(1).await;
    assert_eq!(endpoint.fetches(), 1);
    clock.suspend(Duration::from_secs(3600));
    source.look_after(clock.now());
    pass(1).await;
    assert_eq!(endpoint.fetches(), 2);
}

#[test]
fn without_a_runtime_a_fetch_is_a_failure_and_no_panic() {
    let endpoint = Endpoint::of(&[key()]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (source, clock) = runtime.block_on(async { over(&endpoint) });
    source.look_after(clock.now());
    assert_eq!((endpoint.fetches(), generation(&source)), (0, 0));
    assert!(source.retry_after(clock.now()) >= Duration::from_secs(9));
}

#[test]
fn settings_that_cannot_work_are_found_before_anything_is_fetched() {
    let endpoint = Endpoint::new(Does::Fail);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let jwks = || Jwks::url(URL, endpoint.clone());
        for bad in [
            Jwks::from_json(""),
            Jwks::from_json(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#),
            jwks().fetch_interval(Duration::from_millis(999)),
            jwks().timeout(Duration::ZERO),
            Jwks::url("http://127.0.0.1:1/", endpoint.clone()),
            Jwks::url("https://u:p@issuer.example/", endpoint.clone()),
        ] {
            assert_eq!(bad.source(Arc::new(TokioClock::new())).unwrap_err().field(), "jwks");
        }
        let loopback = Jwks::url("http://127.0.0.1:1/", endpoint.clone()).insecure_loopback(true);
        assert!(loopback.source(Arc::new(TokioClock::new())).is_ok());
        assert_eq!(endpoint.fetches(), 0);
    });
}
