//! Every way of showing who the client is, in one token request each, as the server counts.

use auth_core::{
    Algorithm, AssertionAudience, ClientAuth, ClientCredentials, Discovery, SigningKey, Transport,
};
use auth_reqwest::ReqwestTransport;
use auth_tower::HyperTransport;

use crate::server::{Server, spent};

/// Each client, with the way that it is registered for.
fn clients(server: &Server) -> Vec<(&'static str, ClientCredentials)> {
    let with_secret = |name, auth| (name, server.with_secret(name).client_auth(auth));
    let with_key = |name, algorithm| {
        let key = SigningKey::from_pem(algorithm, server.client(name, "private_key_pem")).unwrap();
        let key = key.with_key_id(server.client(name, "kid"));
        (name, ClientCredentials::with_key(server.client(name, "client_id"), key))
    };
    vec![
        with_secret("basic", ClientAuth::Basic),
        with_secret("basic_odd_id", ClientAuth::Basic),
        with_secret("post", ClientAuth::Post),
        with_secret("secret_jwt", ClientAuth::SecretJwt),
        with_key("key_jwt_es256", Algorithm::Es256),
        with_key("key_jwt_rs256", Algorithm::Rs256),
        with_key("key_jwt_ps256", Algorithm::Ps256),
        with_key("key_jwt_eddsa", Algorithm::EdDsa),
    ]
}

async fn each_gets_a_token(
    place: impl Fn(&Server, ClientCredentials) -> ClientCredentials,
    transport: impl Transport + Clone,
) {
    let server = Server::start();
    for (name, credentials) in clients(&server) {
        let id = server.client(name, "client_id");
        let credentials = place(&server, credentials).scope("read");
        let auth = server.builder(credentials, transport.clone()).build().unwrap();
        let authorization = auth.authorization().await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(authorization.header().to_str().unwrap().starts_with("Bearer "));
        assert_eq!(server.counts(id).await, (1, 1), "{name}");
        assert_eq!(spent(&auth).await, 1, "{name}");

        // The endpoints for tools take the same authentication, and cost no token request.
        let said = auth.introspect().await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(said.active, "{name}");
        assert_eq!((said.client_id.as_deref(), said.scope.as_deref()), (Some(id), Some("read")));
        auth.revoke().await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(auth.try_authorization().is_none(), "{name}");
        assert_eq!(server.counts(id).await, (1, 1), "{name}");
    }
}

fn at_endpoint(server: &Server, credentials: ClientCredentials) -> ClientCredentials {
    credentials.issuer(server.text("/issuer")).token_endpoint(server.text("/token_endpoint"))
}

#[tokio::test]
async fn at_a_token_endpoint_over_reqwest() {
    each_gets_a_token(at_endpoint, ReqwestTransport::new().unwrap()).await;
}

#[tokio::test]
async fn at_a_token_endpoint_over_hyper() {
    each_gets_a_token(at_endpoint, std::sync::Arc::new(HyperTransport::plain())).await;
}

#[tokio::test]
async fn with_assertions_for_the_token_endpoint() {
    let place = |server: &Server, credentials: ClientCredentials| {
        credentials
            .token_endpoint(server.text("/token_endpoint"))
            .assertion_audience(AssertionAudience::TokenEndpoint)
    };
    each_gets_a_token(place, ReqwestTransport::new().unwrap()).await;
}

#[tokio::test]
async fn discovered_by_openids_document() {
    let place = |server: &Server, credentials: ClientCredentials| {
        credentials.issuer(server.text("/issuer")).discover(Discovery::OpenId)
    };
    each_gets_a_token(place, ReqwestTransport::new().unwrap()).await;
}
