//! One client, fifty tenants: each request carries the token of the tenant that it is for.
//!
//! Starts an issuer where each tenant is a client of its own, and an API that takes a tenant's
//! requests with that tenant's token alone. 2,000 requests go through one tower stack at once. One
//! tenant has a wrong secret: it fails alone, by name, and costs one token request like any other.
//! Exits non-zero if a request met anything else.
//!
//! `cargo run --example many_tenants`

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use auth_core::{
    Authenticator, ClientCredentials, CredentialUsed, Quota, RequestOptions, Routes, Store,
    Unmatched,
};
use auth_issuer::Issuer;
use auth_tower::{Auth, AuthLayer, BoxError, HyperTransport};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::limit::ConcurrencyLimit;
use tower::{ServiceBuilder, ServiceExt};

const TENANTS: usize = 50;
const REQUESTS_OF_EACH: usize = 40;
/// The one whose secret is wrong.
const WRONG: usize = 2;
/// How many rows of the table are shown.
const SHOWN: usize = 5;
/// How many connections there are to the API.
const CONNECTIONS: usize = 32;

type Stack = Auth<ConcurrencyLimit<Client<HttpConnector, Full<Bytes>>>>;

#[tokio::main]
async fn main() -> Result<()> {
    // In real life this is your vendor, and each tenant's id and secret are in your vault.
    let registered = (0..TENANTS).fold(Issuer::builder(), |issuer, number| {
        issuer.client(name(number), format!("{}-s3cret", name(number)))
    });
    let issuer = registered.start().await?;
    let api = Api::start(&issuer).await?;

    let tenants = (0..TENANTS).map(|number| Tenant::new(number, &issuer, &api));
    let mut tenants = tenants.collect::<Result<Vec<_>>>()?;
    // A request that names no tenant is not sent.
    let routes = Routes::builder().unmatched(Unmatched::Refuse).build()?;
    let client: Stack = ServiceBuilder::new()
        .layer(AuthLayer::new(routes))
        // Below, so that a request that waits for a token keeps no other from going.
        .concurrency_limit(CONNECTIONS)
        .service(Client::builder(TokioExecutor::new()).build_http());

    let mut requests = JoinSet::new();
    for _ in 0..REQUESTS_OF_EACH {
        for (number, tenant) in tenants.iter().enumerate() {
            let sent = send(client.clone(), url(&api, number), Some(tenant.tokens.clone()));
            requests.spawn(async move { (number, sent.await) });
        }
    }
    while let Some(request) = requests.join_next().await {
        let (number, outcome) = request?;
        tenants[number].count(outcome)?;
    }

    println!("tenant     answered  failed  token requests");
    for (number, tenant) in tenants.iter().enumerate() {
        let row = (tenant.answered, tenant.failed.len(), tenant.token_requests().await?);
        if number < SHOWN {
            println!("{}  {:>8}  {:>6}  {:>14}", name(number), row.0, row.1, row.2);
        }
        let expected =
            if number == WRONG { (0, REQUESTS_OF_EACH, 1) } else { (REQUESTS_OF_EACH, 0, 1) };
        ensure!(row == expected, "{} has {row:?}, not {expected:?}", name(number));
    }
    let answered: usize = tenants.iter().map(|tenant| tenant.answered).sum();
    let failed: usize = tenants.iter().map(|tenant| tenant.failed.len()).sum();
    let spent = issuer.token_requests();
    println!("...\nall        {answered:>8}  {failed:>6}  {spent:>14}");
    ensure!(spent == TENANTS as u64, "{spent} token requests for {TENANTS} tenants");

    let wrong = &tenants[WRONG].failed;
    println!("\nThe one that failed: {}", wrong.first().context("it did not fail")?);
    let is_its_own =
        |error: &auth_core::Error| error.is_invalid_client() && error.credential() == name(WRONG);
    ensure!(wrong.iter().all(is_its_own), "{} failed for another reason as well", name(WRONG));

    let strangers = send(client.clone(), url(&api, 0), Some(tenants[1].tokens.clone())).await;
    let refusal = strangers.err().context("a tenant's token opened what is another's")?;
    println!("Another tenant's token: {refusal}");
    ensure!(refusal.to_string().contains("403"), "the API was to answer with 403");

    let nobodys = send(client, url(&api, 0), None).await;
    let refusal = nobodys.err().context("a request that names no tenant was sent")?;
    println!("No tenant named: {refusal}");
    let refusal = auth_tower::error(&*refusal).context("this is not the routes' refusal")?;
    ensure!(refusal.is_unrouted(), "this is not the routes' refusal");

    println!(
        "\nmany_tenants: {TENANTS} tenants, {answered} requests answered, {failed} failed, {spent} \
         token requests"
    );
    Ok(())
}

fn url(api: &str, tenant: usize) -> String {
    format!("{api}/tenants/{}/shipments", name(tenant))
}

fn name(number: usize) -> String {
    format!("tenant-{number:02}")
}

/// A tenant, and what became of its requests.
struct Tenant {
    tokens: Authenticator,
    answered: usize,
    /// Why the others were not sent.
    failed: Vec<auth_core::Error>,
}

impl Tenant {
    fn new(number: usize, issuer: &Issuer, api: &str) -> Result<Self> {
        let name = name(number);
        let secret = if number == WRONG { "stale" } else { &name };
        let credentials = ClientCredentials::new(&name, format!("{secret}-s3cret"))
            .token_endpoint(issuer.token_endpoint())
            .audience(issuer.audience());
        let tokens = Authenticator::builder(credentials)
            // What errors and logs call it.
            .name(name)
            // The audience is the issuer's here, so the place where the tokens go is named.
            .origin(api)
            .quota(Quota::per_day(10))
            .store(Store::memory())
            .transport(HyperTransport::plain())
            .insecure_loopback(true)
            .build()?;
        Ok(Self { tokens, answered: 0, failed: Vec::new() })
    }

    /// What it has spent of its own budget.
    async fn token_requests(&self) -> Result<u32> {
        let status = self.tokens.status().await;
        Ok(status.windows.first().context("a quota has a window")?.spent)
    }

    /// Any outcome but an answer and a missing token ends the example.
    fn count(&mut self, outcome: Result<CredentialUsed, BoxError>) -> Result<()> {
        let name = self.tokens.name();
        match outcome {
            Ok(used) => {
                ensure!(*used.credential == *name, "{name} was sent as {}", used.credential);
                self.answered += 1;
            }
            Err(error) => match auth_tower::error(&*error) {
                Some(no_token) => self.failed.push(no_token.clone()),
                None => return Err(anyhow!("a request of {name} failed: {error}")),
            },
        }
        Ok(())
    }
}

/// Sends a request for this tenant, and says which credential it carried.
async fn send(
    client: Stack,
    url: String,
    tokens: Option<Authenticator>,
) -> Result<CredentialUsed, BoxError> {
    let mut options = RequestOptions::new().report();
    if let Some(tokens) = tokens {
        options = options.credential(tokens);
    }
    let request = Request::get(url).extension(options).body(Full::default())?;
    let response = client.oneshot(request).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("answered with {}", response.status()).into());
    }
    response.extensions().get().cloned().ok_or_else(|| "no credential was used".into())
}

/// The vendor's API: each tenant's part of it takes that tenant's tokens alone.
#[derive(Clone)]
struct Api {
    /// What only valid tokens open.
    protected: Arc<str>,
    client: reqwest::Client,
}

impl Api {
    /// Starts it on a free port, and says where that is.
    async fn start(issuer: &Issuer) -> Result<String> {
        let protected = format!("{}/v2/shipments", issuer.url()).into();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let router = Router::new()
            .route("/tenants/{tenant}/shipments", get(shipments))
            .with_state(Self { protected, client });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(url)
    }
}

async fn shipments(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
) -> StatusCode {
    let Some(credential) = headers.get(AUTHORIZATION) else { return StatusCode::UNAUTHORIZED };
    // The issuer says whether the token is valid; whose it is can be read after that.
    let request = api.client.get(&*api.protected).header(AUTHORIZATION, credential);
    match request.send().await.map(|response| response.status()) {
        Ok(StatusCode::OK) if client_of(credential).as_ref() == Some(&tenant) => StatusCode::OK,
        Ok(StatusCode::OK) => StatusCode::FORBIDDEN,
        Ok(refused) => refused,
        Err(_) => StatusCode::BAD_GATEWAY,
    }
}

/// The client that a token was given to.
fn client_of(credential: &HeaderValue) -> Option<String> {
    let token = credential.to_str().ok()?.strip_prefix("Bearer ")?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims["azp"].as_str()?.to_owned())
}
