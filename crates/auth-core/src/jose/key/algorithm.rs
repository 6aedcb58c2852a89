//! How a key signs.

use std::fmt;

use super::error::KeyError;

/// The algorithm of a signature: which key it needs, and what it is called in a JWS.
///
/// Which of them an issuer takes stands in its metadata, as `token_endpoint_auth_signing_alg_values_supported` (RFC 8414 §2)
/// and `dpop_signing_alg_values_supported` (RFC 9449 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on the curve P-256 with SHA-256 (RFC 7518 §3.4). Short and quick: the choice for DPoP.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3). The oldest, and what every issuer knows.
    Rs256,
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5). What FAPI 2.0 allows of RSA.
    Ps256,
    /// Ed25519 (RFC 8037 §3.1).
    EdDsa,
}

impl Algorithm {
    /// The `alg` of a JWS (RFC 7518 §3.1, RFC 8037 §3.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Es256 => "an EC key on the curve P-256",
            Self::Rs256 | Self::Ps256 => "an RSA key",
            Self::EdDsa => "an Ed25519 key",
        }
    }

    /// That it does not sign with what `found` names.
    pub(super) fn refuses(self, found: &str, instead: &str) -> KeyError {
        KeyError::new(format!("{self} signs with {}, and this is {found}; {instead}", self.key()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
