//! Tokens that are bound to a key or to a certificate, in the hands of others.

use auth_core::{Authenticator, SigningKey};
use auth_tower::AuthLayer;
use auth_tower::server::{DpopVerifier, PeerCertificate};
use bytes::Bytes;
use http::Request;
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
