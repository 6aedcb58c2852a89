//! A request that waits for a token holds no permit of the inner service's.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use auth_tower::{AuthLayer, BoxError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::task::JoinSet;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::support::*;

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_limit_of_one_shared_with_the_issuer_does_not_deadlock() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let (issuer, count) = issuer();
    let auth = over(ServiceBuilder::new().layer(limit.clone()).service(issuer));
    // Refuses the first token, so that the replay meets the limit as well.
    let api = service_fn(|request: Request<Full<Bytes>>| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let refused = request.headers()["authorization"] == "Bearer token-1";
        let code = if refused { http::StatusCode::UNAUTHORIZED } else { http::StatusCode::OK };
        Ok::<_, BoxError>(status(code))
    });
    let api = ServiceBuilder::new().layer(AuthLayer::new(auth)).layer(limit).service(api);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        calls.spawn(api.clone().oneshot(get(API)));
    }
    let responses = tokio::time::timeout(LONG, calls.join_all()).await.expect("a deadlock");
    assert_eq!(responses.len(), 200);
    assert!(responses.into_iter().all(|response| response.unwrap().status() == 200));
    assert_eq!(count.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn nor_does_it_behind_a_buffer() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let (issuer, count) = issuer();
    let auth = over(ServiceBuilder::new().layer(limit.clone()).service(issuer));
    let api = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
    });
    let api =
        ServiceBuilder::new().buffer(16).layer(AuthLayer::new(auth)).layer(limit).service(api);
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        calls.spawn(api.clone().oneshot(get(API)));
    }
    let responses = tokio::time::timeout(LONG, calls.join_all()).await.expect("a deadlock");
    assert!(responses.into_iter().all(|response| response.unwrap().status() == 200));
    assert_eq!(count.load(SeqCst), 1);
}

// torture: B20
#[tokio::test(start_paused = true)]
async fn a_retry_layer_around_it_multiplies_no_token_request() {
    #[derive(Clone)]
    struct Thrice(usize);
    impl tower::retry::Policy<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError> for Thrice {
        type Future = std::future::Ready<()>;

        fn retry(
            &mut self,
            _: &mut Request<Full<Bytes>>,
            result: &mut Result<Response<Full<Bytes>>, BoxError>,
        ) -> Option<Self::Future> {
            let failed = result.as_ref().map_or(true, |response| response.status() != 200);
            self.0 = if failed { self.0.checked_sub(1)? } else { return None };
            Some(std::future::ready(()))
        }

        fn clone_request(
            &mut self,
            request: &Request<Full<Bytes>>,
        ) -> Option<Request<Full<Bytes>>> {
            Some(request.clone())
        }
    }

    // An issuer that fails: one token request for all the attempts.
    let requests = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = requests.clone();
    let broken = service_fn(move |_: Request<Full<Bytes>>| {
        counted.fetch_add(1, SeqCst);
        async { Ok::<_, BoxError>(status(http::StatusCode::SERVICE_UNAVAILABLE)) }
    });
    let api = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, BoxError>(status(http::StatusCode::OK))
    });
    let stack =
        ServiceBuilder::new().retry(Thrice(3)).layer(AuthLayer::new(over(broken))).service(api);
    let error = stack.oneshot(get(API)).await.unwrap_err();
    assert!(auth_tower::error(&*error).unwrap().is_transient(), "{error}");
    assert_eq!(requests.load(SeqCst), 1);

    // An API that refuses every token: one renewal for all the attempts.
    let (auth, count) = scripted();
    let api = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, BoxError>(status(http::StatusCode::UNAUTHORIZED))
    });
    let stack = ServiceBuilder::new().retry(Thrice(3)).layer(AuthLayer::new(auth)).service(api);
    for _ in 0..100 {
        assert_eq!(stack.clone().oneshot(get(API)).await.unwrap().status(), 401);
    }
    assert_eq!(count.load(SeqCst), 2);
}

/// A request that has its token and waits for the inner service is overtaken by a renewal.
#[tokio::test(start_paused = true)]
async fn a_request_that_queued_for_long_is_sent_with_the_newest_token() {
    let (auth, _) = scripted();
    let (mock, mut handle) =
        tower_test::mock::pair::<Request<Full<Bytes>>, Response<Full<Bytes>>>();
    handle.allow(1);
    let mut service = ServiceBuilder::new().layer(AuthLayer::new(auth.clone())).service(mock);
    let mut call =
        tokio_test::task::spawn(tower::Service::call(service.ready().await.unwrap(), get(API)));
    tokio_test::assert_pending!(call.poll());
    // Drops the readiness of the first clone, so that the second has to wait for its own.
    handle.allow(0);
    let first = auth.authorization().await.unwrap().generation();
    tokio_test::assert_pending!(call.poll());
    auth.replacement(first).await.unwrap();
    handle.allow(1);
    tokio_test::assert_pending!(call.poll());
    let (request, send) = handle.next_request().await.unwrap();
    assert_eq!(request.headers()["authorization"], "Bearer token-2");
    send.send_response(status(http::StatusCode::OK));
    assert_eq!(call.await.unwrap().status(), 200);
}
