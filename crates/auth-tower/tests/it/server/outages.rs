//! The key set cannot be had: that is nobody's fault who sends a token.

use std::time::Duration;

use auth_issuer::{Fault, Place, When};
use auth_tower::server::{Algorithm, HashedKey, Jwks, RequireTokenLayer};
use tower::ServiceExt;

use super::support::{ask, get, request};
use super::world::{KEY, SHIPMENTS, World, access};

#[tokio::test]
async fn without_any_keys_the_answer_is_503_and_never_401() {
    for fault in [
        Fault::down(),
        Fault::status(500),
        Fault::html(),
        Fault::truncate(),
        Fault::body(200, "application/json", r#"{"keys":[]}"#),
    ] {
        let world = World::start().await;
        let service = world.guarded();
        let token = world.shipments_token().await;
        world.issuer.fault(Place::Keys, When::always(), fault.clone());
        for token in [&*token, &world.forged("x", Duration::ZERO), &*token] {
            let answer = ask(&service, get(SHIPMENTS, token)).await;
            assert_eq!(answer.status, 503, "{fault:?}: {answer:?}");
            let seconds: u64 = answer.field("retry-after").parse().unwrap();
            assert!((1..=10).contains(&seconds), "{fault:?}: {answer:?}");
            assert_eq!(answer.challenge(), "", "{answer:?}");
        }
        // What needs no keys is judged all the same.
        for (path, shown, status) in [
            (SHIPMENTS, &[][..], 401),
            (SHIPMENTS, &["Bearer opaque"], 401),
            ("/v1/shipments", &[&*format!("Bearer {KEY}")], 200),
            ("/v2/bookings", &[&*format!("Bearer {KEY}")], 200),
            ("/health", &[], 200),
            ("/v3", &[], 403),
        ] {
            assert_eq!(ask(&service, request("GET", path, shown)).await.status, status, "{path}");
        }
        assert_eq!((world.fetches.count(), world.handler.calls()), (1, 3), "{fault:?}");

        // Whoever comes back when he was told to is served.
        world.issuer.heal();
        world.clock.pass(Duration::from_secs(10));
        assert_eq!(ask(&service, get(SHIPMENTS, &token)).await.status, 200, "{fault:?}");
        assert_eq!((world.fetches.count(), world.handler.calls()), (2, 4), "{fault:?}");
    }
}

#[tokio::test]
async fn tokens_under_known_keys_are_served_on_for_hours_without_the_endpoint() {
    let world = World::start().await;
    let service = world.guarded();
    let (one, other) = (world.shipments_token().await, world.shipments_token().await);
    assert_eq!(ask(&service, get(SHIPMENTS, &one)).await.status, 200);
    world.issuer.fault(Place::Keys, When::always(), Fault::down());
    for _ in 0..12 {
        world.clock.pass(Duration::from_secs(1800));
        // A new one under a known key as well.
        for token in [&one, &other] {
            assert_eq!(ask(&service, get(SHIPMENTS, token)).await.status, 200);
        }
        // It waits for the fetch that the others have begun.
        let new = world.forged("x", Duration::ZERO);
        let answer = ask(&service, get(SHIPMENTS, &new)).await;
        assert_eq!(answer.status, 503, "its key may be a new one: {answer:?}");
        // One that is older than the keys would have its key among them.
        let old = world.forged("x", Duration::from_secs(86_400));
        assert_eq!(ask(&service, get(SHIPMENTS, &old)).await.status, 401);
    }
    // One fetch for each round, not one for each request.
    assert_eq!((world.fetches.count(), world.handler.calls()), (13, 25));
}

/// Some vendors' keys are JWTs of their own.
#[tokio::test]
async fn a_key_that_looks_like_a_token_waits_for_nobodys_keys() {
    let world = World::start().await;
    let key = world.forged("the vendor's own", Duration::from_secs(86_400));
    world.keys.set([HashedKey::of("warehouse", &key)]);
    world.issuer.fault(Place::Keys, When::always(), Fault::hang());
    let service = world.guarded();
    for path in ["/v2/bookings", "/v1/shipments"] {
        let mut call = tokio_test::task::spawn(service.clone().oneshot(get(path, &key)));
        let response = tokio_test::assert_ready_ok!(call.poll());
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(world.handler.last().key.unwrap().as_str(), "warehouse");
    }
    assert_eq!(world.handler.calls(), 2);
}

/// Before the issuer's keys are there as after that: a key has no proofs.
#[tokio::test]
async fn a_key_that_looks_like_a_token_is_none_in_the_scheme_of_proofs() {
    let world = World::start().await;
    let key = world.forged("the vendor's own", Duration::from_secs(86_400));
    world.keys.set([HashedKey::of("warehouse", &key)]);
    let service = world.guarded();
    let shown = format!("DPoP {key}");
    for _ in 0..2 {
        let answer = ask(&service, request("GET", "/v2/bookings", &[&shown])).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.challenge().starts_with(r#"DPoP error="invalid_token""#), "{answer:?}");
    }
    assert_eq!((world.fetches.count(), world.handler.calls()), (1, 0));
}

#[tokio::test]
async fn a_first_answer_that_never_comes_is_503_in_the_time_that_was_set() {
    let world = World::start().await;
    let token = world.shipments_token().await;
    world.issuer.fault(Place::Keys, When::always(), Fault::hang());
    let jwks = Jwks::url(world.issuer.jwks_uri(), world.fetches.clone())
        .insecure_loopback(true)
        .timeout(Duration::from_millis(50));
    let layer = RequireTokenLayer::builder(jwks)
        .issuer(world.issuer.url())
        .audience(world.issuer.audience())
        .algorithms([Algorithm::Rs256])
        .access(access())
        .clock(world.clock.clone());
    let answer = ask(&world.behind(layer), get(SHIPMENTS, &token)).await;
    assert_eq!((answer.status, world.fetches.count()), (503, 1));
    assert!(!answer.field("retry-after").is_empty(), "{answer:?}");
}

/// What looks like a token may be a key, but it opens no more than keys do.
#[tokio::test]
async fn a_key_that_looks_like_a_token_opens_nothing_where_no_keys_go() {
    let world = World::start().await;
    let key = world.forged("the vendor's own", Duration::from_secs(86_400));
    world.keys.set([HashedKey::of("warehouse", &key)]);
    let service = world.guarded();
    // Before the issuer's keys are there, and afterwards.
    for _ in 0..2 {
        for path in [SHIPMENTS, "/v2/me"] {
            let answer = ask(&service, get(path, &key)).await;
            assert_eq!(answer.status, 401, "{path}: {answer:?}");
        }
    }
    assert_eq!(world.handler.calls(), 0);
}
