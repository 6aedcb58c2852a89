//! Paths by which a server and the table before it might mean two endpoints, and the spellings that mean one.

use std::task::{Context, Poll, Waker};

use auth_core::PathPrefix;
use auth_tower::server::{Access, Need};
use http::{Method, Uri};
use proptest::prelude::*;
use serde_json::json;
use tower::{Layer, ServiceExt};

use super::support::{Handler, OwnKey, ask, request};
use super::world::{Guarded, KEY, fixed};

/// Paths that servers read in different ways.
const AMBIGUOUS: &[&str] = &[
    "/v1/../v2",
    "/v1/..",
    "/..",
    "/.",
    "/./v1",
    "/v1/./x",
    "/v1/%2e%2e/v2",
    "/v1/%2E./v2",
    "/v1/.%2e/v2",
    "/%2e/v1",
    "/v1/.%2e/%2e%2e/%2e%2e/etc/passwd",
    "/v1/..;/v2",
    "/v1/..;x=y/v2",
    "/v1/.;x/v2",
    "/v1/%2e%2e;/v2",
    "/v1/..%3bx/v2",
    "/v1/..%253Bx/v2",
    "/v1/..%3f/v2",
    "/v1/..%23",
    "/v1/.%2523x",
    "/;/v1",
    "/;x=y/v1",
    "/%3bx/v1",
    "/%253bx/v1",
    "/v1/;/x",
    "//v1",
    "//evil.example/v1",
    "/v1//x",
    "/v1//",
    "//",
    "///",
    "/v1%2fx",
    "/v1%2F..%2Fv2",
    "/%2fv1",
    "/v1/..%2fv2",
    "/v2/..%2f..%2fv1",
    "/v1/..%5cv2",
    "/v1%5Cx",
    "/v1/%",
    "/v1/%4",
    "/v1/%4/x",
    "/v1/%zz",
    "/v1/%u002e%u002e/v2",
    "/v1/%%32%65%%32%65/v2",
    "/v1/%+2f",
    "/v1/x%00.json",
    "/v1/.%00/v2",
    "/v1/..%0d/v2",
    "/v1%0d%0aHost:%20evil",
    "/v1%09",
    "/v1%7f",
    "/v1%7F/x",
    "/v1/%c0%ae%c0%ae/v2",
    "/v1%c0%afx",
    "/v1/%252e%252e/v2",
    "/v1%252fx",
    "/v1%255cx",
    // The same around what the table names.
    "/v2/shipments/../bookings",
    "/v2/shipments/%2e%2e/bookings",
    "/v2//shipments",
    "//v2/shipments",
    "/v2/shipments%2f17",
    "/v2/shipments%5c17",
    "/v2/shipments//",
    "/health/../v2/bookings",
    "/health;/../v2/bookings",
    "/health/..;/v2/bookings",
    "/health%2f..%2fv2/bookings",
    "/health%00",
];

/// A token for shipments, and a server that knows its key.
fn guarded() -> (Guarded, String, Handler) {
    let (key, handler) = (OwnKey::new(), Handler::default());
    let token = key.token(&json!({ "scope": "shipments" }));
    (fixed(&key).build().unwrap().layer(handler.clone()), token, handler)
}

#[tokio::test]
async fn every_ambiguous_path_is_a_bad_request_whatever_is_shown() {
    let (service, token, handler) = guarded();
    let (token, key) = (format!("Bearer {token}"), format!("Bearer {KEY}"));
    for path in AMBIGUOUS {
        for shown in [&[&*token][..], &[&*key], &[]] {
            let mut request = request("GET", "/", shown);
            *request.uri_mut() = Uri::from_static(path);
            assert_eq!(request.uri().path(), *path);
            let answer = ask(&service, request).await;
            assert_eq!(answer.status, 400, "{path}: {answer:?}");
            assert!(answer.body.contains("invalid_request"), "{path}: {answer:?}");
            assert!(!answer.body.contains(path) || path.len() < 4, "{path}: {answer:?}");
        }
    }
    assert_eq!(handler.calls(), 0);
}

#[tokio::test]
async fn no_spelling_of_a_path_needs_less_than_the_plain_one() {
    let (service, token, handler) = guarded();
    let token = format!("Bearer {token}");
    for (method, path, status) in [
        ("GET", "/v2/shipments", 200),
        ("GET", "/v2/shipments/", 403),
        ("GET", "/v2/shipments?page=2", 200),
        // A router that compares paths as they come would look elsewhere.
        ("GET", "/v2/%73hipments", 403),
        ("GET", "/%762/%73%68ipments/", 403),
        // And has no path to look for here.
        ("GET", "api.example:80", 403),
        ("CONNECT", "/v2/bookings", 403),
        ("GET", "/v2/shipments/17", 200),
        ("GET", "/v2/shipments/17/", 403),
        ("GET", "/v2/shipments/%31%37", 200),
        ("GET", "/v2/shipments/a%20b", 200),
        ("GET", "http://api.example/v2/shipments", 200),
        // The bookings, in every spelling.
        ("GET", "/v2/bookings", 403),
        ("GET", "/v2/bookings/", 403),
        ("GET", "/v2/%62ookings", 403),
        ("GET", "/v2/b%6Fokings/", 403),
        ("GET", "http://api.example/v2/bookings", 403),
        // Another case is another path, which the table does not have.
        ("GET", "/V2/shipments", 403),
        ("GET", "/v2/Shipments", 403),
        ("GET", "/v2/%53hipments", 403),
        ("GET", "/HEALTH", 403),
        // As is what looks like one that it has.
        ("GET", "/v2/shipments;x", 403),
        ("GET", "/v2/shipments.json", 403),
        ("GET", "/v2/shipments%3Fpage=2", 403),
        ("GET", "/v2/shipments%3B", 403),
        ("GET", "/v2/shipmentsx", 403),
        ("GET", "/v2/shipment", 403),
        ("GET", "/v2/shipments/17/legs", 403),
        ("GET", "/v2", 403),
        ("GET", "/", 403),
        // A method that is not listed, or written otherwise.
        ("HEAD", "/v2/shipments", 200),
        ("HEAD", "/v2/shipments/17", 200),
        ("HEAD", "/v2/bookings", 403),
        ("HEAD", "/health", 200),
        ("PUT", "/v2/shipments", 403),
        ("DELETE", "/v2/shipments/17", 403),
        ("OPTIONS", "/v2/shipments", 403),
        ("TRACE", "/v2/shipments", 403),
        ("get", "/v2/shipments", 403),
        ("BREW", "/v2/shipments", 403),
        ("OPTIONS", "*", 403),
        ("POST", "/health", 403),
    ] {
        let before = handler.calls();
        let answer = ask(&service, request(method, path, &[&token])).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(handler.calls() - before, usize::from(status == 200), "{method} {path}");
    }
}

#[tokio::test]
async fn a_head_needs_what_a_get_does_and_shows_it_too() {
    let (service, _, handler) = guarded();
    let answer = ask(&service, request("HEAD", "/v2/shipments", &[])).await;
    assert!(answer.status == 401 && answer.challenge().starts_with("Bearer"), "{answer:?}");
    assert_eq!(handler.calls(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// The rules are those of the client side: there is one implementation.
    #[test]
    fn a_path_is_refused_exactly_when_the_client_side_would_refuse_it(
        path in "/((v1|V1|x|%2[eEfF]|%5c|%00|%25|\\.|;|%3b|/|%|%41|a|~|\\*){0,6})"
    ) {
        let Ok(uri) = Uri::from_maybe_shared(path.clone()) else { return Ok(()) };
        prop_assume!(uri.path() == path);
        let (handler, key) = (Handler::default(), OwnKey::new());
        let all = Access::builder().any_method("/{*rest}", Need::nothing());
        let access = all.any_method("/", Need::nothing()).build().unwrap();
        let service: Guarded = fixed(&key).access(access).build().unwrap().layer(handler.clone());
        let mut request = request("GET", "/", &[]);
        *request.uri_mut() = uri;
        *request.method_mut() = Method::PUT;
        let mut call = Box::pin(service.oneshot(request));
        let Poll::Ready(response) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return Err(TestCaseError::fail("it waits"));
        };
        let expected = if PathPrefix::check(&path).is_ok() { 200 } else { 400 };
        prop_assert_eq!(response.unwrap().status().as_u16(), expected, "{}", path);
        prop_assert_eq!(handler.calls(), usize::from(expected == 200));
    }
}

/// Its path is written as `/`, and that is another one.
#[tokio::test]
async fn a_target_without_a_path_is_not_the_root() {
    let (key, handler) = (OwnKey::new(), Handler::default());
    let access = Access::builder().public(Method::GET, "/").build().unwrap();
    let service: Guarded = fixed(&key).access(access).build().unwrap().layer(handler.clone());
    for (target, status) in [("/", 200), ("http://api.example", 200), ("api.example:80", 403)] {
        assert_eq!(ask(&service, request("GET", target, &[])).await.status, status, "{target}");
    }
    assert_eq!(handler.calls(), 2);
}
