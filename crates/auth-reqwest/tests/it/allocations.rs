//! What the middleware allocates while the token is fresh: the box that its trait demands, and one copy of the request where a
//! replay is possible.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use auth_issuer::Issuer;
use auth_reqwest::AuthMiddleware;
use bytes::Bytes;
use http::Extensions;
use http_body_util::Full;
use reqwest::{Body, Method, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use crate::harness::*;

/// Answers instead of a server.
struct Answers;

#[async_trait]
impl Middleware for Answers {
    async fn handle(
        &self,
        request: Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        drop(request);
        Ok(http::Response::new(Bytes::new()).into())
    }
}

/// The header map has room for one more.
fn request(url: &str, body: impl Into<Option<Body>>) -> Request {
    let mut request = Request::new(Method::POST, url.parse().unwrap());
    request.headers_mut().reserve(8);
    *request.body_mut() = body.into();
    request
}

fn count(client: &ClientWithMiddleware, request: Request) -> u64 {
    allocation_counter::measure(|| {
        let mut answer = pin!(client.execute(request));
        let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(_))), "nobody waits");
    })
    .count_total
}

#[tokio::test]
async fn the_middleware_allocates_its_box_and_the_copy_for_a_replay() {
    let issuer = Issuer::builder().start().await.unwrap();
    let auth = builder(&issuer).build().unwrap();
    auth.authorization().await.unwrap();
    let without = ClientBuilder::new(bare()).with(Answers).build();
    let with = ClientBuilder::new(bare()).with(AuthMiddleware::new(auth)).with(Answers).build();
    let url = format!("{}/v2/shipments", issuer.url());
    let stream = || Body::wrap(Full::new(Bytes::from_static(b"once")));
    // What is made when a thread first comes along.
    count(&with, request(&url, None));

    let more = |make: &dyn Fn() -> Request| count(&with, make()) - count(&without, make());
    let once = || request(&url, stream());
    assert!(once().try_clone().is_none());
    assert_eq!(more(&once), 1, "the box");

    let again = || request(&url, None);
    let copied = again();
    let copy = allocation_counter::measure(|| drop(copied.try_clone())).count_total;
    assert!(copy > 0);
    assert_eq!(more(&again), 1 + copy, "the box, and the copy");
}
