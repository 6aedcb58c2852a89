//! What the OAuth endpoints know beside clients and tokens.

use crate::jose::{ClientKeys, Nonces};
use crate::possession::Possession;

/// The issuer's names, the clients' keys, and the proofs that were used.
pub(crate) struct OAuth {
    /// The issuer identifier (RFC 8414 §2).
    pub(crate) url: String,
    pub(crate) token_endpoint: String,
    pub(crate) keys: ClientKeys,
    pub(crate) possession: Possession,
    /// For the metadata; none if nothing is to be said of scopes.
    pub(crate) scopes: Vec<String>,
}

impl OAuth {
    pub(crate) const TOKEN_PATH: &'static str = "/oauth/token";
    pub(crate) const REVOCATION_PATH: &'static str = "/oauth/revoke";
    pub(crate) const JWKS_PATH: &'static str = "/.well-known/jwks.json";

    pub(crate) fn new(
        url: String,
        keys: ClientKeys,
        nonces: Option<Nonces>,
        scopes: Vec<String>,
    ) -> Self {
        let token_endpoint = format!("{url}{}", Self::TOKEN_PATH);
        Self { url, token_endpoint, keys, possession: Possession::new(nonces), scopes }
    }

    /// What an assertion may name as its audience (RFC 7523 §3 (3)).
    pub(crate) fn audiences(&self) -> [&str; 2] {
        [&self.url, &self.token_endpoint]
    }
}
