//! An authenticator whose issuer is in the same process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use auth_core::{
    Authenticator, BoxFuture, Builder, ClientCredentials, Clock, MemoryStore, Now, Quota, Store,
    SystemClock, Timestamp, Transport, TransportError,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// As long as the tokens of many issuers are.
pub const TOKEN_LENGTH: usize = 1024;

/// How long the issuer's tokens live.
pub const LIFETIME: Duration = Duration::from_secs(86_400);

/// What the credential is good for.
pub const API: &str = "https://api.example/v2/shipments";

/// Settings for the issuer in this process, without a limit.
pub fn builder(issuer: &Arc<Issuer>) -> Builder {
    builder_of("client", issuer)
}

/// The same, for this client.
pub fn builder_of(client: &str, issuer: &Arc<Issuer>) -> Builder {
    let credentials = ClientCredentials::new(client, "secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example");
    Authenticator::builder(credentials)
        .quota(Quota::unlimited())
        .store(Store::new(MemoryStore::new()))
        .transport(issuer.clone())
}

/// An authenticator that has its token.
pub fn with_token() -> Authenticator {
    let authenticator = builder(&Issuer::new()).build().expect("the settings are good");
    runtime().block_on(authenticator.authorization()).expect("a token");
    authenticator
}

/// A runtime on this thread.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A header like the authenticator's.
pub fn header() -> HeaderValue {
    header_of(&format!("Bearer {}", "e".repeat(TOKEN_LENGTH)))
}

/// A header with this value.
#[inline]
pub fn header_of(text: &str) -> HeaderValue {
    let mut header = HeaderValue::from_str(text).expect("visible ASCII");
    header.set_sensitive(true);
    header
}

/// Answers at once, unless it is told to hang.
#[derive(Debug)]
pub struct Issuer {
    requests: AtomicUsize,
    answers: watch::Sender<bool>,
    fails: AtomicBool,
}

impl Issuer {
    /// One that answers.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            requests: AtomicUsize::new(0),
            answers: watch::Sender::new(true),
            fails: AtomicBool::new(false),
        })
    }

    /// Lets all token requests wait, or answers them.
    pub fn hang(&self, hang: bool) {
        self.answers.send_replace(!hang);
    }

    /// Answers 503 from now on, or a token.
    pub fn fail(&self, fail: bool) {
        self.fails.store(fail, Relaxed);
    }

    /// How many token requests arrived.
    pub fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }
}

impl Transport for Issuer {
    fn send(
        &self,
        _: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.requests.fetch_add(1, Relaxed);
        let mut answers = self.answers.subscribe();
        Box::pin(async move {
            // The sender lives as long as `self`.
            let _ = answers.wait_for(|answers| *answers).await;
            if self.fails.load(Relaxed) {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                return Ok(response);
            }
            let token = "e".repeat(TOKEN_LENGTH);
            let lifetime = LIFETIME.as_secs();
            let body = format!(
                r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{lifetime}}}"#
            );
            Ok(Response::new(Bytes::from(body)))
        })
    }
}

/// The system's clocks, and as far ahead of them as it was last told.
#[derive(Clone, Debug, Default)]
pub struct Ahead {
    system: SystemClock,
    millis: Arc<AtomicI64>,
}

impl Ahead {
    /// Moves both clocks on.
    pub fn forward(&self, length: Duration) {
        self.millis.fetch_add(i64::try_from(length.as_millis()).expect("some days"), Relaxed);
    }
}

impl Clock for Ahead {
    fn coarse(&self) -> Timestamp {
        Timestamp::from_millis(self.system.coarse().as_millis() + self.millis.load(Relaxed))
    }

    fn now(&self) -> Now {
        let ahead = self.millis.load(Relaxed);
        let mut now = self.system.now();
        now.wall = Timestamp::from_millis(now.wall.as_millis() + ahead);
        now.boot.millis += ahead.unsigned_abs();
        now
    }

    fn counts_suspended_time(&self) -> bool {
        self.system.counts_suspended_time()
    }
}
