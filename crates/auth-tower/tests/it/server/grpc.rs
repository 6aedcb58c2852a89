//! Refusals as gRPC's clients want them.

use std::time::Duration;

use auth_issuer::{Fault, Place, When};

use super::support::{Answer, ask, request};
use super::world::{Guarded, KEY, SHIPMENTS, World, posted};

async fn call(service: &Guarded, content_type: &str, path: &str, shown: &[&str]) -> Answer {
    let mut request = request("POST", path, shown);
    request.headers_mut().insert("content-type", content_type.parse().unwrap());
    ask(service, request).await
}

#[tokio::test]
async fn each_refusal_has_its_status_under_a_200_and_its_challenge_as_metadata() {
    let world = World::start().await;
    let service = world.behind(world.layer().access(posted()));
    let token = format!("Bearer {}", world.shipments_token().await);
    world.issuer.fault(Place::Keys, When::next(1), Fault::down());
    let unavailable = call(&service, "application/grpc", SHIPMENTS, &[&token]).await;
    assert_eq!((unavailable.status, unavailable.field("grpc-status")), (200, "14"));
    assert_eq!((unavailable.field("retry-after"), unavailable.challenge()), ("10", ""));
    world.clock.pass(Duration::from_secs(10));

    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;x=y"] {
        for (path, shown, status, challenge) in [
            (SHIPMENTS, &[][..], "16", "Bearer"),
            (SHIPMENTS, &["Bearer opaque"], "16", r#"Bearer error="invalid_token""#),
            (SHIPMENTS, &["DPoP opaque"], "16", r#"DPoP error="invalid_token""#),
            ("/v2/bookings", &[&*token], "7", r#"Bearer error="insufficient_scope""#),
            ("/not.listed/Call", &[&*token], "7", ""),
            (SHIPMENTS, &[&*token, &*token], "3", r#"Bearer error="invalid_request""#),
            ("/v2//shipments", &[&*token], "3", ""),
        ] {
            let answer = call(&service, content_type, path, shown).await;
            let what = format!("{content_type} {path} {answer:?}");
            assert_eq!((answer.status, answer.field("grpc-status")), (200, status), "{what}");
            assert_eq!(answer.field("content-type"), "application/grpc", "{what}");
            assert_eq!(answer.field("cache-control"), "no-store", "{what}");
            assert!(answer.challenge().starts_with(challenge), "{what}");
            assert_eq!(answer.challenge().is_empty(), challenge.is_empty(), "{what}");
            assert!(!answer.field("grpc-message").is_empty() && answer.body.is_empty(), "{what}");
        }
    }
    assert_eq!(world.handler.calls(), 0);
    let served = call(&service, "application/grpc", SHIPMENTS, &[&token]).await;
    assert_eq!((served.field("grpc-status"), &*served.body), ("", "served"));
}

/// A client of gRPC's sees the message in its logs, and the challenge only if it looks for that.
#[tokio::test]
async fn the_message_says_what_is_wrong_as_the_body_would() {
    let world = World::start().await;
    let service = world.behind(world.layer().access(posted()));
    let token = format!("Bearer {}", world.shipments_token().await);
    let key = format!("Bearer {KEY}");
    let forged = format!("{token}x");
    let mut messages = std::collections::HashSet::new();
    for (path, shown) in [
        (SHIPMENTS, &[][..]),
        (SHIPMENTS, &["Bearer opaque"]),
        (SHIPMENTS, &["Bearer"]),
        (SHIPMENTS, &[&*forged]),
        (SHIPMENTS, &[&*key]),
        (SHIPMENTS, &[&*token, &*token]),
        ("/v1/shipments", &[&*token]),
        ("/v2/bookings", &[&*token]),
        ("/v2/unlisted", &[&*token]),
        ("/v2//shipments", &[&*token]),
    ] {
        let answer = call(&service, "application/grpc", path, shown).await;
        let message = answer.field("grpc-message").to_owned();
        let plain = call(&service, "text/plain", path, shown).await;
        let body = serde_json::from_str::<serde_json::Value>(&plain.body).unwrap_or_default();
        let expected =
            body["error_description"].as_str().unwrap_or("the request shows no credential");
        assert_eq!(message, expected, "{path} {plain:?}");
        assert!(messages.insert(message), "{path} {answer:?}");
    }
    assert_eq!(world.handler.calls(), 0);
}

#[tokio::test]
async fn what_is_not_grpc_has_statuses_of_http() {
    let world = World::start().await;
    let service = world.behind(world.layer().access(posted()));
    for content_type in
        ["application/grpc-web", "application/grpcx", "text/plain", "application/json"]
    {
        let answer = call(&service, content_type, SHIPMENTS, &[]).await;
        assert_eq!((answer.status, answer.field("grpc-status")), (401, ""), "{content_type}");
    }
    // gRPC posts.
    let mut get = request("GET", SHIPMENTS, &["Bearer opaque"]);
    get.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let answer = ask(&world.guarded(), get).await;
    assert_eq!((answer.status, answer.field("grpc-status")), (401, ""), "{answer:?}");
}
