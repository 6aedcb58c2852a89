//! A generated gRPC client whose calls carry a token, against an issuer and a server on loopback.
//!
//! `cargo run --manifest-path stacks/Cargo.toml --example grpc`

use std::sync::Arc;

use auth_core::{Authenticator, ClientCredentials, Quota, Store};
use auth_issuer::Issuer;
use auth_tower::{AuthLayer, HyperTransport};
use stacks::shipments::GetRequest;
use stacks::shipments::shipments_client::ShipmentsClient;
use stacks::{Server, Tracker};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), auth_tower::BoxError> {
    // In real life these are your vendor's: who gives tokens, and who wants them.
    let issuer = Arc::new(Issuer::start().await?);
    let tracker = Tracker::new("Shenzhen");
    let server = Server::start(&issuer, tracker.clone()).await?;

    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    let authenticator = Authenticator::builder(credentials)
        .origin(server.url())
        .quota(Quota::per_day(10))
        .store(Store::memory())
        .transport(HyperTransport::plain())
        .insecure_loopback(true)
        .build()?;

    let channel = Endpoint::from_shared(server.url())?.connect().await?;
    // The generated client names no origin, and the channel adds it below the layer.
    let auth = AuthLayer::new(authenticator.clone()).assume_origin(server.url().parse()?);
    let mut client = ShipmentsClient::new(ServiceBuilder::new().layer(auth).service(channel));

    let shipment = client.get(GetRequest { id: 1001 }).await?.into_inner();
    println!("unary: shipment {} is in {}", shipment.id, shipment.place);

    let mut places = client.watch(GetRequest { id: 1001 }).await?.into_inner();
    for next in ["Singapore", "Rotterdam", "Duisburg"] {
        let Some(shipment) = places.message().await? else { break };
        println!("streaming: shipment {} is in {}", shipment.id, shipment.place);
        tracker.arrive(next);
    }

    let mut calls = JoinSet::new();
    for id in 1..=100 {
        let mut client = client.clone();
        calls.spawn(async move { client.get(GetRequest { id }).await });
    }
    let answers = calls.join_all().await;
    println!("at once: {} of 100 calls answered", answers.iter().flatten().count());

    println!("{}", authenticator.status().await);
    println!("grpc: {} calls, token requests: {}", server.calls(), issuer.token_requests());
    Ok(())
}
