//! The endpoints and the keys of a running issuer.

use crate::issuer::Issuer;
use crate::keys::{KeyError, SigningKey};
use crate::oauth::OAuth;

impl Issuer {
    /// `/oauth/revoke` at the [URL](Self::url) (RFC 7009).
    #[must_use]
    pub fn revocation_endpoint(&self) -> String {
        format!("{}{}", self.url(), OAuth::REVOCATION_PATH)
    }

    /// `/.well-known/jwks.json` at the [URL](Self::url): the keys whose tokens may still live (RFC 7517 §5).
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}{}", self.url(), OAuth::JWKS_PATH)
    }

    /// Signs with a new key from now on. The old one stays in the JWKS, and its tokens are valid, until the last of them
    /// is dead.
    ///
    /// The key is made on a blocking thread, in some hundred milliseconds. The first few of a process are shared by all of
    /// its issuers, so that only the first to rotate pays.
    ///
    /// # Errors
    ///
    /// When no key can be made: the old one signs on. And as [`rotate_keys_to`](Self::rotate_keys_to).
    ///
    /// # Cancel safety
    ///
    /// A rotation that is dropped does not happen.
    pub async fn rotate_keys(&self) -> Result<(), KeyError> {
        let number = self.state().tokens.order_key();
        let key = tokio::task::spawn_blocking(move || SigningKey::pooled(number)).await;
        self.rotate_keys_to(key.unwrap_or(Err(KeyError::GONE))?)
    }

    /// The same, with a key of the caller's.
    ///
    /// # Errors
    ///
    /// When a [directory](crate::IssuerBuilder::directory) cannot be written to. The new key signs all the same, and is
    /// written down when that succeeds, at the latest by [`shutdown`](Self::shutdown); until then its tokens would not
    /// outlive this process.
    pub fn rotate_keys_to(&self, key: SigningKey) -> Result<(), KeyError> {
        self.state().rotate_keys_to(key).map_err(|_| KeyError::NOT_KEPT)
    }

    /// Takes all keys away but the one that signs: tokens under the others are invalid at once.
    ///
    /// # Errors
    ///
    /// As [`rotate_keys_to`](Self::rotate_keys_to): those keys may be back after a restart.
    pub fn retire_keys(&self) -> Result<(), KeyError> {
        self.state().retire_keys().map_err(|_| KeyError::NOT_KEPT)
    }
}
