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
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use auth_core::{
    ApiKey, Authenticator, ClientCredentials, CredentialUsed, Quota, RequestOptions, Routes,
    SecretSource, Store,
};
use auth_issuer::Issuer;
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use axum::Router;
use axum::extract::{Request, State};
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

const OLD_KEY: &str = "k1-7d0f3b9a";
const NEW_KEY: &str = "k2-c41e86d5";

#[tokio::main]
async fn main() -> Result<()> {
    // In real life these are your vendor.
    let issuer = Issuer::start().await?;
    let (vendor, api) = Vendor::start(&issuer).await?;

    let directory = tempfile::tempdir()?;
    let key_file = directory.path().join("legacy-key");
    replace(&key_file, OLD_KEY)?;

    let key = ApiKey::builder("legacy", SecretSource::file(&key_file)).token().build()?;
    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    let tokens = Authenticator::builder(credentials)
        .name("tokens")
        // The audience is the issuer's here, so the place where the tokens go is named.
        .origin(&api)
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
    get(&client, &api, "/v1/shipments", ("legacy", 1)).await?;
    get(&client, &api, "/v2/shipments", ("tokens", 1)).await?;

    println!("\nThe vendor takes another key from now on, and the file has it:");
    NEW_KEY.clone_into(&mut *vendor.key.lock().await);
    replace(&key_file, NEW_KEY)?;
    get(&client, &api, "/v1/shipments", ("legacy", 2)).await?;
    get(&client, &api, "/v2/shipments", ("tokens", 1)).await?;

    println!("\nA path that no route covers:");
    let stray = client.get(format!("{api}/v3/shipments")).send().await;
    let stray = stray.err().context("a request that no route covers was sent")?;
    let refusal = auth_reqwest::error(&stray).context("another error than that of the routes")?;
    ensure!(refusal.is_unrouted(), "another refusal than that of the routes: {refusal}");
    println!("  GET /v3/shipments  {refusal}");

    println!("\nWhat the vendor saw:");
    let seen = vendor.seen.lock().await;
    seen.iter().for_each(|line| println!("  {line}"));
    let expected = [
        "GET /v1/shipments  Token   200",
        "GET /v2/shipments  Bearer  200",
        // The key that was valid until then; the file is read again, and the request sent again.
        "GET /v1/shipments  Token   401",
        "GET /v1/shipments  Token   200",
        "GET /v2/shipments  Bearer  200",
    ];
    ensure!(*seen == expected, "the vendor was to see {expected:#?}");
    let spent = issuer.token_requests();
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

/// An API in two versions at one origin. The second is the issuer's demo API, behind a gateway.
struct Vendor {
    key: Mutex<String>,
    issuer: String,
    client: reqwest::Client,
    /// Each request as it arrived: with the scheme of its credential, and its answer.
    seen: Mutex<Vec<String>>,
}

impl Vendor {
    async fn start(issuer: &Issuer) -> Result<(Arc<Self>, String)> {
        let vendor = Arc::new(Self {
            key: Mutex::new(OLD_KEY.to_owned()),
            issuer: issuer.url().to_owned(),
            client: reqwest::Client::builder().no_proxy().build()?,
            seen: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&vendor));
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok((vendor, url))
    }

    /// v1 knows the key alone.
    async fn v1(&self, credential: &HeaderValue) -> StatusCode {
        let key = self.key.lock().await;
        let is_key = credential.as_bytes() == format!("Token token=\"{key}\"").as_bytes();
        if is_key { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
    }

    /// v2 knows tokens alone: the issuer checks that this is one of its own.
    async fn v2(&self, path: &str, credential: &HeaderValue) -> StatusCode {
        let request = self.client.get(format!("{}{path}", self.issuer));
        let response = request.header(AUTHORIZATION, credential).send().await;
        response.map_or(StatusCode::BAD_GATEWAY, |response| response.status())
    }
}

async fn answer(State(vendor): State<Arc<Vendor>>, request: Request) -> StatusCode {
    let path = request.uri().path();
    let credential = request.headers().get(AUTHORIZATION);
    let status = match credential {
        None => StatusCode::UNAUTHORIZED,
        Some(credential) if path.starts_with("/v1/") => vendor.v1(credential).await,
        Some(credential) if path.starts_with("/v2/") => vendor.v2(path, credential).await,
        Some(_) => StatusCode::NOT_FOUND,
    };
    let scheme = credential.and_then(|credential| credential.to_str().ok()?.split(' ').next());
    let (scheme, code) = (scheme.unwrap_or("bare"), status.as_u16());
    vendor.seen.lock().await.push(format!("{} {path}  {scheme:<6}  {code}", request.method()));
    status
}
