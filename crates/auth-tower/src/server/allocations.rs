//! What a request with a credential that is known costs: what its extensions allocate, and no reading of the clock that is not
//! needed.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use auth_core::{Clock, Now, Timestamp, TokioClock};
use http::header::AUTHORIZATION;
use http::{Extensions, Method, Request, Response, StatusCode};
use serde_json::json;
use tower_layer::Layer;
use tower_service::Service;

use super::access::Access;
use super::algorithm::Algorithm;
use super::jwks::Jwks;
use super::key_ring::KeyRing;
use super::layer::RequireTokenLayer;
use super::need::Need;
use super::testing::{AUDIENCE, ISSUER, Pair, claims_but, set};

/// Of an `Extensions` that has nothing yet: the map, its table, and the box of the value.
const INSERTION: u64 = 3;

/// Counts how often it is asked.
#[derive(Clone, Debug)]
struct Counting {
    clock: Arc<TokioClock>,
    exact: Arc<AtomicUsize>,
    coarse: Arc<AtomicUsize>,
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

/// Does nothing, and drops the request.
#[derive(Clone)]
struct Noop;

impl Service<Request<()>> for Noop {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        drop(std::hint::black_box(request));
        ready(Ok(Response::new(())))
    }
}

struct Server {
    layer: RequireTokenLayer,
    token: String,
    clock: Counting,
}

fn server() -> Server {
    let pair = Pair::p256();
    let token = pair
        .sign(&json!({ "kid": "k", "typ": "at+jwt" }), &claims_but(json!({ "scope": "a b read" })));
    let clock = Counting {
        clock: Arc::new(TokioClock::new()),
        exact: Arc::default(),
        coarse: Arc::default(),
    };
    let access = Access::builder()
        .route(Method::GET, "/v1/shipments", Need::key())
        .route(Method::GET, "/v2/shipments/{id}", Need::scope("read").or_key())
        .public(Method::GET, "/health")
        .build()
        .unwrap();
    let layer = RequireTokenLayer::builder(Jwks::from_json(&set(&[pair.named("k")])))
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .algorithms([Algorithm::Es256])
        .access(access)
        .api_keys(KeyRing::of_keys([("a", "k-1"), ("b", "k-2")]))
        .clock(clock.clone())
        .build()
        .unwrap();
    Server { layer, token, clock }
}

fn request(target: &str, authorization: &str) -> Request<()> {
    let mut request = Request::get(target).body(()).unwrap();
    request.headers_mut().reserve(8);
    for name in ["accept", "user-agent", "x-request-id", "accept-language"] {
        request.headers_mut().insert(name, http::HeaderValue::from_static("value"));
    }
    request.headers_mut().insert(AUTHORIZATION, authorization.parse().unwrap());
    request
}

/// The allocations of a call, which must be served.
fn count(layer: &RequireTokenLayer, request: Request<()>) -> u64 {
    let mut service = layer.layer(Noop);
    let mut cx = Context::from_waker(Waker::noop());
    let mut status = None;
    let counted = allocation_counter::measure(|| {
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut future = pin!(service.call(request));
        if let Poll::Ready(Ok(answer)) = future.as_mut().poll(&mut cx) {
            status = Some(answer.status());
        }
    });
    assert_eq!(status, Some(StatusCode::OK));
    counted.count_total
}

#[tokio::test(start_paused = true)]
async fn a_known_credential_allocates_its_place_in_the_extensions_and_nothing_else() {
    let Server { layer, token, .. } = server();
    let measured = allocation_counter::measure(|| {
        let mut extensions = Extensions::new();
        extensions.insert(Arc::new(1));
    });
    assert_eq!(measured.count_total, INSERTION + 1, "the measure itself");

    let bearer = format!("Bearer {token}");
    // The first has it verified, and arc-swap makes a node for a thread when it is first used there.
    for (target, authorization) in [
        ("/v2/shipments/17", &*bearer),
        ("/v2/shipments/17?page=2&q=%20x", &*bearer),
        ("/v2/shipments/17", "Token token=\"k-2\""),
        ("/v1/shipments", "Token token=\"k-2\""),
        ("/v1/shipments", "Bearer k-1"),
        ("/v2/shipments/17", "Bearer k-1"),
    ] {
        count(&layer, request(target, authorization));
        let allocations = count(&layer, request(target, authorization));
        assert_eq!(allocations, INSERTION, "{target} {}", &authorization[..8]);
        // One that has been through another layer has a map already.
        let mut later = request(target, authorization);
        later.extensions_mut().insert("of another layer");
        assert_eq!(count(&layer, later), 1, "{target} {}", &authorization[..8]);
    }
    assert_eq!(count(&layer, request("/health", &bearer)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_known_credential_asks_the_clock_once_at_most() {
    let Server { layer, token, clock } = server();
    let bearer = format!("Bearer {token}");
    for (target, authorization, readings) in [
        ("/v2/shipments/17", &*bearer, 1),
        ("/v1/shipments", "Token token=\"k-2\"", 0),
        ("/v1/shipments", "Bearer k-1", 0),
        ("/health", &*bearer, 0),
    ] {
        count(&layer, request(target, authorization));
        let asked = || clock.exact.load(SeqCst) + clock.coarse.load(SeqCst);
        let before = asked();
        count(&layer, request(target, authorization));
        assert_eq!(asked() - before, readings, "{target} {}", &authorization[..8]);
    }
}
