//! What a request costs while its token is fresh, in things that can be counted.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use auth_core::{Authenticator, Clock, MemoryStore, Now, Quota, Store, Target, Timestamp};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Uri};
use tokio::runtime::Runtime;

use crate::support::*;

fn paused() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Ready at once, as it is while the token is fresh.
fn at_once(auth: &Authenticator) -> auth_core::Authorization {
    match pin!(auth.authorization()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(served) => served.unwrap(),
        Poll::Pending => panic!("a caller waits"),
    }
}

#[derive(Clone, Debug)]
struct Counting {
    clock: SharedClock,
    coarse: Arc<AtomicUsize>,
    exact: Arc<AtomicUsize>,
}

impl Clock for Counting {
    fn coarse(&self) -> Timestamp {
        self.coarse.fetch_add(1, SeqCst);
        self.clock.coarse()
    }

    fn now(&self) -> Now {
        self.exact.fetch_add(1, SeqCst);
        self.clock.now()
    }
}

/// The exact clock costs ten times as much.
#[tokio::test(start_paused = true)]
async fn a_fresh_token_asks_the_coarse_clock_once_and_the_exact_one_never() {
    let issuer = Issuer::new([]);
    let (builder, clock) = builder(&issuer);
    let clock = Counting { clock, coarse: Arc::default(), exact: Arc::default() };
    let auth = builder.clock(clock.clone()).build().unwrap();
    auth.authorization().await.unwrap();
    let asked = || (clock.coarse.load(SeqCst), clock.exact.load(SeqCst));
    let (coarse, exact) = asked();
    auth.try_authorization().unwrap();
    assert_eq!(asked(), (coarse + 1, exact));
    at_once(&auth);
    assert_eq!(asked(), (coarse + 2, exact));
    auth.try_insert(&mut HeaderMap::new()).unwrap();
    assert_eq!(asked(), (coarse + 3, exact));
}

/// Nor does anybody notice that it is being renewed.
#[tokio::test(start_paused = true)]
async fn while_a_renewal_is_under_way_the_exact_clock_is_not_asked_either() {
    let issuer = Issuer::new([Step::Token(86_400), Step::Hang]);
    let (builder, clock) = builder(&issuer);
    let clock = Counting { clock, coarse: Arc::default(), exact: Arc::default() };
    let auth = builder.clock(clock.clone()).build().unwrap();
    auth.authorization().await.unwrap();
    tokio::time::advance(DAY * 91 / 100).await;
    at_once(&auth);
    issuer.arrivals(2).await;
    let asked = || (clock.coarse.load(SeqCst), clock.exact.load(SeqCst));
    let (coarse, exact) = asked();
    auth.try_authorization().unwrap();
    auth.try_insert(&mut HeaderMap::new()).unwrap();
    assert_eq!(asked(), (coarse + 2, exact));
    // Its end is noticed all the same.
    clock.clock.0.jump_wall(10 * 3_600_000);
    assert!(auth.try_authorization().is_none());
}

/// The real thing, on real threads: what the models have a lock for.
// torture: A8
#[test]
fn readers_on_threads_see_whole_tokens_in_their_order() {
    const RENEWALS: u64 = 50;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let issuer = Issuer::new([]);
    let auth = Authenticator::builder(credentials())
        .store(Store::new(MemoryStore::new()))
        .transport(issuer.clone())
        .quota(Quota::unlimited())
        .build()
        .unwrap();
    runtime.block_on(auth.authorization()).unwrap();
    let over = AtomicBool::new(false);
    let read = || {
        let (mut last, mut reads) = (0, 0_u64);
        while !over.load(SeqCst) {
            let token = auth.try_authorization().expect("there is one all the time");
            let generation = token.generation().get();
            assert_eq!(text(&token), format!("Bearer token-{generation}"), "a torn token");
            assert!(last <= generation, "{last} then {generation}");
            (last, reads) = (generation, reads + 1);
        }
        reads
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        for generation in 2..=RENEWALS {
            let renewed = runtime.block_on(auth.renew()).unwrap();
            assert_eq!(renewed.generation().get(), generation);
        }
        over.store(true, SeqCst);
        assert!(readers.map(|reader| reader.join().unwrap()).iter().all(|reads| *reads > 0));
    });
}

#[test]
fn a_fresh_token_allocates_nothing() {
    let (runtime, issuer) = (paused(), Issuer::new([]));
    let auth = runtime.block_on(async {
        let (auth, _) = authenticator(&issuer);
        auth.authorization().await.unwrap();
        auth
    });
    let uri = Uri::from_static("https://api.example/v2/shipments");
    let mut headers = HeaderMap::with_capacity(8);
    // arc-swap makes a node for a thread when it is first used there.
    auth.try_authorization().unwrap();
    let _entered = runtime.enter();
    let count = |call: &mut dyn FnMut()| measure(call).count_total;
    assert_eq!(count(&mut || drop(vec![0_u8; 8])), 1, "the measure itself");
    assert_eq!(count(&mut || assert_eq!(auth.target(&uri), Target::Bound)), 0);
    assert_eq!(count(&mut || drop(auth.try_authorization().unwrap())), 0);
    assert_eq!(count(&mut || drop(at_once(&auth))), 0);
    assert_eq!(count(&mut || assert!(auth.try_insert(&mut headers).is_some())), 0);
    assert_eq!(headers[AUTHORIZATION], "Bearer token-1");
}

/// Without a token nothing is inserted, and what is there stays.
#[tokio::test(start_paused = true)]
async fn there_is_nothing_to_insert_without_a_token() {
    let (auth, _) = authenticator(&Issuer::new([]));
    let mut headers = HeaderMap::new();
    assert_eq!(auth.try_insert(&mut headers), None);
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic abc"));
    assert_eq!(auth.try_insert(&mut headers), None);
    assert_eq!(headers[AUTHORIZATION], "Basic abc");
}

/// Of 100,000 tenants in one process, each takes at most 2 KiB without a token, and the token and 1 KiB more with one.
#[test]
fn an_authenticator_is_small() {
    const TOKEN: usize = 1000;
    let (runtime, store) = (paused(), Moody::default());
    let _entered = runtime.enter();
    let token = || {
        let token = "e".repeat(TOKEN);
        let body =
            format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":86400}}"#);
        Step::Answer(answer(200, "application/json", &body))
    };
    let issuer = Issuer::new([token()]);
    issuer.keep_nothing();
    let build = |client: &str| {
        let credentials = auth_core::ClientCredentials::new(client, SECRET)
            .token_endpoint("https://issuer.example/oauth/token")
            .audience("https://api.example");
        Authenticator::builder(credentials)
            .quota(Quota::per_day(10))
            .header_copies(1.try_into().unwrap())
            .store(Store::new(store.clone()))
            .transport(issuer.clone())
            .build()
            .unwrap()
    };
    // What is made once in a process.
    runtime.block_on(build("another").authorization()).unwrap();

    let mut auth = None;
    let without = measure(|| auth = Some(build("client"))).bytes_current;
    let auth = auth.unwrap();
    assert!((1..=2048).contains(&without), "{without} bytes without a token");
    store.record_bytes.store(0, SeqCst);
    let with = measure(|| {
        issuer.then([token()]);
        runtime.block_on(auth.authorization()).unwrap();
    });
    let with = with.bytes_current - i64::try_from(store.record_bytes.load(SeqCst)).unwrap();
    assert!((1..=1024).contains(&(with - TOKEN as i64)), "{with} bytes more with one of {TOKEN}");
}
