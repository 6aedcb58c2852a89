//! An authenticator over a scripted issuer, and one over a real one on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use auth_core::{
    Authenticator, Builder, ClientAuth, ClientCredentials, MemoryStore, Store, TokioClock,
};
use auth_issuer::Issuer;
use auth_tower::{BoxError, HyperTransport, ServiceTransport};
use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, service_fn};

pub(crate) const API: &str = "https://api.example/v2/shipments";

pub(crate) type Api = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

/// Gives `token-1`, `token-2`, … each after 10 ms of tokio's time; counts them.
pub(crate) fn issuer() -> (Api, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        let number = counted.fetch_add(1, SeqCst) + 1;
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, BoxError>(token(number))
        }
    });
    (ServiceBuilder::new().layer_fn(BoxCloneSyncService::new).service(service), count)
}

pub(crate) fn token(number: usize) -> Response<Full<Bytes>> {
    let body =
        format!(r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":86400}}"#);
    Response::new(Full::from(body))
}

pub(crate) fn over<S>(issuer: S) -> Authenticator
where
    ServiceTransport<S>: auth_core::Transport,
{
    let credentials = ClientCredentials::new("client", "secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example");
    Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(ServiceTransport::new(issuer))
        .clock(TokioClock::new())
        .build()
        .unwrap()
}

pub(crate) fn scripted() -> (Authenticator, Arc<AtomicUsize>) {
    let (issuer, count) = issuer();
    (over(issuer), count)
}

/// An empty answer; a 401 says what is wrong with the token (RFC 6750 §3.1).
pub(crate) fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

pub(crate) fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).body(Full::default()).unwrap()
}

/// Against a real issuer, over the ready-made transport.
pub(crate) fn against(issuer: &Issuer) -> Builder {
    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience())
        .client_auth(ClientAuth::PostJson);
    Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(HyperTransport::plain())
        .insecure_loopback(true)
}
