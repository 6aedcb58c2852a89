//! A client with a key against an issuer that checks all that it signs: `private_key_jwt` (RFC 7523), DPoP (RFC 9449), and
//! where the issuer's metadata says that they go (RFC 8414).

use auth_core::{
    Authenticator, ClientCredentials, Discovery, MemoryStore, Signer, SigningKey, Store,
};
use auth_issuer::{ClientAuth, Issuer, IssuerBuilder};
use auth_reqwest::ReqwestTransport;

use crate::harness::{client, get, spent};

/// An issuer that knows the key of the client `app`.
async fn issuer(key: &SigningKey, builder: IssuerBuilder) -> Issuer {
    let jwk = serde_json::to_string(&key.public_jwk().unwrap()).unwrap();
    builder.client_key("app", &jwk).start().await.unwrap()
}

fn authenticator(issuer: &Issuer, credentials: ClientCredentials) -> Authenticator {
    Authenticator::builder(credentials.audience(issuer.audience()))
        .store(Store::new(MemoryStore::new()))
        .transport(ReqwestTransport::new().unwrap())
        .insecure_loopback(true)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_client_with_a_key_finds_the_endpoints_and_is_believed() {
    for document in [Discovery::OAuth, Discovery::OpenId] {
        let key = SigningKey::generate_es256().with_key_id("1");
        let issuer = issuer(&key, Issuer::builder()).await;
        let credentials =
            ClientCredentials::with_key("app", key).issuer(issuer.url()).discover(document);
        let auth = authenticator(&issuer, credentials);
        let client = client(&auth);
        assert_eq!(get(&client, &issuer).await.unwrap().status(), 200);
        let record = issuer.last_token_request().unwrap();
        assert_eq!(record.client_auth, ClientAuth::PrivateKeyJwt);
        assert_eq!((issuer.counters().issued, spent(&auth).await), (1, 1));

        // Another token by another assertion, since each is good for one request.
        auth.renew().await.unwrap();
        assert_eq!((issuer.counters().issued, spent(&auth).await), (2, 2));
        auth.revoke().await.unwrap();
        assert_eq!(issuer.token_requests(), 2);
    }
}

#[tokio::test]
async fn a_token_that_was_given_back_opens_nothing() {
    let key = SigningKey::generate_es256();
    let issuer = issuer(&key, Issuer::builder()).await;
    let credentials = ClientCredentials::with_key("app", key)
        .token_endpoint(issuer.token_endpoint())
        .issuer(issuer.url())
        .revocation_endpoint(issuer.revocation_endpoint());
    let auth = authenticator(&issuer, credentials);
    let token = auth.authorization().await.unwrap();
    let token = token.header().to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    assert!(issuer.is_valid(&token));
    auth.revoke().await.unwrap();
    assert!(!issuer.is_valid(&token));
}

#[tokio::test]
async fn a_key_that_nobody_registered_is_an_invalid_client() {
    let issuer = issuer(&SigningKey::generate_es256(), Issuer::builder()).await;
    let credentials = ClientCredentials::with_key("app", SigningKey::generate_es256())
        .token_endpoint(issuer.token_endpoint())
        .issuer(issuer.url());
    let auth = authenticator(&issuer, credentials);
    auth.authorization().await.unwrap_err();
    assert_eq!((issuer.counters().invalid_client, issuer.token_requests()), (1, 1));
}

#[tokio::test]
async fn bound_tokens_open_the_api_with_a_proof_for_each_request() {
    let key = SigningKey::generate_es256();
    let issuer = issuer(&key, Issuer::builder()).await;
    let credentials = ClientCredentials::with_key("app", key)
        .issuer(issuer.url())
        .discover(Discovery::OAuth)
        .dpop(SigningKey::generate_es256());
    let auth = authenticator(&issuer, credentials);
    let client = client(&auth);
    for _ in 0..3 {
        assert_eq!(get(&client, &issuer).await.unwrap().status(), 200);
    }
    assert!(issuer.last_token_request().unwrap().has_dpop_proof);
    assert_eq!((issuer.token_requests(), issuer.counters().api(200)), (1, 3));
    assert_eq!(issuer.counters().api_total(), 3);
    auth.revoke().await.unwrap();
}

#[tokio::test]
async fn the_nonces_that_an_issuer_wants_are_in_the_next_proofs() {
    let key = SigningKey::generate_es256();
    let issuer = issuer(&key, Issuer::builder().dpop_nonces(true)).await;
    let credentials = ClientCredentials::with_key("app", key)
        .token_endpoint(issuer.token_endpoint())
        .issuer(issuer.url())
        .dpop(SigningKey::generate_es256());
    let auth = authenticator(&issuer, credentials);
    let client = client(&auth);
    for _ in 0..3 {
        assert_eq!(get(&client, &issuer).await.unwrap().status(), 200);
    }
    let counters = issuer.counters();
    // The first proof at each of the two had no nonce.
    assert_eq!((counters.token_requests, counters.bad_request, counters.issued), (2, 1, 1));
    assert_eq!((counters.api(401), counters.api(200)), (1, 3));
    assert_eq!(spent(&auth).await, 2);
}
