//! An API on loopback whose answers the test makes up, over hyper's server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use auth_issuer::{Fault, Issuer};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// An issuer of `token-1`, `token-2` and `token-3`.
pub(crate) async fn numbered() -> Issuer {
    let issuer = Issuer::start().await.unwrap();
    for number in 1..=3 {
        let body = format!(
            r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":3600}}"#
        );
        issuer.fail_next(1, Fault::body(200, "application/json", body));
    }
    issuer
}

/// It stops with the runtime of its test.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Api {
    /// Answers each request with what `answer` makes of its headers.
    pub(crate) async fn start(
        answer: impl Fn(&HeaderMap) -> Response<Full<Bytes>> + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = api.heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heads, answer) = (heads.clone(), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(request.headers());
                    heads.lock().unwrap().push(request.headers().clone());
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        api
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The field `name` of the requests that came, in their order; "" where it was missing.
    pub(crate) fn sent(&self, name: &str) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let text = |head: &HeaderMap| Some(head.get(name)?.to_str().unwrap().to_owned());
        heads.iter().map(|head| text(head).unwrap_or_default()).collect()
    }
}
