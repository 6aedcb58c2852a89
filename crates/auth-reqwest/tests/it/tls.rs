//! TLS: whoever cannot prove who he is gets nothing, and that costs nothing.

use std::net::SocketAddr;
use std::time::Duration;

use auth_issuer::Issuer;
use auth_reqwest::ReqwestTransport;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use reqwest::{Certificate, ClientBuilder};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::harness::{builder_at, lost, spent};

/// Each backend of this build, by the setting that chooses it.
fn backends() -> Vec<fn(ClientBuilder) -> ClientBuilder> {
    vec![
        #[cfg(feature = "rustls")]
        ClientBuilder::tls_backend_rustls,
        #[cfg(feature = "native-tls")]
        ClientBuilder::tls_backend_native,
    ]
}

/// What a server's certificate is like.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Identity {
    Good,
    Expired,
    WrongHost,
    SelfSigned,
}

/// A TLS server with a certificate, and the authority that the client trusts.
struct Server {
    address: SocketAddr,
    authority: Certificate,
    /// Of each connection: whether the handshake was completed, and how many bytes came after it.
    connections: mpsc::UnboundedReceiver<(bool, usize)>,
}

impl Server {
    /// Passes connections on to `upstream`, or reads them to their end.
    async fn start(identity: Identity, upstream: Option<SocketAddr>) -> Self {
        let (config, authority) = config(identity);
        let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (report, connections) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, report) = (acceptor.clone(), report.clone());
                tokio::spawn(async move {
                    let outcome = serve(&acceptor, stream, upstream).await;
                    let _ = report.send(outcome);
                });
            }
        });
        Self { address, authority, connections }
    }

    fn endpoint(&self) -> String {
        format!("https://{}/oauth/token", self.address)
    }

    fn transport(&self, backend: fn(ClientBuilder) -> ClientBuilder) -> ReqwestTransport {
        let authority = self.authority.clone();
        ReqwestTransport::builder()
            .configure(|client| backend(client).tls_certs_merge([authority]))
            .build()
            .unwrap()
    }
}

async fn serve(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    upstream: Option<SocketAddr>,
) -> (bool, usize) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return (false, 0) };
    if let Some(upstream) = upstream {
        let mut upstream = TcpStream::connect(upstream).await.unwrap();
        let sent = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
        return (true, sent.map_or(0, |(sent, _)| sent.try_into().unwrap()));
    }
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    (true, received.len())
}

fn config(identity: Identity) -> (ServerConfig, Certificate) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Of the same name as its subjects it would be taken for a self-signed certificate.
    params.distinguished_name.push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();

    let host = if identity == Identity::WrongHost { "127.0.0.2" } else { "127.0.0.1" };
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    if identity == Identity::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match identity {
        Identity::SelfSigned => params.self_signed(&key).unwrap(),
        _ => params.signed_by(&key, &authority).unwrap(),
    };
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (config, Certificate::from_der(authority.der()).unwrap())
}

// torture: E41
#[tokio::test]
async fn a_server_that_cannot_prove_itself_gets_nothing_and_costs_nothing() {
    for backend in backends() {
        for identity in [Identity::Expired, Identity::WrongHost, Identity::SelfSigned] {
            let mut server = Server::start(identity, None).await;
            let authenticator =
                lost(&server.endpoint()).transport(server.transport(backend)).build().unwrap();
            let failed = authenticator.authorization().await.unwrap_err();
            assert!(failed.is_not_sent(), "{identity:?}: {failed:?}");
            assert_eq!(spent(&authenticator).await, 0, "{identity:?}");
            let (_, received) = server.connections.recv().await.unwrap();
            assert_eq!(received, 0, "{identity:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_was_added_is_accepted() {
    for backend in backends() {
        let issuer = Issuer::start().await.unwrap();
        let mut server = Server::start(Identity::Good, Some(issuer.address())).await;
        let authenticator = builder_at(&issuer, &server.endpoint())
            .transport(server.transport(backend))
            .build()
            .unwrap();
        authenticator.authorization().await.unwrap();
        assert_eq!(issuer.token_requests(), 1);
        assert_eq!(spent(&authenticator).await, 1);
        let (completed, received) = server.connections.recv().await.unwrap();
        assert!(completed && received > 0);
    }
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_costs_nothing() {
    for backend in backends() {
        // It accepts, and never says a word.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://{}/t", listener.local_addr().unwrap());
        let transport = ReqwestTransport::builder()
            .configure(|client| backend(client).connect_timeout(Duration::from_millis(200)))
            .build()
            .unwrap();
        let authenticator = lost(&endpoint).transport(transport).build().unwrap();
        let failed = authenticator.authorization().await.unwrap_err();
        assert!(failed.is_not_sent(), "{failed:?}");
        assert_eq!(spent(&authenticator).await, 0);
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_costs_nothing() {
    for backend in backends() {
        let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://{}/t", peer.local_addr().unwrap());
        tokio::spawn(async move { while peer.accept().await.is_ok() {} });
        let transport = ReqwestTransport::builder().configure(backend).build().unwrap();
        let authenticator = lost(&endpoint).transport(transport).build().unwrap();
        let failed = authenticator.authorization().await.unwrap_err();
        assert!(failed.is_not_sent(), "{failed:?}");
        assert_eq!(spent(&authenticator).await, 0);
    }
}
