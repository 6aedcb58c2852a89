//! Keys that come and go at the issuer, and a flood of tokens that name others.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::support::{ask, get};
use super::world::{SHIPMENTS, World};

/// More than the interval between two fetches.
const INTERVAL: Duration = Duration::from_secs(10);

/// Nobody's token, which names a key.
pub(super) fn garbage(kid: &str) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = serde_json::json!({ "alg": "RS256", "kid": kid }).to_string();
    format!("{}.{}.{}", part(header), part("{}".to_owned()), part("no signature".to_owned()))
}

#[tokio::test]
async fn a_new_key_costs_one_request_for_the_key_set_and_its_token_is_served() {
    let world = World::start().await;
    let service = world.guarded();
    let old = world.shipments_token().await;
    assert_eq!(ask(&service, get(SHIPMENTS, &old)).await.status, 200);
    world.issuer.rotate_keys().await.unwrap();
    let new = world.shipments_token().await;
    world.clock.pass(INTERVAL);
    for _ in 0..5 {
        for token in [&new, &old] {
            assert_eq!(ask(&service, get(SHIPMENTS, token)).await.status, 200);
        }
    }
    assert_eq!((world.fetches.count(), world.handler.calls()), (2, 11));
}

#[tokio::test]
async fn the_tokens_of_a_retired_key_open_nothing_once_the_set_was_fetched_anew() {
    let world = World::start().await;
    let service = world.guarded();
    let old = world.shipments_token().await;
    // So old that its key would be in any set from now on.
    world.clock.pass(Duration::from_secs(61));
    assert_eq!(ask(&service, get(SHIPMENTS, &old)).await.status, 200);
    world.issuer.rotate_keys().await.unwrap();
    world.issuer.retire_keys().unwrap();
    // Nobody has told the server yet.
    assert_eq!(ask(&service, get(SHIPMENTS, &old)).await.status, 200);
    let new = world.shipments_token().await;
    world.clock.pass(INTERVAL);
    assert_eq!(ask(&service, get(SHIPMENTS, &new)).await.status, 200);
    // Neither what was remembered of it helps, nor asking once more.
    for _ in 0..3 {
        let answer = ask(&service, get(SHIPMENTS, &old)).await;
        assert_eq!(answer.status, 401);
        assert!(answer.challenge().contains("invalid_token"), "{answer:?}");
    }
    assert_eq!((world.fetches.count(), world.handler.calls()), (2, 3));
}

#[tokio::test]
async fn a_retired_key_is_gone_after_a_while_though_nobody_names_another() {
    let world = World::start().await;
    let service = world.guarded();
    let old = world.shipments_token().await;
    assert_eq!(ask(&service, get(SHIPMENTS, &old)).await.status, 200);
    world.issuer.rotate_keys().await.unwrap();
    world.issuer.retire_keys().unwrap();
    // As long as a set that is not to be kept counts.
    world.clock.pass(Duration::from_secs(60));
    // This one is served on, and has the set fetched behind its back.
    assert_eq!(ask(&service, get(SHIPMENTS, &old)).await.status, 200);
    tokio::task::yield_now().await;
    assert_eq!(world.fetches.count(), 2, "nobody looks after the keys");
    // This one waits for that fetch.
    assert_eq!(
        ask(&service, get(SHIPMENTS, &world.forged("other", Duration::ZERO))).await.status,
        401
    );
    assert_eq!(ask(&service, get(SHIPMENTS, &old)).await.status, 401);
    assert_eq!(world.fetches.count(), 2);
}

#[tokio::test]
async fn ten_thousand_unknown_keys_are_no_storm_of_requests_and_no_good_token_suffers() {
    let world = World::start().await;
    let service = world.guarded();
    let good = world.shipments_token().await;
    let day = Duration::from_secs(86_400);
    for number in 0..10_000_u32 {
        if number % 100 == 0 {
            assert_eq!(ask(&service, get(SHIPMENTS, &good)).await.status, 200);
        }
        let answer =
            ask(&service, get(SHIPMENTS, &world.forged(&format!("kid-{number}"), day))).await;
        assert_eq!(answer.status, 401);
        assert!(answer.challenge().contains("invalid_token"), "{answer:?}");
        world.clock.pass(Duration::from_millis(10));
    }
    assert_eq!(world.handler.calls(), 100);
    // 100 s have passed: one at the start, and one every 10 s.
    assert!((9..=11).contains(&world.fetches.count()), "{}", world.fetches.count());
}
