//! The right credential to the right place: v1 of an API takes a key, v2 takes tokens, and one
//! client serves both.
//!
//! Starts a vendor on loopback, and sends requests through a reqwest client with a table of routes.
//! Then the vendor replaces the key, which costs neither a restart nor a failed request; and a
//! request that no route covers is refused before it leaves. Exits non-zero if the vendor saw
//! anything else, or more than one token request.
//!
//! `cargo run --example two_apis`

use std::path::Path;

use anyhow::{Context, Result, ensure};
use auth_core::{
    ApiKey, Authenticator, ClientCredentials, CredentialUsed, Quota, RequestOptions, Routes,
    SecretSource, Store,
};
use auth_issuer::Issuer;
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use http::StatusCode;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

#[tokio::main]
async fn main() -> Result<()> {
    // In real life this is your vendor.
    let vendor = Issuer::start().await?;
    let api = vendor.url();

    let directory = tempfile::tempdir()?;
    let key_file = directory.path().join("legacy-key");
    replace(&key_file, &vendor.create_api_key()?)?;

    let key = ApiKey::builder("legacy", SecretSource::file(&key_file)).token().build()?;
    let credentials = ClientCredentials::new(vendor.client_id(), vendor.client_secret())
        .token_endpoint(vendor.token_endpoint())
        .audience(vendor.audience());
    let tokens = Authenticator::builder(credentials)
        .name("tokens")
        .quota(Quota::per_day(10))
        .store(Store::memory())
        .transport(ReqwestTransport::new()?)
        .insecure_loopback(true)
        .build()?;
    let routes = Routes::builder()
        .route(format!("{api}/v1"), key)
        .route(format!("{api}/v2"), tokens)
        .insecure_loopback(true)
        .build()?;
    let auth = AuthMiddleware::new(routes);
    let client = auth.client(reqwest::Client::builder().no_proxy())?;
    let client = ClientBuilder::new(client).with(auth).build();

    println!("Each version of the API gets its own credential:");
    get(&client, api, "/v1/shipments", ("legacy", 1)).await?;
    get(&client, api, "/v2/shipments", ("tokens", 1)).await?;

    println!("\nThe vendor takes another key from now on, and the file has it:");
    replace(&key_file, &vendor.revert_api_key()?)?;
    get(&client, api, "/v1/shipments", ("legacy", 2)).await?;
    get(&client, api, "/v2/shipments", ("tokens", 1)).await?;

    println!("\nA path that no route covers:");
    let stray = client.get(format!("{api}/v3/shipments")).send().await;
    let stray = stray.err().context("a request that no route covers was sent")?;
    let refusal = auth_reqwest::error(&stray).context("another error than that of the routes")?;
    ensure!(refusal.is_unrouted(), "another refusal than that of the routes: {refusal}");
    println!("  GET /v3/shipments  {refusal}");

    // The one 401 was for the old key: the file was read again, and the request sent again.
    let seen = vendor.counters();
    ensure!((seen.api(200), seen.api(401), seen.api_total()) == (4, 1, 5), "seen: {seen:?}");
    let spent = vendor.token_requests();
    ensure!(spent == 1, "{spent} token requests where one is enough");
    println!("\ntwo_apis: 4 requests answered, 1 refused before it left, {spent} token request");
    Ok(())
}

/// Sends a request, and says which credential it carried in the end.
async fn get(
    client: &ClientWithMiddleware,
    api: &str,
    path: &str,
    expected: (&str, u64),
) -> Result<()> {
    let request = client.get(format!("{api}{path}"));
    let response = request.with_extension(RequestOptions::new().report()).send().await?;
    let status = response.status();
    let used = response.extensions().get::<CredentialUsed>().context("no credential was used")?;
    let (name, generation) = (&*used.credential, used.generation.get());
    println!("  GET {path}  {name} #{generation}  {}", status.as_u16());
    ensure!(status == StatusCode::OK, "{path} was answered with {status}");
    ensure!((name, generation) == expected, "{path} was to carry {expected:?}");
    Ok(())
}

/// Puts a file in the place of another at once, so that nobody reads half a key.
fn replace(path: &Path, key: &str) -> Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, key)?;
    std::fs::rename(next, path).context("the key cannot be put in its place")
}
