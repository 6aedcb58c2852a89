//! tonic's generated client over its channel, against tonic's server.

use std::sync::Arc;

use auth_core::{Authenticator, Quota};
use auth_issuer::{Fault, Gate, Issuer};
use auth_tower::{Auth, AuthLayer};
use http::{Method, StatusCode};
use stacks::shipments::shipments_client::ShipmentsClient;
use stacks::shipments::{GetRequest, Shipment};
use stacks::{Server, Tracker};
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tower::{Layer, ServiceBuilder, ServiceExt};

use crate::support::{authenticator, builder, replayable};

/// The issuer, a server of its tokens, and what the shipments do.
async fn world() -> (Arc<Issuer>, Server, Tracker) {
    let issuer = Arc::new(Issuer::start().await.unwrap());
    let tracker = Tracker::new("Shenzhen");
    let server = Server::start(&issuer, tracker.clone()).await.unwrap();
    (issuer, server, tracker)
}

async fn channel(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}

async fn service(server: &Server, auth: &Authenticator) -> Auth<Channel> {
    let layer = AuthLayer::new(auth.clone()).assume_origin(server.url().parse().unwrap());
    ServiceBuilder::new().layer(layer).service(channel(&server.url()).await)
}

async fn client(server: &Server, auth: &Authenticator) -> ShipmentsClient<Auth<Channel>> {
    ShipmentsClient::new(service(server, auth).await)
}

fn shipment(place: &str) -> Shipment {
    Shipment { id: 7, place: place.to_owned() }
}

const REQUEST: GetRequest = GetRequest { id: 7 };

#[tokio::test]
async fn unary_calls_carry_one_token() {
    let (issuer, server, _) = world().await;
    let auth = authenticator(&issuer, &server.url());
    let mut client = client(&server, &auth).await;
    for _ in 0..3 {
        assert_eq!(client.get(REQUEST).await.unwrap().into_inner(), shipment("Shenzhen"));
    }
    assert_eq!((server.calls(), issuer.token_requests()), (3, 1));
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes_and_outlives_its_token() {
    let (issuer, server, tracker) = world().await;
    let auth = authenticator(&issuer, &server.url());
    let mut client = client(&server, &auth).await;
    let mut places = client.watch(REQUEST).await.unwrap().into_inner();
    assert_eq!(places.message().await.unwrap(), Some(shipment("Shenzhen")));
    // Nothing more is there yet: a layer that collected the body would not have come this far.
    tracker.arrive("Singapore");
    assert_eq!(places.message().await.unwrap(), Some(shipment("Singapore")));
    issuer.revoke_all();
    tracker.arrive("Rotterdam");
    assert_eq!(places.message().await.unwrap(), Some(shipment("Rotterdam")));
    assert_eq!((server.calls(), issuer.token_requests()), (1, 1));
}

// torture: A1
#[tokio::test]
async fn a_hundred_calls_at_once_cost_one_token_request() {
    let (issuer, server, _) = world().await;
    let gate = Gate::new();
    issuer.fail_next(1, Fault::until(&gate));
    let client = client(&server, &authenticator(&issuer, &server.url())).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let mut client = client.clone();
        calls.spawn(async move { client.get(REQUEST).await });
    }
    issuer.until_token_requests(1).await;
    gate.open();
    for answer in calls.join_all().await {
        assert_eq!(answer.unwrap().into_inner(), shipment("Shenzhen"));
    }
    assert_eq!((server.calls(), issuer.token_requests()), (100, 1));
}

#[tokio::test]
async fn an_origin_of_the_generated_client_serves_as_well_as_an_assumed_one() {
    let (issuer, server, _) = world().await;
    let layer = AuthLayer::new(authenticator(&issuer, &server.url()));
    let stack = ServiceBuilder::new().layer(layer).service(channel(&server.url()).await);
    let mut client = ShipmentsClient::with_origin(stack, server.url().parse().unwrap());
    assert_eq!(client.get(REQUEST).await.unwrap().into_inner(), shipment("Shenzhen"));
}

#[tokio::test]
async fn without_any_origin_a_call_fails_before_it_is_sent_and_says_why() {
    let (issuer, server, _) = world().await;
    let layer = AuthLayer::new(authenticator(&issuer, &server.url()));
    let stack = ServiceBuilder::new().layer(layer).service(channel(&server.url()).await);
    let status = ShipmentsClient::new(stack).get(REQUEST).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
    assert!(status.message().contains("relative"), "{status}");
    assert_eq!((server.calls(), issuer.token_requests()), (0, 0));
}

#[tokio::test]
async fn a_channel_to_an_origin_that_the_credential_is_not_bound_to_gets_no_token() {
    let (issuer, server, _) = world().await;
    let auth = authenticator(&issuer, issuer.url());
    let status = client(&server, &auth).await.get(REQUEST).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "there is no token"));
    assert_eq!((server.calls(), issuer.token_requests()), (1, 0));
}

#[tokio::test]
async fn an_interceptor_that_sets_the_header_itself_is_left_alone() {
    let (issuer, server, _) = world().await;
    let auth = authenticator(&issuer, &server.url());
    let own = |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", "Bearer its-own".parse().unwrap());
        Ok(request)
    };
    let mut client = ShipmentsClient::with_interceptor(service(&server, &auth).await, own);
    let status = client.get(REQUEST).await.unwrap_err();
    assert_eq!(status.message(), "the token is not valid");
    assert_eq!(issuer.token_requests(), 0);
}

#[tokio::test]
async fn the_reason_why_there_is_no_token_is_found_in_the_status() {
    let (issuer, server, _) = world().await;
    let auth = builder(&issuer, &server.url()).quota(Quota::per_day(1)).build().unwrap();
    issuer.fail_next(1, Fault::status(500));
    let mut client = client(&server, &auth).await;
    client.get(REQUEST).await.unwrap_err();
    let status = client.get(REQUEST).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
    let no_token = auth_tower::error(&status).unwrap();
    assert!(no_token.retry_at().is_some(), "{no_token:?}");
    assert_eq!((server.calls(), issuer.token_requests()), (0, 1));
}

#[tokio::test]
async fn grpc_status_16_passes_through_untouched_and_costs_nothing() {
    let (issuer, server, _) = world().await;
    let auth = authenticator(&issuer, &server.url());
    let mut client = client(&server, &auth).await;
    client.get(REQUEST).await.unwrap();
    issuer.revoke_all();
    for _ in 0..2 {
        let status = client.get(REQUEST).await.unwrap_err();
        let said = (status.code(), status.message());
        assert_eq!(said, (Code::Unauthenticated, "the token is not valid"));
        assert!(auth_tower::error(&status).is_none());
    }
    // Neither sent again nor renewed.
    assert_eq!((server.calls(), issuer.token_requests()), (3, 1));
}

#[tokio::test]
async fn grpc_status_16_comes_under_http_200_in_the_headers() {
    let (issuer, server, _) = world().await;
    let auth = authenticator(&issuer, &server.url());
    let service = service(&server, &auth).await;
    ShipmentsClient::new(service.clone()).get(REQUEST).await.unwrap();
    issuer.revoke_all();
    let request = http::Request::builder()
        .method(Method::POST)
        .uri("/stacks.shipments.v1.Shipments/Get")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let request = request.body(tonic::body::Body::empty()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "16");
}

#[tokio::test]
async fn a_caller_that_refuses_the_token_itself_has_it_renewed() {
    let (issuer, server, _) = world().await;
    let auth = authenticator(&issuer, &server.url());
    let mut client = client(&server, &auth).await;
    client.get(REQUEST).await.unwrap();
    issuer.revoke_all();
    let sent = auth.authorization().await.unwrap().generation();
    assert_eq!(client.get(REQUEST).await.unwrap_err().code(), Code::Unauthenticated);
    auth.replacement(sent).await.unwrap();
    client.get(REQUEST).await.unwrap();
    assert_eq!((server.calls(), issuer.token_requests()), (3, 2));
}

/// A client whose layer counts gRPC's own status.
async fn counting(server: &Server, auth: &Authenticator) -> ShipmentsClient<Auth<Channel>> {
    let layer = AuthLayer::new(auth.clone()).assume_origin(server.url().parse().unwrap());
    let layer = layer.grpc_status(true);
    ShipmentsClient::new(layer.layer(channel(&server.url()).await))
}

// torture: B18
#[tokio::test]
async fn grpc_status_16_counts_as_a_401_where_it_is_to() {
    let (issuer, server, _) = world().await;
    let auth = authenticator(&issuer, &server.url());
    let mut client = counting(&server, &auth).await;
    client.get(REQUEST).await.unwrap();
    issuer.revoke_all();
    let sent = auth.authorization().await.unwrap().generation();
    // Not sent again, since a server may have acted before it said so; the next call has a new token.
    assert_eq!(client.get(REQUEST).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(server.calls(), 2);
    auth.replacement(sent).await.unwrap();
    client.get(REQUEST).await.unwrap();
    assert_eq!((server.calls(), issuer.token_requests()), (3, 2));
}

// torture: B18
#[tokio::test]
async fn a_call_that_brings_its_message_once_more_is_sent_again_after_grpc_status_16() {
    let (issuer, server, _) = world().await;
    let auth = authenticator(&issuer, &server.url());
    let mut client = counting(&server, &auth).await;
    client.get(REQUEST).await.unwrap();
    issuer.revoke_all();
    let answer = client.get(replayable(REQUEST)).await.unwrap();
    assert_eq!(answer.into_inner(), shipment("Shenzhen"));
    assert_eq!((server.calls(), issuer.token_requests()), (3, 2));
}
