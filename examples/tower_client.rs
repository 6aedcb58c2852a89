//! A tower stack over hyper-util's client whose requests carry a token, against an issuer on loopback.
//!
//! `cargo run --example tower_client`

use auth_core::{Authenticator, ClientCredentials, Quota, Store};
use auth_issuer::Issuer;
use auth_tower::{AuthLayer, HyperTransport};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{ServiceBuilder, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), auth_tower::BoxError> {
    // In real life this is your vendor.
    let issuer = Issuer::start().await?;

    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    let authenticator = Authenticator::builder(credentials)
        .quota(Quota::per_day(10))
        .store(Store::memory())
        .transport(HyperTransport::plain())
        .insecure_loopback(true)
        .build()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let api = ServiceBuilder::new().layer(AuthLayer::new(authenticator.clone())).service(client);

    for _ in 0..3 {
        let request =
            Request::get(format!("{}/v2/shipments", issuer.url())).body(Full::default())?;
        let response = api.clone().oneshot(request).await?;
        println!(
            "{}: {} bytes",
            response.status(),
            response.into_body().collect().await?.to_bytes().len()
        );
    }
    println!("{}", authenticator.status().await);
    Ok(())
}
