//! What a request can be sent with.

use std::sync::Arc;

use http::{HeaderName, header::AUTHORIZATION};

use crate::api_key::ApiKey;
use crate::authenticator::Authenticator;

/// A credential: an OAuth client's tokens, or an API key. A cheap handle, made from either by `into`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// The tokens of an OAuth client (RFC 6750, RFC 9449).
    OAuth(Authenticator),
    /// A static key.
    ApiKey(ApiKey),
}

impl Credential {
    /// The name that logs and errors have for it.
    pub fn name(&self) -> &str {
        match self {
            Self::OAuth(authenticator) => authenticator.name(),
            Self::ApiKey(key) => key.name(),
        }
    }

    /// The header that it goes into.
    pub fn header_name(&self) -> &HeaderName {
        match self {
            Self::OAuth(_) => &AUTHORIZATION,
            Self::ApiKey(key) => key.header_name(),
        }
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        match self {
            Self::OAuth(authenticator) => authenticator.renewal().name.clone(),
            Self::ApiKey(key) => key.shared_name(),
        }
    }

    /// Whether the two are handles of one credential.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.address() == other.address()
    }

    /// The same for all handles of one credential, and another for every other that lives.
    pub(crate) fn address(&self) -> usize {
        match self {
            Self::OAuth(authenticator) => authenticator.address(),
            Self::ApiKey(key) => key.address(),
        }
    }
}

impl From<Authenticator> for Credential {
    fn from(authenticator: Authenticator) -> Self {
        Self::OAuth(authenticator)
    }
}

impl From<ApiKey> for Credential {
    fn from(key: ApiKey) -> Self {
        Self::ApiKey(key)
    }
}
