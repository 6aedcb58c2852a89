//! What the layer allocates while the token is fresh: nothing, or one copy of the head where a replay is possible.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use auth_tower::{AuthLayer, Auto, Never, Replay};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service};

use crate::support::*;

#[derive(Clone)]
struct Noop;

impl<B> Service<Request<B>> for Noop {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        drop(std::hint::black_box(request));
        ready(Ok(Response::new(())))
    }
}

/// A request whose header map has room, as one that comes from a framework does.
fn request(headers: usize) -> Request<Full<Bytes>> {
    let mut request = get(API);
    request.headers_mut().reserve(8);
    for name in
        ["accept", "user-agent", "x-request-id", "accept-language"].into_iter().take(headers)
    {
        request.headers_mut().insert(name, http::HeaderValue::from_static("value"));
    }
    request
}

fn count(service: &mut impl Service<Request<Full<Bytes>>>, headers: usize) -> u64 {
    let request = request(headers);
    let mut cx = Context::from_waker(Waker::noop());
    allocation_counter::measure(|| {
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut future = pin!(service.call(request));
        assert!(future.as_mut().poll(&mut cx).is_ready());
    })
    .count_total
}

#[test]
fn without_a_replay_the_layer_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (auth, _) = scripted();
    runtime.block_on(auth.authorization()).unwrap();
    fn layered<R: Replay<Full<Bytes>> + Clone>(
        auth: &auth_core::Authenticator,
        replay: R,
    ) -> impl Service<Request<Full<Bytes>>> {
        AuthLayer::new(auth.clone()).replay(replay).layer(Noop)
    }
    let (mut never, mut auto) = (layered(&auth, Never), layered(&auth, Auto));
    // arc-swap makes a node for a thread when it is first used there.
    count(&mut never, 0);
    for headers in 0..=4 {
        assert_eq!(count(&mut Noop, headers), 0, "the measure itself");
        assert_eq!(count(&mut never, headers), 0, "{headers} headers");
        let copy = count(&mut auto, headers);
        let head = allocation_counter::measure(|| {
            let request = request(headers);
            drop(std::hint::black_box(request.clone()));
        });
        let made = allocation_counter::measure(|| drop(std::hint::black_box(request(headers))));
        assert!(copy > 0, "a replay needs a copy");
        assert_eq!(
            copy,
            head.count_total - made.count_total + 1,
            "the head's clone and one box, {headers} headers"
        );
    }
}
