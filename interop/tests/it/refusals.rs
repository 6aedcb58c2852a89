//! What the issuer refuses costs one token request, and is not repeated.

use auth_core::{Algorithm, ClientAuth, ClientCredentials, Discovery, SigningKey};
use auth_reqwest::ReqwestTransport;

use crate::server::{Server, spent};

#[tokio::test]
async fn a_wrong_secret() {
    let server = Server::start();
    for (name, auth) in [("basic", ClientAuth::Basic), ("post", ClientAuth::Post)] {
        let credentials =
            ClientCredentials::new(server.client(name, "client_id"), "not-the-one-4711")
                .client_auth(auth)
                .token_endpoint(server.text("/token_endpoint"));
        let auth = server.builder(credentials, ReqwestTransport::new().unwrap()).build().unwrap();
        for _ in 0..3 {
            let error = auth.authorization().await.unwrap_err();
            assert!(error.is_invalid_client() && error.retry_at().is_some(), "{error:?}");
            assert!(!error.to_string().contains("4711"), "{error}");
        }
        assert_eq!(server.counts(name).await, (1, 0));
        assert_eq!(spent(&auth).await, 1);
    }
}

#[tokio::test]
async fn a_key_that_is_not_registered() {
    let server = Server::start();
    let stranger = SigningKey::generate_es256();
    let credentials = ClientCredentials::with_key("key_jwt_es256", stranger)
        .issuer(server.text("/issuer"))
        .token_endpoint(server.text("/token_endpoint"));
    let auth = server.builder(credentials, ReqwestTransport::new().unwrap()).build().unwrap();
    assert!(auth.authorization().await.unwrap_err().is_invalid_client());
    assert_eq!(server.counts("key_jwt_es256").await, (1, 0));
}

#[tokio::test]
async fn a_scope_that_is_not_this_clients() {
    let server = Server::start();
    for scope in [server.text("/forbidden_scope"), "nobody-knows-it"] {
        let credentials =
            server.secret_at_endpoint("basic").client_auth(ClientAuth::Basic).scope(scope);
        let auth = server.builder(credentials, ReqwestTransport::new().unwrap()).build().unwrap();
        match auth.authorization().await {
            Err(error) => {
                assert!(error.is_rejected(), "{error:?}");
                assert!(error.to_string().contains("invalid_scope"), "{error}");
            }
            // What an issuer does not know it may leave out (RFC 6749 §3.3).
            Ok(_) => assert_ne!(auth.introspect().await.unwrap().scope.as_deref(), Some(scope)),
        }
        assert_eq!(spent(&auth).await, 1);
    }
    assert_eq!(server.counts("basic").await.0, 2);
}

#[tokio::test]
async fn a_method_and_an_algorithm_that_the_metadata_does_not_list_cost_nothing() {
    let server = Server::start();
    let key =
        SigningKey::from_pem(Algorithm::Es256, server.client("key_jwt_es256", "private_key_pem"));
    let credentials = ClientCredentials::with_key("key_jwt_es256", Unknown(key.unwrap()))
        .issuer(server.text("/issuer"))
        .discover(Discovery::OpenId);
    let auth = server.builder(credentials, ReqwestTransport::new().unwrap()).build().unwrap();
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_discovery() && error.to_string().contains("ES9"), "{error:?}");
    assert_eq!(server.counts("key_jwt_es256").await, (0, 0));
    assert_eq!(spent(&auth).await, 0);
}

/// A key that says it signs in a way that nobody knows.
struct Unknown(SigningKey);

impl auth_core::Signer for Unknown {
    fn algorithm(&self) -> &str {
        "ES9"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, auth_core::SignError> {
        self.0.sign(message)
    }
}
