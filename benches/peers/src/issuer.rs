//! A token endpoint on loopback, whose behaviour can be changed while it runs.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Counts what it is asked, over HTTP or by the transports that peers are given.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    pub token: String,
    requests: AtomicU64,
    status: AtomicU64,
    delay_millis: AtomicU64,
    lifetime_secs: AtomicU64,
}

impl Issuer {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let issuer = Arc::new(Self {
            address: listener.local_addr().expect("it is bound"),
            // Some peers look whether it is shaped like a JWT.
            token: format!("eyJhbGciOiJSUzI1NiJ9.{}", "e".repeat(1003)),
            requests: AtomicU64::new(0),
            status: AtomicU64::new(200),
            delay_millis: AtomicU64::new(0),
            lifetime_secs: AtomicU64::new(86_400),
        });
        tokio::spawn(issuer.clone().serve(listener));
        issuer
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let issuer = self.clone();
            let service = service_fn(move |request: http::Request<Incoming>| {
                let issuer = issuer.clone();
                async move {
                    // A request whose body breaks off was still made.
                    let _ = request.into_body().collect().await;
                    let (status, body) = issuer.answer().await;
                    let response = Response::builder()
                        .status(status)
                        .header("content-type", "application/json")
                        .body(Full::new(body));
                    Ok::<_, Infallible>(response.expect("a good status"))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    }

    /// Counts a request, and answers it.
    pub async fn answer(&self) -> (u16, Bytes) {
        self.requests.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(self.delay_millis.load(Relaxed))).await;
        let status = self.status.load(Relaxed) as u16;
        let body = match status {
            200 => format!(
                r#"{{"access_token":"{}","token_type":"Bearer","expires_in":{}}}"#,
                self.token,
                self.lifetime().as_secs()
            ),
            _ => r#"{"error":"temporarily_unavailable"}"#.to_owned(),
        };
        (status, Bytes::from(body))
    }

    /// For peers that are given a function that fetches: a token, or nothing.
    pub async fn token(&self) -> Option<(String, Duration)> {
        let (status, _) = self.answer().await;
        (status == 200).then(|| (self.token.clone(), self.lifetime()))
    }

    pub fn set(&self, status: u16, delay: Duration) {
        self.status.store(status.into(), Relaxed);
        self.delay_millis.store(delay.as_millis() as u64, Relaxed);
    }

    pub fn set_lifetime(&self, lifetime: Duration) {
        self.lifetime_secs.store(lifetime.as_secs(), Relaxed);
    }

    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime_secs.load(Relaxed))
    }

    /// How many token requests there were since it was last asked.
    pub fn take_requests(&self) -> u64 {
        self.requests.swap(0, Relaxed)
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn url(&self) -> String {
        format!("{}/token", self.origin())
    }
}
