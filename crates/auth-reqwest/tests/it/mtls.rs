//! A client that shows who it is by the certificate of its connection (RFC 8705).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use auth_core::{Authenticator, ClientAuth, ClientCredentials, MemoryStore, Store};
use auth_reqwest::ReqwestTransport;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::{Certificate, Identity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The certificate and its key.
fn certificate(name: &str, authority: &Authority) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

/// As files have it.
fn identity(name: &str, authority: &Authority) -> Identity {
    let (certificate, key) = certificate(name, authority);
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    Identity::from_pem(pem.as_bytes()).unwrap()
}

fn trusting(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    roots
}

/// An issuer that lets nobody in without a certificate of this authority.
struct Issuer {
    port: u16,
    authority: Authority,
    requests: mpsc::UnboundedReceiver<String>,
    connections: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start() -> Self {
        let authority = authority("authority");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(trusting(&authority));
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().unwrap();
        let (certificate, key) = certificate("localhost", &authority);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, SeqCst);
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut text = String::new();
                let mut buffer = [0; 4096];
                while !text.contains("client_id=client") {
                    let count = stream.read(&mut buffer).await.unwrap();
                    assert!(count > 0, "cut off: {text}");
                    text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                }
                sender.send(text).unwrap();
                let body = r#"{"access_token":"abc","token_type":"Bearer","expires_in":86400}"#;
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
        Self { port, authority, requests, connections }
    }

    fn client(&self, auth: ClientAuth, shown: Option<Identity>) -> Authenticator {
        let trusted = Certificate::from_der(self.authority.der()).unwrap();
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
            .token_endpoint(format!("https://localhost:{}/oauth/token", self.port))
            .audience("https://api.example");
        Authenticator::builder(credentials)
            .store(Store::new(MemoryStore::new()))
            .transport(transport)
            .build()
            .unwrap()
    }
}

#[tokio::test]
async fn the_certificate_is_shown_and_the_id_is_sent_and_nothing_else() {
    for auth in [ClientAuth::TlsClientAuth, ClientAuth::SelfSignedTlsClientAuth] {
        let mut issuer = Issuer::start().await;
        let shown = identity("client.example", &issuer.authority);
        let client = issuer.client(auth, Some(shown));
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
        let client = issuer.client(ClientAuth::TlsClientAuth, shown);
        let error = client.authorization().await.unwrap_err();
        // In TLS 1.3 the client is done before the server has looked at its certificate (RFC 8446 §2), so the request may have
        // left: in doubt, and spent.
        assert!(error.is_transient() && !error.is_not_sent(), "{error:?}");
        assert_eq!(client.status().await.windows[0].spent, 1);
    }
    assert_eq!(issuer.connections.load(SeqCst), 2);
    assert!(issuer.requests.try_recv().is_err());
}
