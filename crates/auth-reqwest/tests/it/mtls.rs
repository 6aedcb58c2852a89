//! A client that shows who it is by the certificate of its connection (RFC 8705).

use std::sync::atomic::Ordering::SeqCst;

use auth_core::{Authenticator, ClientAuth, ClientCredentials, MemoryStore, Store};
use auth_reqwest::ReqwestTransport;
use reqwest::{Certificate, Identity};

use crate::peers::mtls::{Authority, Issuer, authority, certificate};

/// As files have it.
fn identity(name: &str, authority: &Authority) -> Identity {
    let (certificate, key) = certificate(name, authority);
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    Identity::from_pem(pem.as_bytes()).unwrap()
}

fn client(issuer: &Issuer, auth: ClientAuth, shown: Option<Identity>) -> Authenticator {
    let trusted = Certificate::from_der(issuer.authority.der()).unwrap();
    let transport = ReqwestTransport::builder()
        .configure(|client| {
            let client = client.tls_backend_rustls().tls_certs_only([trusted]);
            match shown {
                Some(identity) => client.identity(identity),
                None => client,
            }
        })
        .build()
        .unwrap();
    let credentials = ClientCredentials::with_certificate("client")
        .client_auth(auth)
        .token_endpoint(format!("https://localhost:{}/oauth/token", issuer.port))
        .audience("https://api.example");
    Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(transport)
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_certificate_is_shown_and_the_id_is_sent_and_nothing_else() {
    for auth in [ClientAuth::TlsClientAuth, ClientAuth::SelfSignedTlsClientAuth] {
        let mut issuer = Issuer::start().await;
        let shown = identity("client.example", &issuer.authority);
        let client = client(&issuer, auth, Some(shown));
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
        let client = client(&issuer, ClientAuth::TlsClientAuth, shown);
        let error = client.authorization().await.unwrap_err();
        // In TLS 1.3 the client is done before the server has looked at its certificate (RFC 8446 §2), so the request may have
        // left: in doubt, and spent.
        assert!(error.is_transient() && !error.is_not_sent(), "{error:?}");
        assert_eq!(client.status().await.windows[0].spent, 1);
    }
    assert_eq!(issuer.connections.load(SeqCst), 2);
    assert!(issuer.requests.try_recv().is_err());
}
