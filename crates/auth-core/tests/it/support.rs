//! A scripted issuer behind the transport, and what is built on it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::{
    Authenticator, BoxFuture, Builder, ClientCredentials, Clock, MemoryStore, Now, SecretSource,
    Store, Timestamp, TokioClock, Transport, TransportError,
};
use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::{Notify, watch};

pub(crate) use crate::stores::{Moody, Plain};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const SECRET: &str = "canary-secret-4711";

/// One answer of the issuer.
pub(crate) enum Step {
    /// A token that is named after its number, for this many seconds.
    Token(u64),
    /// This response.
    Answer(Response<Bytes>),
    /// A refusal that repeats the request: every header, and the body as it came and decoded.
    Echo,
    /// The answer after next, once the gate is opened.
    Gate(Arc<Notify>),
    /// Nothing, ever.
    Hang,
    Panic,
    NotSent,
    Broken,
}

/// An issuer. Plays its script, then gives 24-hour tokens.
#[derive(Clone, Default)]
pub(crate) struct Issuer(Arc<Inner>);

#[derive(Default)]
struct Inner {
    script: Mutex<VecDeque<Step>>,
    always: Mutex<Option<u16>>,
    requests: watch::Sender<usize>,
    tokens: AtomicUsize,
    token_type: Mutex<Option<&'static str>>,
    sent: Mutex<Vec<Request<Bytes>>>,
    is_forgetful: AtomicBool,
    metadata: Mutex<Option<Response<Bytes>>>,
    metadata_urls: Mutex<Vec<String>>,
}

impl Issuer {
    pub(crate) fn new(script: impl IntoIterator<Item = Step>) -> Self {
        let issuer = Self::default();
        issuer.then(script);
        issuer
    }

    pub(crate) fn then(&self, script: impl IntoIterator<Item = Step>) {
        self.0.script.lock().unwrap().extend(script);
    }

    /// Answers everything beyond the script with this status.
    pub(crate) fn always(&self, status: Option<u16>) {
        *self.0.always.lock().unwrap() = status;
    }

    /// Answers requests for its metadata with this.
    pub(crate) fn publish(&self, metadata: Option<Response<Bytes>>) {
        *self.0.metadata.lock().unwrap() = metadata;
    }

    /// The URLs at which its metadata was asked for.
    pub(crate) fn metadata_urls(&self) -> Vec<String> {
        self.0.metadata_urls.lock().unwrap().clone()
    }

    /// The `token_type` of its tokens.
    pub(crate) fn token_type(&self, token_type: &'static str) {
        *self.0.token_type.lock().unwrap() = Some(token_type);
    }

    /// Keeps no more requests, for tests that count what is allocated.
    pub(crate) fn keep_nothing(&self) {
        self.0.is_forgetful.store(true, SeqCst);
    }

    /// The token requests, as they came.
    pub(crate) fn sent(&self) -> Vec<Request<Bytes>> {
        self.0.sent.lock().unwrap().clone()
    }

    /// The value of a form field of the last token request.
    pub(crate) fn last_field(&self, name: &str) -> Option<String> {
        let sent = self.sent();
        let body = std::str::from_utf8(sent.last()?.body()).ok()?;
        // `form_urlencoded` is no dependency of the tests; no value here has a plus sign or a percent sign of its own.
        let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    }

    /// Token requests that reached this issuer.
    pub(crate) fn requests(&self) -> usize {
        *self.0.requests.borrow()
    }

    /// Tokens that were given.
    pub(crate) fn tokens(&self) -> usize {
        self.0.tokens.load(SeqCst)
    }

    /// Waits until this many token requests have arrived.
    pub(crate) async fn arrivals(&self, count: usize) {
        let mut requests = self.0.requests.subscribe();
        requests.wait_for(|requests| *requests >= count).await.unwrap();
    }

    async fn play(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        loop {
            let step = self.0.script.lock().unwrap().pop_front();
            let always = *self.0.always.lock().unwrap();
            match (step, always) {
                (Some(Step::Gate(gate)), _) => gate.notified().await,
                (Some(Step::Token(seconds)), _) => return Ok(self.token(seconds)),
                (Some(Step::Answer(response)), _) => return Ok(response),
                (Some(Step::Echo), _) => return Ok(crate::echo::echo(request)),
                (Some(Step::Hang), _) => std::future::pending().await,
                (Some(Step::Panic), _) => panic!("a planted panic"),
                (Some(Step::NotSent), _) => {
                    return Err(TransportError::not_sent("connection refused"));
                }
                (Some(Step::Broken), _) => {
                    return Err(TransportError::in_doubt("connection reset"));
                }
                (None, Some(status)) => return Ok(answer(status, "application/json", "")),
                (None, None) => return Ok(self.token(86_400)),
            }
        }
    }

    fn token(&self, seconds: u64) -> Response<Bytes> {
        let number = self.0.tokens.fetch_add(1, SeqCst) + 1;
        let token_type = self.0.token_type.lock().unwrap().unwrap_or("Bearer");
        let body = format!(
            r#"{{"access_token":"token-{number}","token_type":"{token_type}","expires_in":{seconds}}}"#
        );
        answer(200, "application/json", &body)
    }
}

impl Transport for Issuer {
    fn send(
        &self,
        request: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        if request.method() == "GET" {
            self.0.metadata_urls.lock().unwrap().push(request.uri().to_string());
            let metadata = self.0.metadata.lock().unwrap().clone();
            return Box::pin(async move {
                metadata.ok_or_else(|| TransportError::not_sent("connection refused"))
            });
        }
        assert_eq!(request.method(), "POST");
        if !self.0.is_forgetful.load(SeqCst) {
            self.0.sent.lock().unwrap().push(request.clone());
        }
        self.0.requests.send_modify(|requests| *requests += 1);
        Box::pin(async move { self.play(&request).await })
    }
}

pub(crate) fn answer(status: u16, content_type: &str, body: &str) -> Response<Bytes> {
    let response = Response::builder().status(status).header("content-type", content_type);
    response.body(Bytes::from(body.to_owned())).unwrap()
}

pub(crate) fn refusal(status: u16, code: &str) -> Step {
    Step::Answer(answer(status, "application/json", &format!(r#"{{"error":"{code}"}}"#)))
}

pub(crate) fn credentials() -> ClientCredentials {
    credentials_of(SECRET)
}

/// The test's client, with its secret from elsewhere.
pub(crate) fn credentials_of(secret: impl Into<SecretSource>) -> ClientCredentials {
    ClientCredentials::new("client", secret)
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example")
}

/// A clock that the test keeps a handle on.
#[derive(Clone, Debug)]
pub(crate) struct SharedClock(pub(crate) Arc<TokioClock>);

impl Clock for SharedClock {
    fn coarse(&self) -> Timestamp {
        self.0.coarse()
    }

    fn now(&self) -> Now {
        self.0.now()
    }
}

impl SharedClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(TokioClock::new()))
    }

    pub(crate) fn until(&self, time: std::time::SystemTime) -> Duration {
        Timestamp::from(time).saturating_since(self.0.coarse())
    }
}

/// An authenticator with a memory of its own and a clock that follows tokio's time.
pub(crate) fn builder(issuer: &Issuer) -> (Builder, SharedClock) {
    builder_for(issuer, credentials())
}

/// The same for another client.
pub(crate) fn builder_for(
    issuer: &Issuer,
    credentials: ClientCredentials,
) -> (Builder, SharedClock) {
    let clock = SharedClock::new();
    let builder = Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(issuer.clone())
        .clock(clock.clone());
    (builder, clock)
}

pub(crate) fn authenticator(issuer: &Issuer) -> (Authenticator, SharedClock) {
    let (builder, clock) = builder(issuer);
    (builder.build().unwrap(), clock)
}

pub(crate) fn text(authorization: &auth_core::Authorization) -> &str {
    authorization.header().to_str().unwrap()
}

/// Lets every task that can run do so, without moving the clock far.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// A caller in a task of its own.
pub(crate) fn caller(
    auth: &Authenticator,
) -> tokio::task::JoinHandle<Result<auth_core::Authorization, auth_core::Error>> {
    let auth = auth.clone();
    tokio::spawn(async move { auth.authorization().await })
}

/// An answer 429 that asks to come back after this many seconds.
pub(crate) fn too_many(retry_after: &str) -> Step {
    let mut response = answer(429, "text/plain", "");
    response.headers_mut().insert("retry-after", retry_after.parse().unwrap());
    Step::Answer(response)
}

/// A process of its own that shares this store.
pub(crate) fn process_over(store: &Store, issuer: &Issuer, clock: &SharedClock) -> Authenticator {
    Authenticator::builder(credentials())
        .store(store.clone())
        .transport(issuer.clone())
        .clock(clock.clone())
        .build()
        .unwrap()
}

/// A process of its own, as far as the store can tell.
#[cfg(unix)]
pub(crate) fn process(
    directory: &std::path::Path,
    issuer: &Issuer,
    clock: &SharedClock,
) -> Authenticator {
    Authenticator::builder(credentials())
        .store(Store::file(directory).unwrap())
        .transport(issuer.clone())
        .clock(clock.clone())
        .quota(auth_core::Quota::per_day(3))
        .build()
        .unwrap()
}

/// The file that the record of the test's client is in.
#[cfg(unix)]
pub(crate) fn record(directory: &std::path::Path) -> std::path::PathBuf {
    let clients: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(clients.len(), 1, "{clients:?}");
    clients[0].join("record.json")
}
