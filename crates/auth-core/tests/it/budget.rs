//! The number of token requests stays within the quota, and the day is not over after one bad minute.

use std::time::Duration;

use auth_core::{Authenticator, MemoryStore, Quota, Store, Timestamp};
use http::HeaderValue;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::clocks::Booted;
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
    assert_eq!(wait, Duration::from_secs(25 * 3600 + 60 - 3 * 3600));

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

/// `Retry-After` as an issuer may write it on 2026-01-01 at 00:00:00 UTC, and for how many seconds the first failure then holds.
const RETRY_AFTER: [(&str, u64); 14] = [
    ("7200", 7200),
    ("Thu, 01 Jan 2026 02:00:00 GMT", 7200),
    // Bounded by sanity.
    ("Fri, 31 Dec 9999 23:59:59 GMT", 25 * 3600 + 60),
    ("999999999", 25 * 3600 + 60),
    ("99999999999999999999999999999999", 25 * 3600 + 60),
    // The pace is not shortened.
    ("0", 30),
    ("29", 30),
    ("Wed, 01 Jan 2025 00:00:00 GMT", 30),
    // What cannot be read says nothing.
    ("", 30),
    ("soon", 30),
    ("-7200", 30),
    ("7200.5", 30),
    ("7200 7200", 30),
    ("Someday, 01 Jan 2026 02:00:00 GMT", 30),
];

/// Every process opens the store for itself.
async fn retry_after_is_kept(open: impl Fn() -> Store, word: &str, seconds: u64) {
    let issuer = Issuer::new([too_many(word)]);
    let clock = SharedClock::new();
    let on = |clock: Booted| {
        let builder = Authenticator::builder(credentials()).store(open()).clock(clock);
        builder.transport(issuer.clone()).build().unwrap()
    };
    let (this_boot, next_boot) = (Booted::new(&clock, 0), Booted::new(&clock, 0));
    let start = || on(this_boot.clone());
    let held = |error: &auth_core::Error| clock.until(error.retry_at().unwrap());
    let length = Duration::from_secs(seconds);
    let error = start().authorization().await.unwrap_err();
    assert!(error.is_quota_exhausted() && error.is_transient(), "`{word}`: {error}");
    assert_eq!(held(&error), length, "`{word}`");

    tokio::time::advance(length - Duration::from_secs(1)).await;
    for process in [start(), on(next_boot)] {
        let error = process.authorization().await.unwrap_err();
        assert!(error.is_quota_exhausted(), "`{word}`: {error}");
        assert_eq!(held(&error), Duration::from_secs(1), "`{word}`");
    }
    assert_eq!(issuer.requests(), 1, "`{word}`");

    tokio::time::advance(Duration::from_secs(1)).await;
    start().authorization().await.unwrap();
    assert_eq!(issuer.requests(), 2, "`{word}`");
}

// torture: B14
#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_bounded_and_kept_by_the_next_process() {
    for (word, seconds) in RETRY_AFTER {
        let store = Store::new(MemoryStore::new());
        retry_after_is_kept(|| store.clone(), word, seconds).await;
    }
}

// torture: B14
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_bounded_and_kept_in_a_directory() {
    for (word, seconds) in RETRY_AFTER {
        let directory = tempfile::TempDir::new().unwrap();
        retry_after_is_kept(|| Store::file(directory.path()).unwrap(), word, seconds).await;
    }
}

/// Anything that may stand in a header, and often something that is nearly right.
fn words() -> impl Strategy<Value = HeaderValue> {
    let date = (0i64..253_402_300_800)
        .prop_map(|seconds| Timestamp::from_secs(seconds).to_string().into_bytes());
    let text = prop_oneof![
        "[0-9]{1,30}".prop_map(String::into_bytes),
        "[+-]?[0-9]{1,8}([.,e][0-9]{1,3})?".prop_map(String::into_bytes),
        "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
            .prop_map(String::into_bytes),
        date,
        proptest::collection::vec(any::<u8>(), 0..64),
    ];
    text.prop_filter_map("it cannot stand in a header", |text| HeaderValue::from_bytes(&text).ok())
}

/// A renewal ahead of time meets this `Retry-After`, and so does the first request of another process with another scope.
async fn any_retry_after_is_survived(
    status: u16,
    headers: (HeaderValue, Option<HeaderValue>),
    quota: Quota,
) -> Result<(), TestCaseError> {
    let refused = || {
        let mut response = answer(status, "text/plain", "");
        response.headers_mut().insert("retry-after", headers.0.clone());
        if let Some(date) = &headers.1 {
            response.headers_mut().insert("date", date.clone());
        }
        Step::Answer(response)
    };
    let issuer = Issuer::new([Step::Token(86_400), refused(), refused()]);
    let clock = SharedClock::new();
    let store = Store::new(MemoryStore::new());
    let longest = quota.windows()[0].span().max(Duration::from_secs(25 * 3600));
    let start = |scope: &str| {
        let builder = Authenticator::builder(credentials().scope(scope)).store(store.clone());
        let builder = builder.transport(issuer.clone()).clock(clock.clone());
        builder.quota(quota.clone()).build().unwrap()
    };
    let auth = start("one");
    auth.authorization().await.unwrap();
    tokio::time::advance(DAY * 91 / 100).await;
    auth.authorization().await.unwrap();
    settle().await;
    prop_assert_eq!(issuer.requests(), 2, "the renewal met it");

    let error = start("two").authorization().await.unwrap_err();
    let held = clock.until(error.retry_at().unwrap());
    prop_assert!(held >= Duration::from_secs(30) && held <= longest, "held for {:?}", held);
    if let Some(until) = auth.status().await.held_until {
        prop_assert!(clock.until(until) <= longest);
    }
    // Nobody waits, in this process and the next, while the token lives.
    for auth in [auth, start("one")] {
        for _ in 0..4 {
            let asked = tokio::time::Instant::now();
            prop_assert!(auth.authorization().await.is_ok());
            prop_assert_eq!(asked.elapsed(), Duration::ZERO);
            tokio::time::advance(Duration::from_secs(900)).await;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // torture: B14
    #[test]
    fn whatever_retry_after_says_the_hold_is_bounded_and_a_valid_token_is_served(
        status in prop_oneof![Just(429u16), Just(503)],
        word in words(),
        date in proptest::option::of(words()),
        is_weekly in any::<bool>(),
    ) {
        let week = Duration::from_secs(7 * 86_400);
        let quota = if is_weekly { Quota::rolling(10, week) } else { Quota::per_day(10) };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(any_retry_after_is_survived(status, (word, date), quota))?;
    }
}
