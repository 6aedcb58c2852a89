//! The signature algorithms that there are for tokens.

use std::str::FromStr;

use super::error::ConfigError;

/// How a token may be signed (RFC 7518 §3.1, RFC 8037 §3.1). Only asymmetric algorithms: a key that verifies an HMAC can make one
/// as well, so nothing that an issuer publishes may ever be used for that (RFC 8725 §2.1); and `none` is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what most issuers use.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// Ed25519, under its old name `EdDSA` or its own (RFC 9864 §2.2).
    EdDsa,
}

impl Algorithm {
    /// By its name in `alg`, which is compared exactly (RFC 7515 §4.1.1).
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    pub(crate) fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl FromStr for Algorithm {
    type Err = ConfigError;

    /// By its name, as a configuration file has it.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::of_name(name).ok_or_else(|| {
            let problem = match name {
                "HS256" | "HS384" | "HS512" => {
                    "is an HMAC: whoever can verify such a token can make one"
                }
                name if name.eq_ignore_ascii_case("none") => "is no signature",
                _ => {
                    "is not among RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA"
                }
            };
            ConfigError::new("algorithms", format!("{name:?} {problem}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_asymmetric_algorithms_can_be_named() {
        for name in ["HS256", "HS384", "HS512", "none", "None", "NONE", "", "rs256", "RS256 "] {
            assert_eq!(name.parse::<Algorithm>().unwrap_err().field(), "algorithms", "{name}");
        }
        assert_eq!("RS256".parse(), Ok(Algorithm::Rs256));
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDsa));
        for name in
            ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
        {
            let ours = Algorithm::of_name(name).unwrap();
            assert_eq!(Ok(ours.of_library()), name.parse().map_err(|_| ()), "{name}");
        }
    }
}
