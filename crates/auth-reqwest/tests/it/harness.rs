//! An issuer, an authenticator for it, and a client with the middleware.

use std::error::Error as StdError;
use std::time::Duration;

use auth_core::{Authenticator, Builder, ClientCredentials, MemoryStore, Store};
use auth_issuer::Issuer;
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest::Response;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

/// A deadline for exchanges that are to run into it.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// An authenticator for the issuer's first client and the issuer's API, still to be built.
pub(crate) fn builder(issuer: &Issuer) -> Builder {
    builder_at(issuer, issuer.token_endpoint())
}

/// The same, with another way to the token endpoint.
pub(crate) fn builder_at(issuer: &Issuer, token_endpoint: &str) -> Builder {
    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(token_endpoint)
        .audience(issuer.audience());
    Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(ReqwestTransport::new().unwrap())
        .insecure_loopback(true)
}

/// An authenticator whose token endpoint is no issuer at all.
pub(crate) fn lost(token_endpoint: &str) -> Builder {
    Authenticator::builder(
        ClientCredentials::new("lost", "s3cret").token_endpoint(token_endpoint).audience("lost"),
    )
    .origin("https://api.example")
    .store(Store::new(MemoryStore::new()))
    .transport(ReqwestTransport::new().unwrap())
    .insecure_loopback(true)
}

/// A client without a proxy: the environment of the test is nobody's business.
pub(crate) fn bare() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn client(authenticator: &Authenticator) -> ClientWithMiddleware {
    ClientBuilder::new(bare()).with(AuthMiddleware::new(authenticator.clone())).build()
}

/// Asks the issuer's API for its list.
pub(crate) async fn get(
    client: &ClientWithMiddleware,
    issuer: &Issuer,
) -> reqwest_middleware::Result<Response> {
    client.get(format!("{}/v2/shipments", issuer.url())).send().await
}

/// Token requests that the ledger counts.
pub(crate) async fn spent(authenticator: &Authenticator) -> u32 {
    authenticator.status().await.windows[0].spent
}

/// Everything that an error shows, in every way that it can be shown.
pub(crate) fn shown(error: &(dyn StdError + 'static)) -> String {
    let links = std::iter::successors(Some(error), |&link| link.source());
    links.map(|link| format!("{link} / {link:?} / {link:#?}\n")).collect()
}
