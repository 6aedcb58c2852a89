//! A reqwest client whose requests carry a token, against an issuer on loopback.
//!
//! `cargo run --example reqwest_client`

use auth_core::{Authenticator, ClientCredentials, Quota, Store};
use auth_issuer::Issuer;
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest_middleware::ClientBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In real life this is your vendor.
    let issuer = Issuer::start().await?;

    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    let authenticator = Authenticator::builder(credentials)
        .quota(Quota::per_day(10))
        .store(Store::memory())
        .transport(ReqwestTransport::new()?)
        .insecure_loopback(true)
        .build()?;
    let auth = AuthMiddleware::new(authenticator.clone());
    let client = auth.client(reqwest::Client::builder().no_proxy())?;
    let client = ClientBuilder::new(client).with(auth).build();

    for _ in 0..3 {
        let response = client.get(format!("{}/v2/shipments", issuer.url())).send().await?;
        println!("{}: {} bytes", response.status(), response.bytes().await?.len());
    }
    println!("{}", authenticator.status().await);
    Ok(())
}
