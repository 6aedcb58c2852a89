//! Every body type goes through, and the policies know which can be sent again.

use std::convert::Infallible;

use auth_tower::{AuthLayer, Auto, BoxError, Cloned, IfEmpty, Never, Replay, With};
use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt, Channel, Empty, Full};
use tower::{Layer, Service, service_fn};

use crate::support::*;

fn goes_through<B: Send + 'static>(replay: impl Replay<B> + Clone) {
    let inner = service_fn(|_: Request<B>| async { Ok::<_, BoxError>(Response::new(())) });
    let mut service = AuthLayer::new(scripted().0).replay(replay).layer(inner);
    fn is_send<T: Send>(_: T) {}
    let _ = |request: Request<B>| is_send(service.call(request));
}

#[test]
fn every_body_type_goes_through() {
    goes_through::<hyper::body::Incoming>(Auto);
    goes_through::<hyper::body::Incoming>(Never);
    goes_through::<hyper::body::Incoming>(With(|_: &hyper::body::Incoming| None));
    goes_through::<Full<Bytes>>(Auto);
    goes_through::<Full<Bytes>>(Cloned);
    goes_through::<Full<Bytes>>(IfEmpty);
    goes_through::<Channel<Bytes>>(Auto);
    goes_through::<BoxBody<Bytes, hyper::Error>>(Auto);
    goes_through::<BoxBody<Bytes, hyper::Error>>(IfEmpty);
    goes_through::<UnsyncBoxBody<Bytes, BoxError>>(Auto);
    goes_through::<()>(Auto);
    goes_through::<String>(Auto);
}

fn again<B>(replay: &impl Replay<B>, body: &B) -> bool {
    replay.replay(body, &Extensions::new()).is_some()
}

#[test]
fn auto_knows_what_is_empty_or_cheap_to_clone() {
    let full = || Full::<Bytes>::from("x");
    assert!(again(&Auto, &full()) && again(&Auto, &Empty::<Bytes>::new()) && again(&Auto, &()));
    assert!(again(&Auto, &String::new()) && !again(&Auto, &"text".to_owned()));
    let boxed: BoxBody<Bytes, BoxError> =
        full().map_err(|never: Infallible| match never {}).boxed();
    assert!(!again(&Auto, &boxed) && again(&Auto, &BoxBody::<Bytes, BoxError>::default()));
    assert!(again(&Auto, &UnsyncBoxBody::<Bytes, Infallible>::default()));
    assert!(!again(&Auto, &BoxBody::<Bytes, hyper::Error>::default()), "an unusual error type");
    assert!(again(&IfEmpty, &BoxBody::<Bytes, hyper::Error>::default()));
    assert!(!again(&IfEmpty, &full()) && again(&IfEmpty, &Full::<Bytes>::default()));
    assert!(again(&Cloned, &full()) && !again(&Never, &full()));
    assert!(again(&With(|body: &Full<Bytes>| Some(body.clone())), &full()));
}

#[test]
fn a_copy_is_the_same_body() {
    let copy = Auto.replay(&Full::<Bytes>::from("text"), &Extensions::new()).unwrap();
    let collected = tokio_test::block_on(copy.collect()).unwrap().to_bytes();
    assert_eq!(collected, "text");
}
