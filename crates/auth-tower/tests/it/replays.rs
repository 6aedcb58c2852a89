//! Bodies of every type over hyper-util's client: what a revoked token costs each.

use std::convert::Infallible;
use std::fmt::Debug;

use auth_core::RequestOptions;
use auth_issuer::Issuer;
use auth_tower::{AuthLayer, BoxError, IfEmpty};
use bytes::Bytes;
use http::request::Builder;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Channel, Empty, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, Service, ServiceExt};

use crate::support::*;

const TEXT: &str = r#"{"name":"a"}"#;

type Boxed = BoxBody<Bytes, BoxError>;

/// The statuses of three requests, before the second of which the token is revoked. The echo of
/// each success is `text`.
/// Then the number of token requests.
async fn revoked_midway<B, S>(
    layer: impl FnOnce(AuthLayer, Client<HttpConnector, B>) -> S,
    request: impl Fn(Builder) -> Request<B>,
    text: &str,
) -> ([u16; 3], u64)
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static + Unpin,
    S: Service<Request<B>, Response = Response<Incoming>, Error: Debug> + Clone,
{
    let issuer = Issuer::start().await.unwrap();
    let auth = against(&issuer).build().unwrap();
    let api =
        layer(AuthLayer::new(auth.clone()), Client::builder(TokioExecutor::new()).build_http());
    let mut statuses = [0; 3];
    for (number, status) in statuses.iter_mut().enumerate() {
        if number == 1 {
            issuer.revoke_all();
        }
        let request = request(Request::post(format!("{}/v2/bookings", issuer.url())));
        let sent = auth.try_authorization().map(|token| token.generation());
        let response = api.clone().oneshot(request).await.unwrap();
        *status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(*status != 201 || body == text, "{body:?}");
        if *status == 401 {
            // Until the renewal is back, the requests of others go on with the token at hand.
            auth.replacement(sent.unwrap()).await.unwrap();
        }
    }
    (statuses, issuer.token_requests())
}

fn boxed(text: &'static str) -> Boxed {
    Full::from(text).map_err(|never: Infallible| match never {}).boxed()
}

#[tokio::test]
async fn a_body_that_is_empty_or_cheap_to_clone_is_sent_again() {
    let again = ([201; 3], 2);
    let full = |request: Builder| request.body(Full::<Bytes>::from(TEXT)).unwrap();
    assert_eq!(revoked_midway(|auth, client| auth.layer(client), full, TEXT).await, again);
    let empty = |request: Builder| request.body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(revoked_midway(|auth, client| auth.layer(client), empty, "").await, again);
    let empty = |request: Builder| request.body(Boxed::default()).unwrap();
    assert_eq!(revoked_midway(|auth, client| auth.layer(client), empty, "").await, again);
    // Of an error type that the default policy does not know.
    let empty = |request: Builder| request.body(BoxBody::<Bytes, hyper::Error>::default()).unwrap();
    let stack = |auth: AuthLayer, client| auth.replay(IfEmpty).layer(client);
    assert_eq!(revoked_midway(stack, empty, "").await, again);
}

#[tokio::test]
async fn a_body_that_can_be_sent_once_costs_its_own_request_and_no_other() {
    let once = ([201, 401, 201], 2);
    let opaque = |request: Builder| request.body(boxed(TEXT)).unwrap();
    assert_eq!(revoked_midway(|auth, client| auth.layer(client), opaque, TEXT).await, once);
    let channel = |request: Builder| {
        let (mut sender, body) = Channel::<Bytes>::new(1);
        tokio::spawn(async move { sender.send_data(Bytes::from_static(TEXT.as_bytes())).await });
        request.body(body).unwrap()
    };
    assert_eq!(revoked_midway(|auth, client| auth.layer(client), channel, TEXT).await, once);
}

#[tokio::test]
async fn a_boxed_body_that_brings_its_copy_is_sent_again() {
    let brought = |request: Builder| {
        let options = RequestOptions::new().replay_with(|| boxed(TEXT));
        request.extension(options).body(boxed(TEXT)).unwrap()
    };
    let (statuses, tokens) = revoked_midway(|auth, client| auth.layer(client), brought, TEXT).await;
    assert_eq!((statuses, tokens), ([201; 3], 2));
}
