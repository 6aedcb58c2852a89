//! A gateway before a gRPC server that refuses tokens as HTTP does, with a 401.

use std::sync::Arc;

use auth_core::Authenticator;
use auth_issuer::Issuer;
use auth_tower::{Auth, AuthLayer};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::AUTHORIZATION;
use stacks::Tracker;
use stacks::shipments::GetRequest;
use stacks::shipments::shipments_client::ShipmentsClient;
use stacks::shipments::shipments_server::ShipmentsServer;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceBuilder;

use crate::support::{authenticator, replayable};

async fn guard(State(issuer): State<Arc<Issuer>>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get(AUTHORIZATION);
    let token = authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token.is_some_and(|token| issuer.is_valid(token)) {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// Serves behind the gateway until the runtime ends, and gives a client with its authenticator.
async fn client(issuer: &Arc<Issuer>) -> (ShipmentsClient<Auth<Channel>>, Authenticator) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Routes::new(ShipmentsServer::new(Tracker::new("Shenzhen")));
    let guard = middleware::from_fn_with_state(issuer.clone(), guard);
    let guarded = routes.into_axum_router().layer(guard);
    tokio::spawn(async { axum::serve(listener, guarded).await });
    let channel = Endpoint::from_shared(url.clone()).unwrap().connect().await.unwrap();
    let auth = authenticator(issuer, &url);
    let layer = AuthLayer::new(auth.clone()).assume_origin(url.parse().unwrap());
    (ShipmentsClient::new(ServiceBuilder::new().layer(layer).service(channel)), auth)
}

const REQUEST: GetRequest = GetRequest { id: 7 };

// torture: B18
#[tokio::test]
async fn a_401_of_http_fails_the_call_and_renews_the_token_for_the_next() {
    let issuer = Arc::new(Issuer::start().await.unwrap());
    let (mut client, auth) = client(&issuer).await;
    client.get(REQUEST).await.unwrap();
    let sent = auth.authorization().await.unwrap().generation();
    issuer.revoke_all();
    // The body of a call can be sent once: the 401 goes back, and tonic reads it as it reads
    // `grpc-status: 16`.
    let status = client.get(REQUEST).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    auth.replacement(sent).await.unwrap();
    client.get(REQUEST).await.unwrap();
    assert_eq!(issuer.token_requests(), 2);
}

#[tokio::test]
async fn a_call_that_carries_its_message_once_more_is_sent_again_after_a_401_of_http() {
    let issuer = Arc::new(Issuer::start().await.unwrap());
    let (mut client, _) = client(&issuer).await;
    client.get(REQUEST).await.unwrap();
    issuer.revoke_all();
    let shipment = client.get(replayable(REQUEST)).await.unwrap().into_inner();
    assert_eq!((shipment.id, shipment.place.as_str()), (7, "Shenzhen"));
    assert_eq!(issuer.token_requests(), 2);
}
