//! Flexport's API v2 with API credentials: the first page of shipments.
//!
//! ```sh
//! FLEXPORT_CLIENT_ID=… FLEXPORT_CLIENT_SECRET=… cargo run --example flexport
//! ```
//!
//! It spends one of the ten token requests a day each time it is run, since it keeps its ledger in memory.

use std::process::ExitCode;

use auth_core::{Authenticator, ClientCredentials, Profile, SecretSource, Store};
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest_middleware::ClientBuilder;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (Ok(id), Some(_)) =
        (std::env::var("FLEXPORT_CLIENT_ID"), std::env::var_os("FLEXPORT_CLIENT_SECRET"))
    else {
        eprintln!(
            "flexport: set FLEXPORT_CLIENT_ID and FLEXPORT_CLIENT_SECRET (Settings → API → \"Create API credentials\")"
        );
        return Ok(ExitCode::from(2));
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();

    let credentials = ClientCredentials::new(id, SecretSource::env("FLEXPORT_CLIENT_SECRET"));
    let authenticator = Authenticator::builder(credentials)
        .profile(Profile::flexport())
        .name("flexport")
        .store(Store::memory())
        .transport(ReqwestTransport::new()?)
        .build()?;
    let auth = AuthMiddleware::new(authenticator.clone());
    let client = auth.client(reqwest::Client::builder())?;
    let client = ClientBuilder::new(client).with(auth).build();

    let request = client.get("https://api.flexport.com/shipments").header("Flexport-Version", "2");
    let code = match request.send().await {
        Ok(response) => {
            println!("{}", response.status());
            println!("{}", response.json::<serde_json::Value>().await?);
            ExitCode::SUCCESS
        }
        Err(error) => {
            match auth_reqwest::error(&error) {
                Some(no_token) => eprintln!("flexport: {no_token}"),
                None => eprintln!("flexport: {error}"),
            }
            ExitCode::FAILURE
        }
    };
    eprintln!("{}", authenticator.status().await);
    Ok(code)
}
