//! Our server side under tonic's server, and our client side under its channel: each call needs the scope that the table says.

use auth_core::{Authenticator, ClientCredentials, MemoryStore, Store};
use auth_issuer::{Fault, Issuer, Place, Resource, When};
use auth_tower::server::{Access, Algorithm, Jwks, Need, RequireTokenLayer};
use auth_tower::{Auth, AuthLayer, HyperTransport};
use http::Method;
use stacks::Tracker;
use stacks::shipments::GetRequest;
use stacks::shipments::shipments_client::ShipmentsClient;
use stacks::shipments::shipments_server::ShipmentsServer;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::Layer;

const REQUEST: GetRequest = GetRequest { id: 7 };

/// Starts a server of the issuer's tokens: `Get` is for shipments, `Watch` is for documents as well.
async fn serve(issuer: &Issuer) -> String {
    let access = Access::builder()
        .route(Method::POST, "/stacks.shipments.v1.Shipments/Get", Need::scope("shipments"))
        .route(
            Method::POST,
            "/stacks.shipments.v1.Shipments/Watch",
            Need::scopes(["shipments", "documents"]),
        )
        .build()
        .unwrap();
    let jwks = Jwks::url(issuer.jwks_uri(), HyperTransport::plain()).insecure_loopback(true);
    let layer = RequireTokenLayer::builder(jwks)
        .issuer(issuer.url())
        .audience(issuer.audience())
        .algorithms([Algorithm::Rs256])
        .access(access)
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tonic::transport::Server::builder()
        .layer(layer)
        .add_service(ShipmentsServer::new(Tracker::new("Shenzhen")))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    url
}

async fn channel(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}

/// With credentials for shipments alone.
async fn client(issuer: &Issuer, url: &str) -> ShipmentsClient<Auth<Channel>> {
    let made = issuer.create_credentials("client", [Resource::Shipments]).unwrap();
    let credentials = ClientCredentials::new(made.client_id(), made.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    let auth = Authenticator::builder(credentials)
        .origin(url)
        .store(Store::new(MemoryStore::new()))
        .transport(HyperTransport::plain())
        .insecure_loopback(true)
        .build()
        .unwrap();
    let layer = AuthLayer::new(auth).assume_origin(url.parse().unwrap());
    ShipmentsClient::new(layer.layer(channel(url).await))
}

fn challenge(status: &Status) -> &str {
    let challenge = status.metadata().get("www-authenticate");
    challenge.map_or("", |challenge| challenge.to_str().unwrap())
}

#[tokio::test]
async fn a_call_without_a_token_is_unauthenticated_and_one_with_a_token_is_served() {
    let issuer = Issuer::start().await.unwrap();
    let url = serve(&issuer).await;
    let status = ShipmentsClient::new(channel(&url).await).get(REQUEST).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert!(challenge(&status).starts_with("Bearer"), "{status:?}");
    assert!(!challenge(&status).contains("error"), "{status:?}");

    let mut client = client(&issuer, &url).await;
    for _ in 0..3 {
        assert_eq!(client.get(REQUEST).await.unwrap().into_inner().place, "Shenzhen");
    }
    assert_eq!(issuer.token_requests(), 1);
}

// torture: B13
#[tokio::test]
async fn a_call_without_the_scope_is_denied_and_costs_no_token_request() {
    let issuer = Issuer::start().await.unwrap();
    let url = serve(&issuer).await;
    let mut client = client(&issuer, &url).await;
    for _ in 0..10 {
        let status = client.watch(REQUEST).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        assert!(challenge(&status).ends_with(r#"scope="shipments documents""#), "{status:?}");
    }
    client.get(REQUEST).await.unwrap();
    assert_eq!(issuer.token_requests(), 1);
}

#[tokio::test]
async fn a_token_that_is_none_is_unauthenticated_and_says_so() {
    let issuer = Issuer::start().await.unwrap();
    let url = serve(&issuer).await;
    let own = |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", "Bearer its-own".parse().unwrap());
        Ok(request)
    };
    let mut client = ShipmentsClient::with_interceptor(channel(&url).await, own);
    let status = client.get(REQUEST).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert!(challenge(&status).starts_with(r#"Bearer error="invalid_token""#), "{status:?}");
}

#[tokio::test]
async fn a_server_that_cannot_have_the_keys_is_unavailable_and_not_the_tokens_fault() {
    let issuer = Issuer::start().await.unwrap();
    let url = serve(&issuer).await;
    issuer.fault(Place::Keys, When::always(), Fault::down());
    let mut client = client(&issuer, &url).await;
    for _ in 0..3 {
        let status = client.get(REQUEST).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.metadata().contains_key("retry-after"), "{status:?}");
    }
    assert_eq!(issuer.token_requests(), 1);
}
