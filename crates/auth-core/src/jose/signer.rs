//! What signs for a client: a private key, wherever it is, or the secret that client and issuer share.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::jose::jwk::PublicJwk;
use crate::secret::ClientSecret;

/// Something that signs with a key that it does not hand out: a key in memory (`SigningKey`, with the feature `ring`), or
/// one in a hardware module or a key service.
///
/// [`sign`](Self::sign) is called on the task that fetches a token, a few times a day. Where tokens are bound to a key
/// (DPoP, RFC 9449) it is called for every request to the API besides, and must then be quick.
pub trait Signer: Send + Sync + 'static {
    /// The `alg` of the signatures, as RFC 7518 §3.1 and RFC 8037 §3.1 name it: `ES256`, `PS256`, `EdDSA`.
    fn algorithm(&self) -> &str;

    /// The `kid` that the issuer knows the key by (RFC 7515 §4.1.4). None by default; issuers that know several keys of one
    /// client ask for it.
    fn key_id(&self) -> Option<&str> {
        None
    }

    /// The public half of the key. None by default; DPoP needs it, since each proof carries it (RFC 9449 §4.2).
    fn public_jwk(&self) -> Option<PublicJwk> {
        None
    }

    /// The signature of `message`, in the form that a JWS has it (RFC 7518 §3): for ECDSA that is r and s one after the
    /// other, each of full length, and not the ASN.1 structure that many key services return.
    ///
    /// # Errors
    ///
    /// When the key cannot be used now. Nothing is sent then.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Bytes that only holders of the private key have, and that are the same in each of their processes. What is kept in
    /// the store is sealed under a key derived from them. They must not be the private key itself, and no signature that is
    /// sent anywhere.
    ///
    /// None by default, as of a key that never leaves its module.
    fn derivation_secret(&self) -> Option<Zeroizing<Vec<u8>>> {
        None
    }
}

/// Why there is no signature. Nothing was sent.
///
/// It says what to do; [`source`](StdError::source) is what the key's keeper said.
#[derive(Clone, Debug)]
pub struct SignError {
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl SignError {
    /// With what happened and what to do about it, for whoever implements [`Signer`]. The text is printed: it must hold
    /// neither a key nor what was to be signed.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// With the error that led to it.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot sign: {}", self.message)
    }
}

impl StdError for SignError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// The shared secret as a signer (`HS256`, RFC 7518 §3.2): `client_secret_jwt`, whose key is the secret's UTF-8 octets
/// (OpenID Connect Core 1.0 §9 and §10.1).
#[derive(Clone, Debug)]
pub(crate) struct HmacSecret(ClientSecret);

impl HmacSecret {
    pub(crate) fn new(secret: ClientSecret) -> Self {
        Self(secret)
    }
}

impl Signer for HmacSecret {
    fn algorithm(&self) -> &str {
        "HS256"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(hs256(self.0.expose().as_bytes(), message))
    }

    /// The secret itself: processes that send it in another way have the same bytes, and the same tokens.
    fn derivation_secret(&self) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(self.0.expose().as_bytes().to_vec()))
    }
}

fn hs256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn hs256_is_that_of_rfc_7515_a_1() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                       eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = hs256(&URL_SAFE_NO_PAD.decode(key).unwrap(), message.as_bytes());
        assert_eq!(
            URL_SAFE_NO_PAD.encode(signature),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }

    #[test]
    fn an_error_says_what_to_do_and_leaves_the_rest_to_its_source() {
        let source = std::io::Error::other("socket gone");
        let error =
            SignError::new("the module is locked; unlock it and try again").with_source(source);
        assert_eq!(error.to_string(), "cannot sign: the module is locked; unlock it and try again");
        assert_eq!(error.source().unwrap().to_string(), "socket gone");
    }

    #[test]
    fn the_shared_secret_does_not_print() {
        let signer = HmacSecret::new(ClientSecret::new("canary-canary-canary"));
        assert!(!format!("{signer:?}").contains("canary"));
    }
}
