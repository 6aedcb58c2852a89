//! A client that shows who it is by the certificate of its connection (RFC 8705).

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use auth_core::{Authenticator, ClientAuth, ClientCredentials, MemoryStore, Store};
use auth_tower::HyperTransport;
use hyper_rustls::HttpsConnectorBuilder;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::peers::mtls::{Authority, Issuer, authority, certificate, trusting};

/// The chain and its key, as rustls wants them.
fn identity(
    name: &str,
    authority: &Authority,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let (certificate, key) = certificate(name, authority);
    (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

fn client(issuer: &Issuer, auth: ClientAuth, config: ClientConfig) -> Authenticator {
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
    let credentials = ClientCredentials::with_certificate("client")
        .client_auth(auth)
        .token_endpoint(format!("https://localhost:{}/oauth/token", issuer.port))
        .audience("https://api.example");
    Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(HyperTransport::new(connector))
        .build()
        .unwrap()
}

fn config(
    trusted: &Authority,
    shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> ClientConfig {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusting(trusted));
    match shown {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    }
}

#[tokio::test]
async fn the_certificate_is_shown_and_the_id_is_sent_and_nothing_else() {
    for auth in [ClientAuth::TlsClientAuth, ClientAuth::SelfSignedTlsClientAuth] {
        let mut issuer = Issuer::start().await;
        let shown = identity("client.example", &issuer.authority);
        let client = client(&issuer, auth, config(&issuer.authority, Some(shown)));
        assert_eq!(client.authorization().await.unwrap().header(), "Bearer abc");
        let request = issuer.requests.recv().await.unwrap();
        assert!(request.ends_with("client_id=client"), "{request}");
        assert!(!request.contains("secret") && !request.contains("uthorization:"), "{request}");
        assert_eq!(client.status().await.windows[0].spent, 1);
    }
}

#[tokio::test]
async fn without_a_certificate_or_with_a_strangers_nothing_is_read_by_the_issuer() {
    let mut issuer = Issuer::start().await;
    let stranger = identity("client.example", &authority("stranger"));
    for shown in [None, Some(stranger)] {
        let client = client(&issuer, ClientAuth::TlsClientAuth, config(&issuer.authority, shown));
        let error = client.authorization().await.unwrap_err();
        // In TLS 1.3 the client is done before the server has looked at its certificate (RFC 8446 §2), so the request may have
        // left: in doubt, and spent.
        assert!(error.is_transient() && !error.is_not_sent(), "{error:?}");
        assert_eq!(client.status().await.windows[0].spent, 1);
    }
    assert_eq!(issuer.connections.load(SeqCst), 2);
    assert!(issuer.requests.try_recv().is_err());
}
