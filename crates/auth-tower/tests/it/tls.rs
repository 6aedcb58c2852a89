//! A server whose certificate is not right gets nothing, and nothing is spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use auth_core::{Authenticator, ClientCredentials, MemoryStore, Store};
use auth_tower::HyperTransport;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// An https server that answers everything with a token, and counts the bytes it was sent.
struct Server {
    port: u16,
    certificate: CertificateDer<'static>,
    handshakes: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
}

async fn server(name: &str, expired: bool) -> Server {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (handshakes, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server =
        Server { port, certificate, handshakes: handshakes.clone(), received: received.clone() };
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            handshakes.fetch_add(1, SeqCst);
            let (acceptor, received) = (acceptor.clone(), received.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                received.fetch_add(count, SeqCst);
                let body = r#"{"access_token":"abc","token_type":"Bearer","expires_in":86400}"#;
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    server
}

fn connector(trusted: &[&Server]) -> HttpsConnector<HttpConnector> {
    let mut roots = RootCertStore::empty();
    for server in trusted {
        roots.add(server.certificate.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build()
}

fn authenticator(server: &Server, trusted: &[&Server]) -> Authenticator {
    let credentials = ClientCredentials::new("client", "secret")
        .token_endpoint(format!("https://localhost:{}/oauth/token", server.port))
        .audience("https://api.example");
    Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(HyperTransport::new(connector(trusted)))
        .build()
        .unwrap()
}

// torture: E41
#[tokio::test]
async fn a_wrong_certificate_means_nothing_sent_and_no_unit() {
    let (expired, wrong_host, unknown) = (
        server("localhost", true).await,
        server("elsewhere.example", false).await,
        server("localhost", false).await,
    );
    let cases: [(&Server, &[&Server]); 3] =
        [(&expired, &[&expired]), (&wrong_host, &[&wrong_host]), (&unknown, &[])];
    for (server, trusted) in cases {
        let auth = authenticator(server, trusted);
        let error = auth.authorization().await.unwrap_err();
        assert!(error.is_not_sent(), "{error:?}");
        assert_eq!(auth.status().await.windows[0].spent, 0);
        assert_eq!(server.handshakes.load(SeqCst), 1, "it was tried");
        assert_eq!(server.received.load(SeqCst), 0);
    }
}

#[tokio::test]
async fn a_right_one_gets_the_request() {
    let server = server("localhost", false).await;
    let auth = authenticator(&server, &[&server]);
    assert_eq!(auth.authorization().await.unwrap().header(), "Bearer abc");
    assert!(server.received.load(SeqCst) > 0);
    assert_eq!(auth.status().await.windows[0].spent, 1);
}
