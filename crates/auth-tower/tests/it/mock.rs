//! Over `tower_test::mock`, which insists on readiness: a clone of it is not ready.

use std::sync::atomic::Ordering::SeqCst;

use auth_tower::AuthLayer;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt};
use tower_test::mock::{self, SendResponse};

use crate::support::*;

type Mock = mock::Mock<Request<Full<Bytes>>, Response<Full<Bytes>>>;
type MockHandle = mock::Handle<Request<Full<Bytes>>, Response<Full<Bytes>>>;

async fn next(handle: &mut MockHandle) -> (Option<String>, SendResponse<Response<Full<Bytes>>>) {
    let (request, send) = handle.next_request().await.expect("a request");
    let header = request.headers().get("authorization");
    if let Some(header) = header {
        assert!(header.is_sensitive());
    }
    (header.map(|header| header.to_str().unwrap().to_owned()), send)
}

#[tokio::test(start_paused = true)]
async fn a_cold_call_waits_and_a_warm_one_does_not() {
    let (auth, count) = scripted();
    let (mock, mut handle): (Mock, MockHandle) = mock::pair();
    let mut service = AuthLayer::new(auth).layer(mock);
    let calls = tokio::spawn(async move {
        for _ in 0..3 {
            let response = service.ready().await.unwrap().call(get(API)).await.unwrap();
            assert_eq!(response.status(), 200);
        }
    });
    for _ in 0..3 {
        let (header, send) = next(&mut handle).await;
        assert_eq!(header.as_deref(), Some("Bearer token-1"));
        send.send_response(status(StatusCode::OK));
    }
    calls.await.unwrap();
    assert_eq!(count.load(SeqCst), 1);
}

// torture: B18
#[tokio::test(start_paused = true)]
async fn a_401_costs_one_renewal_and_one_replay() {
    let (auth, count) = scripted();
    let (mock, mut handle): (Mock, MockHandle) = mock::pair();
    let mut service = AuthLayer::new(auth).layer(mock);
    let calls = tokio::spawn(async move {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let response = service.ready().await.unwrap().call(get(API)).await.unwrap();
            statuses.push(response.status().as_u16());
        }
        statuses
    });
    for (expected, answer) in [
        ("Bearer token-1", StatusCode::UNAUTHORIZED),
        ("Bearer token-2", StatusCode::OK),
        ("Bearer token-2", StatusCode::FORBIDDEN),
        // The token came from a refusal, so it is not replaced again: the API's own 401 goes back.
        ("Bearer token-2", StatusCode::UNAUTHORIZED),
    ] {
        let (header, send) = next(&mut handle).await;
        assert_eq!(header.as_deref(), Some(expected));
        send.send_response(status(answer));
    }
    assert_eq!(calls.await.unwrap(), [200, 403, 401]);
    assert_eq!(count.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn readiness_and_errors_are_the_inner_services() {
    let (auth, count) = scripted();
    let (mock, mut handle): (Mock, MockHandle) = mock::pair();
    handle.allow(0);
    let mut service = tower_test::mock::Spawn::new(AuthLayer::new(auth).layer(mock));
    tokio_test::assert_pending!(service.poll_ready::<Request<Full<Bytes>>>());
    handle.allow(1);
    tokio_test::assert_ready_ok!(service.poll_ready::<Request<Full<Bytes>>>());
    handle.send_error("the channel is broken");
    let error = match service.poll_ready::<Request<Full<Bytes>>>() {
        std::task::Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(error.to_string().contains("broken"), "{error}");
    assert!(auth_tower::error(&*error).is_none());
    assert_eq!(count.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_response_leaves_the_token_request_alone() {
    let (auth, count) = scripted();
    let (mock, mut handle): (Mock, MockHandle) = mock::pair();
    let mut service = AuthLayer::new(auth.clone()).layer(mock);
    handle.allow(1);
    let mut call = tokio_test::task::spawn(service.ready().await.unwrap().call(get(API)));
    tokio_test::assert_pending!(call.poll());
    drop(call);
    auth.authorization().await.unwrap();
    assert_eq!(count.load(SeqCst), 1);
}
