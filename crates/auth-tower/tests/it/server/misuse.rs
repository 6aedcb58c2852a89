//! Futures that are dropped, and services that insist on `poll_ready`.

use std::time::Duration;

use auth_issuer::{Fault, Gate, Place, When};
use auth_tower::server::RequireToken;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};
use tower_test::mock::{self, Spawn};

use super::support::{OwnKey, ask, get, request};
use super::world::{SHIPMENTS, World, fixed};

type Mock = mock::Mock<Request<Full<Bytes>>, Response<Full<Bytes>>>;
type MockHandle = mock::Handle<Request<Full<Bytes>>, Response<Full<Bytes>>>;

fn mocked(world: &World) -> (RequireToken<Mock>, MockHandle) {
    let (mock, handle) = mock::pair();
    (world.layer().build().unwrap().layer(mock), handle)
}

async fn serve(handle: &mut MockHandle) {
    let (request, send) = handle.next_request().await.expect("a request");
    assert!(request.extensions().get::<auth_tower::server::Claims>().is_some());
    send.send_response(Response::new(Full::from("served")));
}

/// A refusal where a call was to come must fail the test, and not keep it waiting.
async fn in_time<F: Future>(both: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("the handler was not called")
}

/// The classic clone bug: the mock panics when one of it is called that was not ready, as a clone never is.
#[tokio::test]
async fn no_service_is_called_that_was_not_ready_whether_the_request_waits_or_not() {
    let world = World::start().await;
    let token = world.shipments_token().await;
    let (mut service, mut handle) = mocked(&world);
    handle.allow(1);
    // It has to wait for the keys.
    let call = service.ready().await.unwrap().call(get(SHIPMENTS, &token));
    let (response, ()) = in_time(async { tokio::join!(call, serve(&mut handle)) }).await;
    assert_eq!(response.unwrap().status(), 200);

    // What stayed behind is a clone, which says that it is not ready.
    let mut service = Spawn::new(service);
    assert_pending!(service.poll_ready());
    handle.allow(2);
    for _ in 0..2 {
        assert_ready_ok!(service.poll_ready());
        // And now nobody waits for keys.
        let call = service.call(get(SHIPMENTS, &token));
        let (response, ()) = in_time(async { tokio::join!(call, serve(&mut handle)) }).await;
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_pending!(service.poll_ready());
    assert_eq!(world.fetches.count(), 1);
}

/// A limit inside, and a request that waits for the issuer's keys while its sender keeps the service.
#[tokio::test]
async fn a_request_that_waits_for_keys_holds_up_no_other_one() {
    let world = World::start().await;
    let token = world.shipments_token().await;
    let gate = Gate::new();
    world.issuer.fault(Place::Keys, When::next(1), Fault::until(&gate));
    let (mock, mut handle): (Mock, MockHandle) = mock::pair();
    let layer = world.layer().build().unwrap();
    let mut service = layer.layer(ConcurrencyLimit::new(mock, 1));
    let mut other = service.clone();
    handle.allow(1);
    let ready = service.ready().await.unwrap();
    let mut waiting = tokio_test::task::spawn(ready.call(get(SHIPMENTS, &token)));
    assert_pending!(waiting.poll());

    // The one place is there for another one.
    let other = assert_ready_ok!(tokio_test::task::spawn(other.ready()).poll());
    let mut public = tokio_test::task::spawn(other.call(request("GET", "/health", &[])));
    assert_pending!(public.poll());
    let (_, send) = handle.next_request().await.expect("a request");
    handle.allow(1);

    // The keys come, and now it waits for the place.
    gate.open();
    let unlimited = layer.layer(world.handler.clone());
    assert_eq!(ask(&unlimited, get(SHIPMENTS, &token)).await.status, 200);
    for _ in 0..3 {
        assert_pending!(waiting.poll());
    }
    let mut none = tokio_test::task::spawn(handle.next_request());
    assert_pending!(none.poll());
    drop(none);
    send.send_response(Response::new(Full::from("fine")));
    assert_eq!(public.await.unwrap().status(), 200);
    let (response, ()) = in_time(async { tokio::join!(waiting, serve(&mut handle)) }).await;
    assert_eq!((response.unwrap().status().as_u16(), world.fetches.count()), (200, 1));
}

/// A refusal that comes after a wait takes no place either.
#[tokio::test]
async fn a_request_that_is_refused_after_it_has_waited_asks_for_no_place() {
    let world = World::start().await;
    let (mut service, mut handle) = mocked(&world);
    handle.allow(1);
    let call =
        service.ready().await.unwrap().call(get(SHIPMENTS, &world.forged("x", Duration::ZERO)));
    // From here on the inner service is never ready.
    handle.allow(0);
    assert_eq!(in_time(call).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.fetches.count(), 1);
}

/// The inner service fails while a request waits for it.
#[tokio::test]
async fn an_inner_service_that_fails_after_the_wait_is_the_answers_error() {
    let world = World::start().await;
    let token = world.shipments_token().await;
    let (mut service, mut handle) = mocked(&world);
    handle.allow(1);
    let call = service.ready().await.unwrap().call(get(SHIPMENTS, &token));
    handle.send_error("the service is gone");
    let error = in_time(call).await.unwrap_err();
    assert!(error.to_string().contains("the service is gone"), "{error}");
}

#[tokio::test]
async fn a_refusal_takes_nothing_of_the_inner_service() {
    let world = World::start().await;
    let token = world.shipments_token().await;
    let (service, mut handle) = mocked(&world);
    handle.allow(1);
    let mut service = Spawn::new(service);
    for _ in 0..3 {
        assert_ready_ok!(service.poll_ready());
        let refused = service.call(request("GET", SHIPMENTS, &[])).await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    }
    // The one place is still there.
    assert_ready_ok!(service.poll_ready());
    let (response, ()) =
        in_time(async { tokio::join!(service.call(get(SHIPMENTS, &token)), serve(&mut handle)) })
            .await;
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test]
async fn readiness_and_errors_are_the_inner_services() {
    let key = OwnKey::new();
    let token = key.token(&json!({ "scope": "shipments" }));
    let (mock, mut handle): (Mock, MockHandle) = mock::pair();
    let mut service = Spawn::new(fixed(&key).build().unwrap().layer(mock));
    handle.allow(0);
    assert_pending!(service.poll_ready::<Request<Full<Bytes>>>());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready::<Request<Full<Bytes>>>());
    let fails = async {
        let (_, send) = handle.next_request().await.expect("a request");
        send.send_error("the handler fails");
        handle
    };
    let (result, mut handle) =
        in_time(async { tokio::join!(service.call(get(SHIPMENTS, &token)), fails) }).await;
    assert!(result.unwrap_err().to_string().contains("the handler fails"));
    handle.send_error("the service is gone");
    assert!(matches!(
        service.poll_ready::<Request<Full<Bytes>>>(),
        std::task::Poll::Ready(Err(error)) if error.to_string().contains("gone")
    ));
}

#[tokio::test]
async fn a_request_that_is_dropped_while_it_is_verified_never_reaches_the_handler() {
    let world = World::start().await;
    let token = world.shipments_token().await;
    let gate = Gate::new();
    world.issuer.fault(Place::Keys, When::next(1), Fault::until(&gate));
    let (mut service, mut handle) = mocked(&world);
    handle.allow(1);
    let ready = service.ready().await.unwrap();
    let mut call = tokio_test::task::spawn(ready.call(get(SHIPMENTS, &token)));
    assert_pending!(call.poll());
    drop(call);
    gate.open();

    // The keys come all the same, and the next one is served with them.
    handle.allow(1);
    let next = service.ready().await.unwrap().call(get("/v2/shipments/2", &token));
    let served = async {
        let (request, send) = handle.next_request().await.expect("a request");
        assert_eq!(request.uri().path(), "/v2/shipments/2", "the one that was dropped was served");
        send.send_response(Response::new(Full::default()));
    };
    let (response, ()) = in_time(async { tokio::join!(next, served) }).await;
    assert_eq!((response.unwrap().status().as_u16(), world.fetches.count()), (200, 1));
    drop(service);
    assert!(handle.next_request().await.is_none(), "there was one more");
}

/// The service of a connection that stays open lives on after the refusal.
#[tokio::test]
async fn a_refusal_leaves_the_place_inside_to_others() {
    let world = World::start().await;
    let layer = world.layer().build().unwrap();
    let mut service = layer.layer(ConcurrencyLimit::new(world.handler.clone(), 1));
    let mut other = service.clone();
    let ready = Service::<Request<Full<Bytes>>>::poll_ready;
    assert_ready_ok!(
        tokio_test::task::spawn(std::future::poll_fn(|cx| ready(&mut service, cx))).poll()
    );
    let refused = service.call(request("GET", SHIPMENTS, &[])).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_ready_ok!(
        tokio_test::task::spawn(std::future::poll_fn(|cx| ready(&mut other, cx))).poll()
    );
    drop(service);
}
