//! A client of a user's: ours, and one that sends what it is told.

use anyhow::Result;
use auth_core::{Authenticator, ClientCredentials, Quota, Store};
use auth_issuer::Issuer;
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::{Value, json};

pub(crate) struct App {
    client: ClientWithMiddleware,
    url: String,
}

impl App {
    /// With credentials that were copied from the page.
    pub(crate) fn new(issuer: &Issuer, id: &str, secret: &str) -> Result<Self> {
        let credentials = ClientCredentials::new(id, secret)
            .token_endpoint(issuer.token_endpoint())
            .audience(issuer.audience());
        let tokens = Authenticator::builder(credentials)
            .quota(Quota::per_day(10))
            .store(Store::memory())
            .transport(ReqwestTransport::new()?)
            .insecure_loopback(true)
            .origin(issuer.url())
            .build()?;
        let auth = AuthMiddleware::new(tokens);
        let client = auth.client(reqwest::Client::builder().no_proxy())?;
        let client = ClientBuilder::new(client).with(auth).build();
        Ok(Self { client, url: issuer.url().to_owned() })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<u16> {
        Ok(self.client.get(format!("{}{path}", self.url)).send().await?.status().as_u16())
    }
}

/// A token request of a client that keeps nothing.
pub(crate) async fn ask(issuer: &Issuer, id: &str, secret: &str) -> Result<u16> {
    let body = json!({ "client_id": id, "client_secret": secret,
        "audience": issuer.audience(), "grant_type": "client_credentials" });
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(issuer.token_endpoint()).header("Content-Type", "application/json");
    Ok(request.body(body.to_string()).send().await?.status().as_u16())
}

/// A request with this key, and the code of the error if there is one.
pub(crate) async fn with_key(issuer: &Issuer, path: &str, key: &str) -> Result<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.get(format!("{}{path}", issuer.url()));
    let response = request.header("Authorization", format!("Bearer {key}")).send().await?;
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await?)?;
    Ok((status, body.pointer("/errors/0/code").cloned().unwrap_or_default()))
}
