//! What the vendor documents nowhere of its API, so that each user sets it.

use bytes::Bytes;
use http::HeaderValue;

use super::refusals::INSUFFICIENT_SCOPE_V2;

/// Settings of the API.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    /// The type and the body of v2's 403.
    pub(crate) permission_error: (HeaderValue, Bytes),
    /// Whether a request must say which version it means.
    pub(crate) demands_versions: bool,
}

impl Default for Manners {
    fn default() -> Self {
        let body = Bytes::from_static(INSUFFICIENT_SCOPE_V2.as_bytes());
        Self {
            permission_error: (HeaderValue::from_static("application/json"), body),
            demands_versions: false,
        }
    }
}
