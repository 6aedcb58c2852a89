//! An authenticator for a server on loopback.

use auth_core::{Authenticator, Builder, ClientCredentials, MemoryStore, Store};
use auth_issuer::Issuer;
use auth_tower::HyperTransport;

/// With the token of `issuer`, bound to the origin of `url`.
pub(crate) fn builder(issuer: &Issuer, url: &str) -> Builder {
    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    Authenticator::builder(credentials)
        .origin(url)
        .store(Store::new(MemoryStore::new()))
        .transport(HyperTransport::plain())
        .insecure_loopback(true)
}

pub(crate) fn authenticator(issuer: &Issuer, url: &str) -> Authenticator {
    builder(issuer, url).build().unwrap()
}
