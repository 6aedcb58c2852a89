//! What the tests of the server side are made of: a clock, a transport that counts, a handler that looks, a key of our own.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use auth_core::{
    BootTime, BoxFuture, Clock, Now, SystemClock, Timestamp, Transport, TransportError,
};
use auth_tower::HyperTransport;
use auth_tower::server::{Claims, KeyId};
use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tower::{Service, ServiceExt};

/// One clock for the issuer, the server and the client. It stands still until it is moved.
#[derive(Clone, Debug)]
pub(super) struct TestClock {
    start: Now,
    passed: Arc<AtomicU64>,
}

impl TestClock {
    pub(super) fn new() -> Self {
        Self { start: SystemClock::default().now(), passed: Arc::default() }
    }

    pub(super) fn pass(&self, time: Duration) {
        self.passed.fetch_add(time.as_millis().try_into().unwrap(), SeqCst);
    }

    /// For the issuer.
    pub(super) fn system(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let clock = self.clone();
        move || clock.now().wall.into()
    }

    pub(super) fn unix_seconds(&self) -> i64 {
        self.now().wall.as_millis() / 1000
    }
}

impl Clock for TestClock {
    fn coarse(&self) -> Timestamp {
        self.now().wall
    }

    fn now(&self) -> Now {
        let passed = self.passed.load(SeqCst);
        let Now { wall, boot } = self.start;
        let boot = BootTime { millis: boot.millis + passed, ..boot };
        Now { wall: wall + Duration::from_millis(passed), boot }
    }
}

/// The way to the issuer's keys, which counts how often it is gone.
#[derive(Clone)]
pub(super) struct Fetches {
    inner: Arc<HyperTransport<HttpConnector>>,
    count: Arc<AtomicUsize>,
}

impl Fetches {
    pub(super) fn new() -> Self {
        Self { inner: Arc::new(HyperTransport::plain()), count: Arc::default() }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(SeqCst)
    }
}

impl Transport for Fetches {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.count.fetch_add(1, SeqCst);
        self.inner.send(request, deadline)
    }
}

/// What a handler gets to see.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) claims: Option<Claims>,
    pub(super) key: Option<KeyId>,
    pub(super) headers: HeaderMap,
}

/// The service behind the layer: it counts, and keeps what it saw last.
#[derive(Clone, Debug, Default)]
pub(super) struct Handler {
    calls: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<Seen>>>,
}

impl Handler {
    pub(super) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    pub(super) fn last(&self) -> Seen {
        self.last.lock().unwrap().clone().unwrap()
    }
}

impl<B> Service<Request<B>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.calls.fetch_add(1, SeqCst);
        let (claims, key) = (request.extensions().get(), request.extensions().get());
        let seen =
            Seen { claims: claims.cloned(), key: key.cloned(), headers: request.headers().clone() };
        *self.last.lock().unwrap() = Some(seen);
        ready(Ok(Response::new(Full::from("served"))))
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) async fn of<R>(response: Response<R>) -> Self
    where
        R: Body<Data = Bytes>,
        R::Error: std::fmt::Debug,
    {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The field's text; empty if there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn challenge(&self) -> &str {
        self.field(WWW_AUTHENTICATE.as_str())
    }
}

/// Sends one request to a copy of the service.
pub(super) async fn ask<S, B, R>(service: &S, request: Request<B>) -> Answer
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: std::fmt::Debug,
    R: Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    Answer::of(service.clone().oneshot(request).await.unwrap()).await
}

/// A request with these `Authorization` fields.
pub(super) fn request(method: &str, path: &str, shown: &[&str]) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    *request.uri_mut() = path.parse().unwrap();
    for field in shown {
        request.headers_mut().append(AUTHORIZATION, field.parse().unwrap());
    }
    request
}

/// A request with this token.
pub(super) fn get(path: &str, token: &str) -> Request<Full<Bytes>> {
    request("GET", path, &[&format!("Bearer {token}")])
}

/// A key that signs whatever a test wants, as an issuer might.
pub(super) struct OwnKey {
    key: EncodingKey,
    jwk: Value,
}

impl OwnKey {
    pub(super) const ISSUER: &str = "https://issuer.example/";
    pub(super) const AUDIENCE: &str = "https://api.example";

    pub(super) fn new() -> Self {
        // Whoever was first chose the same.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = "own".into();
        Self { key, jwk }
    }

    /// Its key set.
    pub(super) fn set(&self) -> String {
        json!({ "keys": [self.jwk] }).to_string()
    }

    /// A token with these claims besides those that make it good for an hour.
    pub(super) fn token(&self, claims: &Value) -> String {
        let mut all = json!({
            "iss": Self::ISSUER,
            "aud": Self::AUDIENCE,
            "exp": SystemClock::default().now().wall.as_millis() / 1000 + 3600,
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let header = Header { kid: Some("own".to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &all, &self.key).unwrap()
    }
}
