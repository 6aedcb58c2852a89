//! Tokens that are bound to a key (RFC 9449): every attempt has a proof of its own, and a server's nonce costs no token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use auth_core::{Authenticator, ClientCredentials, MemoryStore, SigningKey, Store};
use auth_reqwest::ReqwestTransport;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_middleware::ClientBuilder;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use serde_json::Value;

use crate::harness::{bare, client};
use crate::peer::{INVALID_TOKEN, Peer, plain};

const WANTS: &str =
    "401 Unauthorized\r\nwww-authenticate: DPoP error=\"use_dpop_nonce\"\r\ndpop-nonce: n-";

/// An issuer of tokens that are bound to a key, an API that answers as `answer` says by the number of the request, and an
/// authenticator for both.
async fn bound(
    answer: impl Fn(usize) -> String + Clone + Send + Sync + 'static,
) -> (Peer, Peer, Authenticator) {
    let tokens = Arc::new(AtomicUsize::new(0));
    let issuer = Peer::start(move |_| {
        let number = tokens.fetch_add(1, SeqCst) + 1;
        let body =
            format!(r#"{{"access_token":"token-{number}","token_type":"DPoP","expires_in":86400}}"#);
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    })
    .await;
    let requests = Arc::new(AtomicUsize::new(0));
    let api = Peer::start(move |_| plain(&answer(requests.fetch_add(1, SeqCst) + 1))).await;
    let credentials = ClientCredentials::new("client", "s3cret")
        .token_endpoint(format!("{}/token", issuer.url()))
        .audience(api.url())
        .dpop(SigningKey::generate_es256());
    let authenticator = Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(ReqwestTransport::new().unwrap())
        .insecure_loopback(true)
        .build()
        .unwrap();
    (issuer, api, authenticator)
}

/// The token of each request, in lower case.
fn tokens(api: &Peer) -> Vec<String> {
    let token = |head: &String| {
        let line = head.lines().find(|line| line.starts_with("authorization: ")).unwrap();
        line["authorization: ".len()..].to_owned()
    };
    api.heads().iter().map(token).collect()
}

#[tokio::test]
async fn a_nonce_that_the_api_wants_costs_no_token_and_is_remembered() {
    let (issuer, api, authenticator) = bound(|number| match number {
        1 => format!("{WANTS}1"),
        _ => "200 OK".to_owned(),
    })
    .await;
    let client = client(&authenticator);
    for _ in 0..2 {
        assert_eq!(client.get(format!("{}/x?y=1", api.url())).send().await.unwrap().status(), 200);
    }
    assert_eq!(tokens(&api), ["dpop token-1"; 3]);
    let claims = proofs(&api);
    let nonces: Vec<_> = claims.iter().map(|claims| claims.get("nonce").cloned()).collect();
    assert_eq!(nonces, [None, Some("n-1".into()), Some("n-1".into())]);
    for claims in &claims {
        assert_eq!(claims["htm"], "GET");
        assert_eq!(claims["htu"], format!("{}/x", api.url()));
        assert!(claims["ath"].is_string());
    }
    assert_ne!(claims[1]["jti"], claims[2]["jti"]);
    assert_eq!(issuer.connections(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_after_a_nonce() {
    let (issuer, api, authenticator) = bound(|number| match number {
        1 => format!("{WANTS}1"),
        2 => INVALID_TOKEN.to_owned(),
        _ => "200 OK".to_owned(),
    })
    .await;
    let response = client(&authenticator).get(api.url()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(tokens(&api), ["dpop token-1", "dpop token-1", "dpop token-2"]);
    assert_eq!(issuer.connections(), 2);
}

#[tokio::test]
async fn an_api_that_never_has_enough_nonces_refuses_no_token() {
    let (issuer, api, authenticator) = bound(|number| format!("{WANTS}{number}")).await;
    let response = client(&authenticator).get(api.url()).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!((api.heads().len(), issuer.connections()), (2, 1));
    assert!(!authenticator.status().await.token.unwrap().suspect);
}

#[tokio::test]
async fn a_401_about_the_proof_refuses_no_token() {
    let (issuer, api, authenticator) = bound(|_| {
        "401 Unauthorized\r\nwww-authenticate: DPoP error=\"invalid_dpop_proof\"".to_owned()
    })
    .await;
    assert_eq!(client(&authenticator).get(api.url()).send().await.unwrap().status(), 401);
    assert_eq!((api.heads().len(), issuer.connections()), (1, 1));
    assert!(!authenticator.status().await.token.unwrap().suspect);
}

#[tokio::test]
async fn every_attempt_of_a_retry_has_a_proof_of_its_own() {
    let (_, api, authenticator) = bound(|number| match number {
        1 | 2 => "503 Service Unavailable".to_owned(),
        _ => "200 OK".to_owned(),
    })
    .await;
    let backoff = ExponentialBackoff::builder()
        .retry_bounds(std::time::Duration::ZERO, std::time::Duration::from_millis(1))
        .build_with_max_retries(3);
    let client = ClientBuilder::new(bare())
        .with(RetryTransientMiddleware::new_with_policy(backoff))
        .with(auth_reqwest::AuthMiddleware::new(authenticator.clone()))
        .build();
    assert_eq!(client.get(api.url()).send().await.unwrap().status(), 200);
    let ids: std::collections::HashSet<_> =
        proofs(&api).iter().map(|claims| claims["jti"].to_string()).collect();
    assert_eq!(ids.len(), 3);
}

fn proofs(api: &Peer) -> Vec<Value> {
    let proof = |head: &String| {
        let line = head.lines().find(|line| line.starts_with("dpop: ")).unwrap();
        let claims = line.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    };
    api.exact_heads().iter().map(proof).collect()
}
