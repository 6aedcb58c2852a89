//! Tokens that are bound to a key: the issuer's nonce, the API's nonce, and who gets a proof.

use auth_core::{Authenticator, MemoryStore, SigningKey, Store};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;

use crate::support::*;

fn authenticator(issuer: &Issuer) -> (Authenticator, SharedClock) {
    let credentials = credentials().dpop(SigningKey::generate_es256());
    let (builder, clock) = builder_for(issuer, credentials);
    (builder.build().unwrap(), clock)
}

fn claims(proof: &HeaderValue) -> Value {
    let part = proof.to_str().unwrap().split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// An answer that wants a nonce.
fn wants(nonce: &str) -> Step {
    let mut response = answer(400, "application/json", r#"{"error":"use_dpop_nonce"}"#);
    response.headers_mut().insert("dpop-nonce", nonce.parse().unwrap());
    Step::Answer(response)
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_the_issuer_wants_costs_a_second_unit_once() {
    let issuer = Issuer::new([wants("n-1")]);
    issuer.token_type("DPoP");
    let (auth, _) = authenticator(&issuer);
    let authorization = auth.authorization().await.unwrap();
    assert_eq!(text(&authorization), "DPoP token-1");
    let proofs: Vec<_> = issuer.sent().iter().map(|sent| claims(&sent.headers()["dpop"])).collect();
    assert_eq!(proofs.len(), 2);
    assert!(proofs[0].get("nonce").is_none());
    assert_eq!(proofs[1]["nonce"], "n-1");
    assert_ne!(proofs[0]["jti"], proofs[1]["jti"]);
    assert_eq!(auth.status().await.windows[0].spent, 2);
    // It is remembered for the next one.
    auth.renew().await.unwrap();
    assert_eq!(claims(&issuer.sent()[2].headers()["dpop"])["nonce"], "n-1");
    assert_eq!(auth.status().await.windows[0].spent, 3);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_has_enough_nonces_is_a_failure_like_any_other() {
    let issuer = Issuer::new([wants("n-1"), wants("n-2"), wants("n-3"), wants("n-4")]);
    issuer.token_type("DPoP");
    let (auth, _) = authenticator(&issuer);
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_rejected() && error.retry_at().is_some(), "{error:?}");
    assert_eq!((issuer.requests(), auth.status().await.windows[0].spent), (2, 2));
    assert!(auth.authorization().await.is_err());
    assert_eq!(issuer.requests(), 2);
}

// torture: D37
#[tokio::test(start_paused = true)]
async fn a_token_of_the_wrong_kind_is_refused_by_name() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_malformed_answer() && error.to_string().contains("DPoP"), "{error}");

    let issuer = Issuer::new([]);
    issuer.token_type("DPoP");
    let (auth, _) = crate::support::authenticator(&issuer);
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_malformed_answer() && error.to_string().contains("Bearer"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn each_request_to_the_api_has_a_proof_of_its_own() {
    let issuer = Issuer::new([]);
    issuer.token_type("DPoP");
    let (auth, _) = authenticator(&issuer);
    assert!(auth.proves());
    let mut headers = HeaderMap::new();
    let uri: Uri = "https://API.example:443/v2/a?secret=1".parse().unwrap();
    assert!(auth.prove(&Method::GET, &uri, None, &mut headers).is_err(), "there is no token yet");
    auth.authorization().await.unwrap();
    auth.try_insert(&mut headers).unwrap();
    auth.prove(&Method::GET, &uri, None, &mut headers).unwrap();
    let first = claims(&headers["dpop"]);
    assert_eq!((&first["htm"], &first["htu"]), (&"GET".into(), &"https://api.example/v2/a".into()));
    // RFC 9449 §4.2: the hash of the token, by `printf token-1 | openssl dgst -sha256 -binary | basenc --base64url`.
    assert_eq!(first["ath"], "PwiqzhIu4jaEMsHKI6BJvGQLr78A_fM6UkKfOLoS2_k");
    auth.prove(&Method::GET, &uri, None, &mut headers).unwrap();
    assert_ne!(claims(&headers["dpop"])["jti"], first["jti"]);
    assert_eq!(headers.get_all("dpop").iter().count(), 1);
    assert!(headers["dpop"].is_sensitive() && headers[AUTHORIZATION].is_sensitive());

    let foreign = Uri::from_static("https://evil.example/");
    assert!(auth.prove(&Method::GET, &foreign, None, &mut headers).is_err());
    let relative = Uri::from_static("/v2/a");
    assert!(auth.prove(&Method::GET, &relative, None, &mut headers).is_err());
    let assumed = "https://api.example".parse().unwrap();
    auth.prove(&Method::GET, &relative, Some(&assumed), &mut headers).unwrap();
    assert_eq!(claims(&headers["dpop"])["htu"], "https://api.example/v2/a");
}

#[tokio::test(start_paused = true)]
async fn nonces_are_kept_for_each_origin() {
    let issuer = Issuer::new([]);
    issuer.token_type("DPoP");
    let credentials = credentials().dpop(SigningKey::generate_es256());
    let (builder, _) = builder_for(&issuer, credentials);
    let auth = builder.origin("https://a.example").origin("https://b.example").build().unwrap();
    auth.authorization().await.unwrap();
    let uri = |host: &str| -> Uri { format!("https://{host}.example/x").parse().unwrap() };
    let nonce = |host: &str| {
        let mut headers = HeaderMap::new();
        auth.try_insert(&mut headers).unwrap();
        auth.prove(&Method::GET, &uri(host), None, &mut headers).unwrap();
        claims(&headers["dpop"]).get("nonce").cloned()
    };
    let answered = |nonce: &str, challenge: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("dpop-nonce", nonce.parse().unwrap());
        headers.insert("www-authenticate", challenge.parse().unwrap());
        headers
    };
    let wants = r#"Bearer, DPoP algs="ES256", error="use_dpop_nonce""#;
    let unauthorized = StatusCode::UNAUTHORIZED;
    assert!(auth.heed_nonce(&uri("a"), None, unauthorized, &answered("a-1", wants)));
    assert!(!auth.heed_nonce(&uri("b"), None, StatusCode::OK, &answered("b-1", wants)));
    let invalid = r#"DPoP error="invalid_token""#;
    assert!(!auth.heed_nonce(&uri("a"), None, unauthorized, &answered("a-2", invalid)));
    assert!(!auth.heed_nonce(&uri("evil"), None, unauthorized, &answered("c", wants)));
    assert!(!auth.heed_nonce(&uri("a"), None, unauthorized, &answered("not a nonce", wants)));
    assert_eq!((nonce("a"), nonce("b")), (Some("a-2".into()), Some("b-1".into())));
}

#[tokio::test(start_paused = true)]
async fn processes_with_different_keys_do_not_share_tokens_and_those_with_one_key_do() {
    let store = Store::new(MemoryStore::new());
    let issuer = Issuer::new([]);
    issuer.token_type("DPoP");
    let clock = SharedClock::new();
    let build = |key: &SigningKey| {
        Authenticator::builder(credentials().dpop(key.clone()))
            .store(store.clone())
            .transport(issuer.clone())
            .clock(clock.clone())
            .build()
            .unwrap()
    };
    let (one, other) = (SigningKey::generate_es256(), SigningKey::generate_es256());
    let first = build(&one).authorization().await.unwrap();
    assert_eq!(text(&build(&one).authorization().await.unwrap()), text(&first));
    assert_ne!(text(&build(&other).authorization().await.unwrap()), text(&first));
    assert_eq!(issuer.requests(), 2);
}
