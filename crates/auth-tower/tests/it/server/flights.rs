//! Many first requests, and one request for the keys.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use auth_issuer::{Fault, Gate, Place, When};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::support::{Answer, ask, get};
use super::world::{SHIPMENTS, World};

/// So many requests, each of which waits for the keys.
fn waiting<F: Future>(count: usize, request: impl Fn() -> F) -> Vec<Pin<Box<F>>> {
    let mut context = Context::from_waker(Waker::noop());
    let calls = (0..count).map(|_| {
        let mut call = Box::pin(request());
        assert!(matches!(call.as_mut().poll(&mut context), Poll::Pending));
        call
    });
    calls.collect()
}

#[tokio::test]
async fn five_hundred_first_requests_at_once_are_one_request_for_the_keys() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.shipments_token().await;
    let gate = Gate::new();
    world.issuer.fault(Place::Keys, When::next(1), Fault::until(&gate));
    let mut calls = JoinSet::new();
    for call in waiting(500, || service.clone().oneshot(get(SHIPMENTS, &token))) {
        calls.spawn(call);
    }
    assert_eq!(world.handler.calls(), 0);
    gate.open();
    for response in calls.join_all().await {
        let answer = Answer::of(response.unwrap()).await;
        assert_eq!((answer.status, &*answer.body), (200, "served"));
    }
    assert_eq!((world.fetches.count(), world.handler.calls()), (1, 500));
}

#[tokio::test]
async fn the_one_that_began_the_request_for_the_keys_may_leave() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.shipments_token().await;
    let gate = Gate::new();
    world.issuer.fault(Place::Keys, When::next(1), Fault::until(&gate));
    let mut calls = waiting(3, || service.clone().oneshot(get(SHIPMENTS, &token)));
    drop(calls.remove(0));
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().status(), 200);
    }
    assert_eq!((world.fetches.count(), world.handler.calls()), (1, 2));
}

#[tokio::test]
async fn when_all_have_left_the_keys_come_all_the_same() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.shipments_token().await;
    let gate = Gate::new();
    world.issuer.fault(Place::Keys, When::next(1), Fault::until(&gate));
    drop(waiting(10, || service.clone().oneshot(get(SHIPMENTS, &token))));
    gate.open();
    // It joins the flight, or finds what that has brought; a second one would be too early.
    assert_eq!(ask(&service, get(SHIPMENTS, &token)).await.status, 200);
    assert_eq!((world.fetches.count(), world.handler.calls()), (1, 1));
}
