//! What the issuer publishes, and the rotation of its keys.

use std::time::Duration;

use auth_issuer::{Event, Fault, Issuer, ManualClock, Place, SigningKey, When};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::http::{Call, shipments, token};

async fn document(issuer: &Issuer, path: &str) -> Value {
    let answer = Call::get(path).send(issuer).await.unwrap();
    assert_eq!(answer.status, 200);
    answer.json()
}

async fn jwks(issuer: &Issuer) -> JwkSet {
    serde_json::from_value(document(issuer, "/.well-known/jwks.json").await).unwrap()
}

/// Whether a resource server that knows the JWKS takes `token`.
fn verifies(jwks: &JwkSet, token: &str) -> bool {
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let Some(jwk) = jwks.find(&kid) else { return false };
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_aud = false;
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &validation)
        .unwrap();
    true
}

#[tokio::test]
async fn the_metadata_is_that_of_rfc_8414_at_both_places() {
    let issuer = Issuer::start().await.unwrap();
    let metadata = document(&issuer, "/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata, document(&issuer, "/.well-known/openid-configuration").await);
    let algorithms = json!(["RS256", "PS256", "ES256", "EdDSA"]);
    let methods = json!(["client_secret_basic", "client_secret_post", "private_key_jwt"]);
    for (name, expected) in [
        ("issuer", json!(issuer.url())),
        ("token_endpoint", json!(issuer.token_endpoint())),
        ("revocation_endpoint", json!(issuer.revocation_endpoint())),
        ("jwks_uri", json!(issuer.jwks_uri())),
        ("grant_types_supported", json!(["client_credentials"])),
        ("response_types_supported", json!([])),
        ("token_endpoint_auth_methods_supported", methods),
        ("token_endpoint_auth_signing_alg_values_supported", algorithms.clone()),
        ("dpop_signing_alg_values_supported", algorithms),
    ] {
        assert_eq!(metadata[name], expected, "{name}");
    }
}

#[tokio::test]
async fn the_jwks_has_the_public_key_and_nothing_private() {
    let issuer = Issuer::start().await.unwrap();
    let keys = document(&issuer, "/.well-known/jwks.json").await["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 1);
    let mut names: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    assert!(verifies(&jwks(&issuer).await, &token(&issuer).await));
}

#[tokio::test]
async fn a_rotated_key_verifies_until_the_last_of_its_tokens_is_dead() {
    let clock = ManualClock::new();
    let lifetime = Duration::from_secs(600);
    let builder = Issuer::builder().lifetime(lifetime).clock(clock.clone());
    let issuer = builder.start().await.unwrap();
    let old = token(&issuer).await;
    issuer.rotate_keys().await.unwrap();
    let new = token(&issuer).await;
    let published = jwks(&issuer).await;
    assert_eq!(published.keys.len(), 2);
    assert!(verifies(&published, &old) && verifies(&published, &new));
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    assert_ne!(kid(&old), kid(&new));
    assert_eq!([shipments(&issuer, &old).await, shipments(&issuer, &new).await], [200, 200]);

    clock.advance(lifetime);
    assert_eq!(jwks(&issuer).await.keys.len(), 1);
    assert_eq!(shipments(&issuer, &old).await, 401);
    assert_eq!(shipments(&issuer, &token(&issuer).await).await, 200);
}

#[tokio::test]
async fn a_retired_keys_tokens_are_invalid_at_once_though_they_were_verified_before() {
    let issuer = Issuer::start().await.unwrap();
    let (seen, unseen) = (token(&issuer).await, token(&issuer).await);
    assert_eq!(shipments(&issuer, &seen).await, 200);
    issuer.rotate_keys().await.unwrap();
    assert_eq!(shipments(&issuer, &seen).await, 200);
    issuer.retire_keys().unwrap();
    for token in [&seen, &unseen] {
        assert_eq!(shipments(&issuer, token).await, 401);
        assert!(!verifies(&jwks(&issuer).await, token));
    }
    assert_eq!(jwks(&issuer).await.keys.len(), 1);
    // Other issuers have the same first key, and keep it.
    let other = Issuer::start().await.unwrap();
    assert_eq!(shipments(&other, &token(&other).await).await, 200);
}

#[tokio::test]
async fn a_key_that_was_kept_signs_for_the_next_issuer() {
    use secrecy::ExposeSecret as _;

    let key = tokio::task::spawn_blocking(SigningKey::generate).await.unwrap().unwrap();
    let kept = key.to_pkcs8();
    let issuer = Issuer::builder().signing_key(key).start().await.unwrap();
    let token = token(&issuer).await;
    issuer.shutdown().await.unwrap();
    let key = SigningKey::from_pkcs8(kept.expose_secret()).unwrap();
    let issuer = Issuer::builder().signing_key(key).start().await.unwrap();
    assert!(verifies(&jwks(&issuer).await, &token));
}

#[tokio::test]
async fn rotations_at_a_time_get_a_key_each() {
    let issuer = Issuer::start().await.unwrap();
    let (one, two) = tokio::join!(issuer.rotate_keys(), issuer.rotate_keys());
    one.unwrap();
    two.unwrap();
    assert_eq!(jwks(&issuer).await.keys.len(), 3);
}

#[tokio::test]
async fn a_wrong_method_gets_an_oauth_error_that_names_the_right_one() {
    let issuer = Issuer::start().await.unwrap();
    for (method, path, allowed) in [
        ("GET", "/oauth/token", "POST"),
        ("PUT", "/oauth/revoke", "POST"),
        ("POST", "/.well-known/jwks.json", "GET,HEAD"),
        ("DELETE", "/.well-known/oauth-authorization-server", "GET,HEAD"),
    ] {
        let answer = Call::to(method, path, "issuer").send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (405, "invalid_request".to_owned()), "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    assert_eq!((issuer.token_requests(), issuer.spent()), (0, 0));
    // A fault is as it was ordered.
    issuer.fault(Place::Keys, When::next(1), Fault::status(405));
    let answer = Call::get("/.well-known/jwks.json").send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (405, 0));
}

#[tokio::test]
async fn a_clock_that_was_wrong_for_a_while_takes_no_key_from_tokens_that_are_good_when_it_is_right()
 {
    let clock = ManualClock::new();
    let issuer = Issuer::builder().clock(clock).start().await.unwrap();
    let live = token(&issuer).await;
    issuer.rotate_keys().await.unwrap();
    issuer.happen(Event::ClockAhead(Duration::from_secs(25 * 3600)));
    issuer.rotate_keys().await.unwrap();
    issuer.happen(Event::ClockAhead(Duration::ZERO));
    assert_eq!(shipments(&issuer, &live).await, 200);
    // Nor does one that is behind, from those that it has dated itself.
    issuer.happen(Event::ClockBehind(Duration::from_secs(25 * 3600)));
    let early = token(&issuer).await;
    issuer.rotate_keys().await.unwrap();
    issuer.rotate_keys().await.unwrap();
    assert_eq!(shipments(&issuer, &early).await, 200);
}

#[tokio::test]
async fn keys_are_not_to_be_kept_unasked() {
    let issuer = Issuer::start().await.unwrap();
    let answer = Call::get("/.well-known/jwks.json").send(&issuer).await.unwrap();
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
}
