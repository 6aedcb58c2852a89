//! Tokens that are none, or not this server's.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::support::{Handler, OwnKey, ask, get};
use super::world::{Guarded, SHIPMENTS, World, fixed};
use tower::Layer;

/// `token` with another header.
fn under(token: &str, header: &Value) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

// torture: D32
#[tokio::test]
async fn what_is_not_signed_by_the_issuer_is_an_invalid_token() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.shipments_token().await;
    assert_eq!(ask(&service, get(SHIPMENTS, &token)).await.status, 200);
    // By now every token has its key in the set, if it has one at all.
    world.clock.pass(Duration::from_secs(61));
    assert_eq!(ask(&service, get(SHIPMENTS, &world.forged("x", Duration::ZERO))).await.status, 401);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let unsigned = |alg: &str| under(&format!("{signed}."), &json!({ "alg": alg }));
    let other = OwnKey::new().token(&json!({ "scope": "shipments" }));
    for (what, token) in [
        ("none", unsigned("none")),
        ("None", unsigned("None")),
        ("none with a signature", under(&token, &json!({ "alg": "none" }))),
        ("no algorithm", under(&token, &json!({}))),
        ("HMAC", under(&token, &json!({ "alg": "HS256" }))),
        ("another that is not listed", under(&token, &json!({ "alg": "RS512" }))),
        ("its key brought along", under(&token, &json!({ "alg": "RS256", "jwk": {} }))),
        ("no signature", format!("{signed}.")),
        ("no third part", signed.to_owned()),
        ("half a signature", format!("{signed}.{}", &signature[..signature.len() / 2])),
        ("another token's key", other),
        ("opaque", "opaque-access-token".to_owned()),
        ("a JWE", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aXY.Y2lwaGVy.dGFn".to_owned()),
        ("five parts of a good one", format!("{token}.x.y")),
        ("too long", format!("{token}{}", "A".repeat(20_000))),
    ] {
        let answer = ask(&service, get(SHIPMENTS, &token)).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert!(
            answer.challenge().starts_with(r#"Bearer error="invalid_token""#),
            "{what}: {answer:?}"
        );
    }
    assert_eq!(world.handler.calls(), 1);
    assert_eq!(ask(&service, get(SHIPMENTS, &token)).await.status, 200);
}

#[tokio::test]
async fn a_token_for_another_api_of_another_issuer_or_of_another_time_is_refused() {
    let (key, handler, world) = (OwnKey::new(), Handler::default(), World::start().await);
    let layer = fixed(&key).clock(world.clock.clone());
    let service: Guarded = layer.build().unwrap().layer(handler.clone());
    let now = world.clock.unix_seconds();
    for (claims, status) in [
        (json!({}), 200),
        (json!({ "aud": ["https://other.example", OwnKey::AUDIENCE] }), 200),
        (json!({ "aud": "https://other.example" }), 401),
        (json!({ "aud": [] }), 401),
        (json!({ "aud": null }), 401),
        (json!({ "iss": "https://issuer.example" }), 401),
        (json!({ "iss": null }), 401),
        (json!({ "exp": now - 59 }), 200),
        (json!({ "exp": now - 60 }), 401),
        (json!({ "exp": null }), 401),
        (json!({ "nbf": now + 60 }), 200),
        (json!({ "nbf": now + 62 }), 401),
        (json!({ "iat": now + 62 }), 401),
        (json!({ "scope": "" }), 403),
        (json!({ "scope": "shipments:read" }), 403),
        (json!({ "scope": "SHIPMENTS" }), 403),
        (json!({ "scope": ["shipments"] }), 200),
    ] {
        let mut all = json!({ "scope": "shipments" });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let answer = ask(&service, get(SHIPMENTS, &key.token(&all))).await;
        assert_eq!(answer.status, status, "{claims}: {answer:?}");
    }
    assert_eq!(handler.calls(), 5);
}

#[tokio::test]
async fn a_remembered_token_ends_when_its_time_is_over() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.shipments_token().await;
    assert_eq!(ask(&service, get(SHIPMENTS, &token)).await.status, 200);
    world.clock.pass(Duration::from_secs(24 * 60 * 60 + 59));
    assert_eq!(ask(&service, get(SHIPMENTS, &token)).await.status, 200);
    world.clock.pass(Duration::from_secs(1));
    let answer = ask(&service, get(SHIPMENTS, &token)).await;
    assert!(answer.challenge().contains("expired"), "{answer:?}");
    assert_eq!((answer.status, world.handler.calls()), (401, 2));
}
