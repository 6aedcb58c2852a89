//! What it costs to put the token on a request while it is fresh, on one thread.
//!
//! Every case inserts the header into a reused `HeaderMap`, since a bare clone of a header measures differently from one
//! code layout to the next. The floor inserts a clone of a header that only this thread has. Rounds of all cases are
//! interleaved, and each figure is the median of its rounds; read the ratios, not the nanoseconds.
//!
//! `cargo bench -p benches --bench hit`

use std::hint::black_box;
use std::pin::pin;
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use auth_core::{
    Authenticator, BoxFuture, ClientCredentials, MemoryStore, Store, Transport, TransportError,
};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response};

const ROUNDS: usize = 41;
const CALLS: u32 = 100_000;
const TOKEN_LENGTH: usize = 1024;

type Case<'a> = (&'static str, Box<dyn FnMut(&mut HeaderMap) + 'a>);

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let authenticator = authenticator();
    runtime.block_on(authenticator.authorization()).expect("a token");

    let text = format!("Bearer {}", "e".repeat(TOKEN_LENGTH));
    let private = header(&text);
    let std_lock = RwLock::new(header(&text));
    let tokio_lock = tokio::sync::RwLock::new(header(&text));
    let cases: Vec<Case<'_>> = vec![
        ("floor", Box::new(|map| insert(map, private.clone()))),
        ("std_rwlock", Box::new(|map| insert(map, std_lock.read().expect("not poisoned").clone()))),
        ("tokio_rwlock", Box::new(|map| insert(map, now(tokio_lock.read()).clone()))),
        (
            "rwlock_format",
            Box::new(|map| {
                let token = now(tokio_lock.read());
                insert(map, header(token.to_str().expect("visible ASCII")));
            }),
        ),
        (
            "try_authorization",
            Box::new(|map| {
                let authorization = authenticator.try_authorization().expect("fresh");
                insert(map, authorization.into_header());
            }),
        ),
        (
            "authorization_await",
            Box::new(|map| {
                let authorization = now(authenticator.authorization()).expect("fresh");
                insert(map, authorization.into_header());
            }),
        ),
    ];
    print(&measure(cases));
}

fn measure(mut cases: Vec<Case<'_>>) -> Vec<(&'static str, f64)> {
    let mut rounds = vec![Vec::with_capacity(ROUNDS); cases.len()];
    let mut map = HeaderMap::with_capacity(8);
    for _ in 0..=ROUNDS {
        for (case, (_, call)) in cases.iter_mut().enumerate() {
            rounds[case].push(nanoseconds_per_call(|| call(&mut map)));
        }
    }
    let names = cases.iter().map(|(name, _)| *name);
    // The first round warms up.
    names.zip(rounds.into_iter().map(|mut rounds| median(&mut rounds[1..]))).collect()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn nanoseconds_per_call(mut call: impl FnMut()) -> f64 {
    let started = std::time::Instant::now();
    for _ in 0..CALLS {
        call();
    }
    started.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn median(rounds: &mut [f64]) -> f64 {
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn print(figures: &[(&'static str, f64)]) {
    let floor = figures[0].1;
    println!("{:<22}{:>10}{:>10}", "case", "ns", "ratio");
    for (name, nanoseconds) in figures {
        println!("{name:<22}{nanoseconds:>10.1}{:>10.2}", nanoseconds / floor);
    }
    for (name, nanoseconds) in &figures[1..] {
        println!("ratio {name}_vs_floor {:.2}", nanoseconds / floor);
    }
}

#[inline]
fn insert(map: &mut HeaderMap, header: HeaderValue) {
    map.insert(AUTHORIZATION, header);
    black_box(map);
}

fn header(text: &str) -> HeaderValue {
    let mut header = HeaderValue::from_str(text).expect("visible ASCII");
    header.set_sensitive(true);
    header
}

/// The output of a future that is ready at once.
#[inline]
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

fn authenticator() -> Authenticator {
    let credentials = ClientCredentials::new("client", "secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example");
    let builder = Authenticator::builder(credentials).store(Store::new(MemoryStore::new()));
    builder.transport(Arc::new(Issuer)).build().expect("the settings are good")
}

struct Issuer;

impl Transport for Issuer {
    fn send(
        &self,
        _: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let token = "e".repeat(TOKEN_LENGTH);
        let body =
            format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":86400}}"#);
        Box::pin(async move { Ok(Response::new(Bytes::from(body))) })
    }
}
