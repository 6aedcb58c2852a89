//! A client that shows who it is by the certificate of its connection (RFC 8705).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use auth_core::{Authenticator, ClientAuth, ClientCredentials, MemoryStore, Store};
use auth_tower::HyperTransport;
use hyper_rustls::HttpsConnectorBuilder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(
    name: &str,
    authority: &Authority,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
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
        let (chain, key) = certificate("localhost", &authority);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
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

    fn client(&self, auth: ClientAuth, config: ClientConfig) -> Authenticator {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .build();
        let credentials = ClientCredentials::with_certificate("client")
            .client_auth(auth)
            .token_endpoint(format!("https://localhost:{}/oauth/token", self.port))
            .audience("https://api.example");
        Authenticator::builder(credentials)
            .store(Store::new(MemoryStore::new()))
            .transport(HyperTransport::new(connector))
            .build()
            .unwrap()
    }
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
        let shown = certificate("client.example", &issuer.authority);
        let client = issuer.client(auth, config(&issuer.authority, Some(shown)));
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
    let stranger = certificate("client.example", &authority("stranger"));
    for shown in [None, Some(stranger)] {
        let client = issuer.client(ClientAuth::TlsClientAuth, config(&issuer.authority, shown));
        let error = client.authorization().await.unwrap_err();
        // In TLS 1.3 the client is done before the server has looked at its certificate (RFC 8446 §2), so the request may have
        // left: in doubt, and spent.
        assert!(error.is_transient() && !error.is_not_sent(), "{error:?}");
        assert_eq!(client.status().await.windows[0].spent, 1);
    }
    assert_eq!(issuer.connections.load(SeqCst), 2);
    assert!(issuer.requests.try_recv().is_err());
}
