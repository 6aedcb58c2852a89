//! Tokens that are bound to a key or to a certificate, in the hands of others.

use auth_core::{Authenticator, SigningKey};
use auth_tower::AuthLayer;
use auth_tower::server::{Access, DpopVerifier, Need, PeerCertificate};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tower::{Layer, ServiceExt};

use super::support::{Handler, OwnKey, ask, request};
use super::world::{Guarded, SHIPMENTS, World, fixed};

const ORIGIN: &str = "https://api.example";

/// A server that its clients know by `ORIGIN`, whatever the request says.
fn guarded(world: &World) -> Guarded {
    world.behind(world.layer().dpop(DpopVerifier::new().external_origin(ORIGIN.parse().unwrap())))
}

fn bound(world: &World) -> Authenticator {
    let key = SigningKey::generate_es256();
    world.client(ORIGIN, |credentials| credentials.dpop(key)).build().unwrap()
}

/// What our client sends for this request.
async fn sent(auth: &Authenticator, method: &str, path: &str) -> Request<Full<Bytes>> {
    let handler = Handler::default();
    let service = AuthLayer::new(auth.clone()).layer(handler.clone());
    let wanted = request(method, &format!("{ORIGIN}{path}"), &[]);
    service.oneshot(wanted).await.unwrap();
    let mut sent = request(method, path, &[]);
    for name in ["authorization", "dpop"] {
        sent.headers_mut().insert(name, handler.last().headers[name].clone());
    }
    sent
}

#[tokio::test]
async fn a_proof_counts_once_for_its_own_request_and_no_other() {
    let world = World::start().await;
    let (service, auth, other) = (guarded(&world), bound(&world), bound(&world));
    let first = sent(&auth, "GET", SHIPMENTS).await;
    assert_eq!(ask(&service, first.clone()).await.status, 200);

    let mut elsewhere = sent(&auth, "GET", "/v2/shipments/17").await;
    *elsewhere.uri_mut() = SHIPMENTS.parse().unwrap();
    let mut for_head = sent(&auth, "HEAD", SHIPMENTS).await;
    *for_head.method_mut() = http::Method::GET;
    let mut without = sent(&auth, "GET", SHIPMENTS).await;
    without.headers_mut().remove("dpop");
    let mut twice = sent(&auth, "GET", SHIPMENTS).await;
    let proof = sent(&auth, "GET", SHIPMENTS).await.headers()["dpop"].clone();
    twice.headers_mut().append("dpop", proof);
    let late = sent(&auth, "GET", SHIPMENTS).await;
    for (what, request, token_is_at_fault) in [
        ("replayed", first.clone(), false),
        ("for another target", elsewhere, false),
        ("for another method", for_head, false),
        ("missing", without, false),
        ("two", twice, false),
        ("by another key", by(&auth, &other).await, true),
        ("as a bearer token", as_bearer(&auth).await, true),
    ] {
        let answer = ask(&service, request).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let code = if token_is_at_fault { "invalid_token" } else { "invalid_dpop_proof" };
        assert!(answer.challenge().contains(code), "{what}: {answer:?}");
        assert!(answer.challenge().contains("DPoP"), "{what}: {answer:?}");
    }
    world.clock.pass(std::time::Duration::from_secs(61));
    let answer = ask(&service, late).await;
    assert!(answer.challenge().contains("invalid_dpop_proof"), "too late: {answer:?}");
    assert_eq!(world.handler.calls(), 1);
    // None of this has done the token any harm.
    assert_eq!(ask(&service, sent(&auth, "GET", SHIPMENTS).await).await.status, 200);
}

/// What is missing is a scope, and the proof is as good as before.
#[tokio::test]
async fn a_request_that_is_refused_for_its_scope_has_not_used_its_proof_up() {
    let world = World::start().await;
    let access = |need| Access::builder().route(Method::GET, SHIPMENTS, need).build().unwrap();
    let dpop = || DpopVerifier::new().external_origin(ORIGIN.parse().unwrap()).capacity(1);
    let service = |need| world.behind(world.layer().dpop(dpop()).access(access(need)));
    let refusing = service(Need::scopes(["shipments", "bookings"]));
    let serving = service(Need::scope("shipments"));
    let auth = bound(&world);
    // More of them than could be remembered.
    for _ in 0..200 {
        let request = sent(&auth, "GET", SHIPMENTS).await;
        for _ in 0..2 {
            let answer = ask(&refusing, request.clone()).await;
            assert_eq!(answer.status, 403, "{answer:?}");
            assert!(answer.challenge().starts_with(r#"DPoP error="insufficient_scope""#));
        }
    }
    // A proof that would not do is not told what scope is missing.
    let mut without = sent(&auth, "GET", SHIPMENTS).await;
    without.headers_mut().remove("dpop");
    let answer = ask(&refusing, without).await;
    assert!(answer.challenge().starts_with(r#"DPoP error="invalid_dpop_proof""#), "{answer:?}");
    assert!(!answer.challenge().contains("bookings"), "{answer:?}");

    let request = sent(&auth, "GET", SHIPMENTS).await;
    assert_eq!(ask(&serving, request.clone()).await.status, 200);
    assert_eq!(ask(&serving, request).await.status, 401);
    assert_eq!(world.handler.calls(), 1);
}

#[tokio::test]
async fn where_nothing_was_set_for_proofs_none_is_announced_and_each_is_checked_all_the_same() {
    let world = World::start().await;
    let (service, auth) = (world.guarded(), bound(&world));
    let bare = ask(&service, request("GET", SHIPMENTS, &[])).await;
    assert_eq!((bare.status, bare.challenge()), (401, "Bearer"));
    let invalid = ask(&service, request("GET", SHIPMENTS, &["Bearer opaque"])).await;
    assert!(!invalid.challenge().contains("DPoP"), "{invalid:?}");

    // The origin is the one in the request.
    let own = async || {
        let mut request = sent(&auth, "GET", SHIPMENTS).await;
        request.headers_mut().insert("host", "api.example".parse().unwrap());
        request
    };
    let mut without = own().await;
    without.headers_mut().remove("dpop");
    let answer = ask(&service, without).await;
    assert_eq!(answer.status, 401);
    let challenge = answer.challenge();
    assert!(challenge.starts_with(r#"DPoP error="invalid_dpop_proof""#), "{answer:?}");
    assert!(challenge.ends_with(r#"algs="ES256 EdDSA PS256 RS256""#), "{answer:?}");
    // And whose token has to come with a proof learns how.
    let answer = ask(&service, as_bearer(&auth).await).await;
    assert!(answer.challenge().starts_with(r#"Bearer error="invalid_token""#), "{answer:?}");
    assert!(answer.challenge().ends_with(r#"DPoP algs="ES256 EdDSA PS256 RS256""#), "{answer:?}");
    assert_eq!(world.handler.calls(), 0);

    let good = own().await;
    assert_eq!(ask(&service, good.clone()).await.status, 200);
    assert_eq!(ask(&service, good).await.status, 401);

    let bare = ask(&guarded(&world), request("GET", SHIPMENTS, &[])).await;
    assert_eq!(bare.challenge(), r#"Bearer, DPoP algs="ES256 EdDSA PS256 RS256""#);
}

/// The token of one, and a proof of the other's: that of a thief with a key of his own.
async fn by(one: &Authenticator, other: &Authenticator) -> Request<Full<Bytes>> {
    let mut request = sent(one, "GET", SHIPMENTS).await;
    let proof = sent(other, "GET", SHIPMENTS).await.headers()["dpop"].clone();
    request.headers_mut().insert("dpop", proof);
    request
}

/// With its proof, in the hope that nobody looks.
async fn as_bearer(auth: &Authenticator) -> Request<Full<Bytes>> {
    let mut request = sent(auth, "GET", SHIPMENTS).await;
    let field = request.headers()["authorization"].to_str().unwrap().replace("DPoP", "Bearer");
    request.headers_mut().insert("authorization", field.parse().unwrap());
    request
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_opens_nothing_on_another_connection() {
    let (key, handler) = (OwnKey::new(), Handler::default());
    let own = PeerCertificate::new(*b"the client's certificate");
    let other = PeerCertificate::new(*b"another certificate");
    let cnf = json!({ "scope": "shipments", "cnf": { "x5t#S256": own.thumbprint() } });
    let token = format!("Bearer {}", key.token(&cnf));
    let unbound = format!("Bearer {}", key.token(&json!({ "scope": "shipments" })));
    let service: Guarded = fixed(&key).build().unwrap().layer(handler.clone());
    // First where it is verified, and then where it is remembered.
    for _ in 0..2 {
        for (shown, certificate, status) in [
            (&token, Some(&own), 200),
            (&token, None, 401),
            (&token, Some(&other), 401),
            (&unbound, None, 200),
            (&unbound, Some(&other), 200),
        ] {
            let mut request = request("GET", SHIPMENTS, &[shown]);
            if let Some(certificate) = certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            let answer = ask(&service, request).await;
            assert_eq!(answer.status, status, "{certificate:?}: {answer:?}");
            if status == 401 {
                assert!(answer.challenge().starts_with(r#"Bearer error="invalid_token""#));
            }
        }
    }
    assert_eq!(handler.calls(), 6);
}

#[tokio::test]
async fn a_token_that_is_bound_in_a_way_that_nobody_checks_is_no_bearer_token() {
    let (key, handler) = (OwnKey::new(), Handler::default());
    let service: Guarded = fixed(&key).build().unwrap().layer(handler.clone());
    let certificate = PeerCertificate::new(*b"the client's certificate");
    for cnf in [
        json!({ "kid": "some key" }),
        json!({ "jwk": {} }),
        json!({ "x5t#S256": certificate.thumbprint(), "kid": "some key" }),
        json!({ "x5t#S256": 1 }),
    ] {
        let token = format!("Bearer {}", key.token(&json!({ "scope": "shipments", "cnf": cnf })));
        let mut request = request("GET", SHIPMENTS, &[&token]);
        request.extensions_mut().insert(certificate.clone());
        let answer = ask(&service, request).await;
        assert_eq!(answer.status, 401, "{cnf}: {answer:?}");
        assert!(answer.challenge().contains("invalid_token"), "{cnf}: {answer:?}");
    }
    assert_eq!(handler.calls(), 0);
}
