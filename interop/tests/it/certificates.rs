//! Clients that show who they are by a certificate (RFC 8705), over both transports.

use std::sync::Arc;

use auth_core::{
    Authenticator, BoxFuture, ClientAuth, ClientCredentials, Discovery, Transport, TransportError,
};
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use auth_tower::HyperTransport;
use hyper_rustls::HttpsConnectorBuilder;
use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::server::{Server, spent};

const CLIENTS: [(&str, ClientAuth); 2] =
    [("tls", ClientAuth::TlsClientAuth), ("tls_self_signed", ClientAuth::SelfSignedTlsClientAuth)];

/// What a reqwest client needs to be known by its certificate.
fn known(server: &Server, name: &str, client: ClientBuilder) -> ClientBuilder {
    let pem = format!(
        "{}\n{}",
        server.client(name, "certificate_pem"),
        server.client(name, "private_key_pem")
    );
    client
        .no_proxy()
        .identity(Identity::from_pem(pem.as_bytes()).unwrap())
        .tls_certs_only([Certificate::from_pem(server.text("/mtls/ca_pem").as_bytes()).unwrap()])
}

fn over_reqwest(server: &Server, name: &str) -> ReqwestTransport {
    ReqwestTransport::builder().configure(|client| known(server, name, client)).build().unwrap()
}

fn over_hyper(server: &Server, name: &str) -> impl Transport {
    let pem = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(pem(server.text("/mtls/ca_pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_slice(server.client(name, "private_key_pem").as_bytes());
    let config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_client_auth_cert(vec![pem(server.client(name, "certificate_pem"))], key.unwrap())
    .unwrap();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
    HyperTransport::new(connector)
}

async fn gets_a_token(server: &Server, name: &str, auth: &Authenticator, requests: u64) {
    auth.authorization().await.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(server.counts(name).await, (requests, requests), "{name}");
    assert_eq!(spent(auth).await, 1, "{name}");
}

#[tokio::test]
async fn at_the_token_endpoint_and_at_the_alias_over_both_transports() {
    let server = Server::start();
    for (name, way) in CLIENTS {
        let fixed = || {
            ClientCredentials::with_certificate(name)
                .client_auth(way)
                .token_endpoint(server.text("/mtls/token_endpoint"))
        };
        let discovered = || {
            ClientCredentials::with_certificate(name)
                .client_auth(way)
                .issuer(server.text("/issuer"))
                .discover(Discovery::OpenId)
        };
        let mut requests = 0;
        for credentials in [fixed(), discovered()] {
            let transports: [Box<dyn Transport>; 2] =
                [Box::new(over_reqwest(&server, name)), Box::new(over_hyper(&server, name))];
            for transport in transports {
                let auth = server.builder(credentials.clone(), Boxed(transport)).build().unwrap();
                requests += 1;
                gets_a_token(&server, name, &auth, requests).await;
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_client_is_refused_as_a_wrong_secret_is() {
    let server = Server::start();
    let credentials = ClientCredentials::with_certificate("tls")
        .token_endpoint(server.text("/mtls/token_endpoint"));
    let transport = over_reqwest(&server, "tls_self_signed");
    let auth = server.builder(credentials, transport).build().unwrap();
    assert!(auth.authorization().await.unwrap_err().is_invalid_client());
    assert_eq!(server.counts("tls").await, (1, 0));
}

#[tokio::test]
async fn a_token_that_is_bound_to_the_certificate_opens_the_api_with_that_certificate() {
    let server = Server::start();
    let credentials = ClientCredentials::with_certificate("tls_bound")
        .token_endpoint(server.text("/mtls/token_endpoint"));
    let auth = server
        .builder(credentials, over_reqwest(&server, "tls_bound"))
        .origin(server.text("/mtls/url"))
        .build()
        .unwrap();
    let client = known(&server, "tls_bound", reqwest::Client::builder()).build().unwrap();
    let client =
        reqwest_middleware::ClientBuilder::new(client).with(AuthMiddleware::new(auth)).build();
    let response = client.get(server.text("/mtls/api")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let seen: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert!(seen["x5t"].is_string(), "{seen}");
    assert_eq!(server.counts("tls_bound").await, (1, 1));
}

/// A transport of either kind.
struct Boxed(Box<dyn Transport>);

impl Transport for Boxed {
    fn send(
        &self,
        request: http::Request<bytes::Bytes>,
        deadline: std::time::Duration,
    ) -> BoxFuture<'_, Result<http::Response<bytes::Bytes>, TransportError>> {
        self.0.send(request, deadline)
    }
}
