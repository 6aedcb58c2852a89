//! What both models need: clocks that stand still until they are moved, and an issuer that counts.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::auth_core::{
    Authenticator, Authorization, BoxFuture, ClientCredentials, Clock, MemoryStore, Now, Quota,
    Store, SystemClock, Timestamp, Transport, TransportError, drop_this_task,
};
use bytes::Bytes;
use http::{Request, Response};

use super::pause;

pub const LIFETIME: Duration = Duration::from_secs(86_400);

/// What the models share among their tasks is counted with plain atomics: a checker is not to branch on them.
#[derive(Clone, Debug, Default)]
pub struct Still(Arc<AtomicI64>);

impl Still {
    pub fn forward(&self, length: Duration) {
        self.0.fetch_add(i64::try_from(length.as_millis()).unwrap(), SeqCst);
    }
}

impl Clock for Still {
    fn coarse(&self) -> Timestamp {
        self.now().wall
    }

    fn now(&self) -> Now {
        static START: LazyLock<Now> = LazyLock::new(|| SystemClock::default().now());
        let mut now = *START;
        now.wall = Timestamp::from_millis(now.wall.as_millis() + self.0.load(SeqCst));
        now.boot.millis += self.0.load(SeqCst).unsigned_abs();
        now
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Token,
    Unavailable,
    Panic,
    /// None, and the task is gone that waits for it.
    Gone,
}

/// Gives the token `token-N` to its Nth request, after others had their turn.
#[derive(Debug)]
pub struct Issuer {
    requests: AtomicUsize,
    answers: Vec<Answer>,
}

impl Issuer {
    /// The first requests are answered like this, and all that follow with a token.
    pub fn new(answers: impl Into<Vec<Answer>>) -> Arc<Self> {
        Arc::new(Self { requests: AtomicUsize::new(0), answers: answers.into() })
    }

    pub fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

impl Transport for Issuer {
    fn send(
        &self,
        _: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let number = self.requests.fetch_add(1, SeqCst);
        Box::pin(async move {
            pause().await;
            match self.answers.get(number).unwrap_or(&Answer::Token) {
                Answer::Token => {
                    let lifetime = LIFETIME.as_secs();
                    let body = format!(
                        r#"{{"access_token":"token-{}","token_type":"Bearer","expires_in":{lifetime}}}"#,
                        number + 1
                    );
                    Ok(Response::new(body.into()))
                }
                Answer::Unavailable => {
                    let mut response = Response::new(Bytes::new());
                    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                    Ok(response)
                }
                Answer::Panic => panic!("{PLANTED}"),
                Answer::Gone => {
                    drop_this_task();
                    std::future::pending().await
                }
            }
        })
    }
}

pub const PLANTED: &str = "the transport of a model";

/// What one process has.
pub fn process(issuer: &Arc<Issuer>, store: &Store, clock: &Still, quota: Quota) -> Authenticator {
    let credentials = ClientCredentials::new("client", "secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example");
    Authenticator::builder(credentials)
        .quota(quota)
        .store(store.clone())
        .transport(issuer.clone())
        .clock(clock.clone())
        .build()
        .unwrap()
}

pub fn alone(issuer: &Arc<Issuer>, clock: &Still) -> Authenticator {
    process(issuer, &Store::new(MemoryStore::new()), clock, Quota::per_day(10))
}

pub fn text(authorization: &Authorization) -> &str {
    authorization.header().to_str().unwrap().strip_prefix("Bearer ").unwrap()
}

/// The token is whole, and its generation is that of its text, if it is the issuer's only client.
pub fn whole(authorization: &Authorization) -> u64 {
    let generation = authorization.generation().get();
    assert_eq!(text(authorization), format!("token-{generation}"), "a torn token");
    generation
}

/// Polls once.
pub fn once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A caller that does not wait. Whether it has to is the question.
pub fn at_once(auth: &Authenticator) -> Authorization {
    match once(pin!(auth.authorization())) {
        Poll::Ready(served) => served.expect("there is a token"),
        Poll::Pending => panic!("a caller waits, and there is a valid token"),
    }
}
