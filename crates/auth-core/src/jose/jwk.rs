//! Public keys as JWKs, with the members that a thumbprint needs and no others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A public key, as a JWK of its required members alone (RFC 7638 §3.2), which are serialized in the order that the
/// thumbprint is computed over.
///
/// ```
/// use auth_core::PublicJwk;
///
/// let jwk = PublicJwk::ed25519([7; 32]);
/// assert_eq!(jwk.thumbprint().len(), 43);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PublicJwk(Members);

/// The members of each kind of key, in lexicographic order (RFC 7638 §3.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Members {
    Ec { crv: &'static str, kty: &'static str, x: String, y: String },
    Rsa { e: String, kty: &'static str, n: String },
    Okp { crv: &'static str, kty: &'static str, x: String },
}

impl PublicJwk {
    /// A point on the curve P-256, by its coordinates (RFC 7518 §6.2.1).
    pub fn ec_p256(x: [u8; 32], y: [u8; 32]) -> Self {
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Self(Members::Ec { crv: "P-256", kty: "EC", x, y })
    }

    /// An RSA key, by modulus and exponent, big-endian (RFC 7518 §6.3.1). Leading zeros are left out, as the RFC has it.
    pub fn rsa(n: &[u8], e: &[u8]) -> Self {
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(without_leading_zeros(number));
        Self(Members::Rsa { e: encode(e), kty: "RSA", n: encode(n) })
    }

    /// An Ed25519 key (RFC 8037 §2).
    pub fn ed25519(x: [u8; 32]) -> Self {
        Self(Members::Okp { crv: "Ed25519", kty: "OKP", x: URL_SAFE_NO_PAD.encode(x) })
    }

    /// The SHA-256 thumbprint in base64url (RFC 7638 §3), which a token that is bound to the key has as `jkt` (RFC 9449
    /// §6.1).
    pub fn thumbprint(&self) -> String {
        let json = serde_json::to_vec(self).expect("strings are JSON");
        URL_SAFE_NO_PAD.encode(Sha256::digest(json))
    }
}

pub(crate) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638_3_1() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4\
                 n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zg\
                 dAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCu\
                 r-kEgU8awapJzKnqDKgw";
        let n = URL_SAFE_NO_PAD.decode(n).unwrap();
        let jwk = PublicJwk::rsa(&n, &[1, 0, 1]);
        assert_eq!(jwk.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let padded = [&[0], n.as_slice()].concat();
        assert_eq!(PublicJwk::rsa(&padded, &[0, 1, 0, 1]), jwk);
    }

    #[test]
    fn the_members_are_the_required_ones_in_lexicographic_order() {
        let names = |jwk: &PublicJwk| {
            let json = serde_json::to_string(jwk).unwrap();
            let fields = json.trim_matches(['{', '}']).split(',');
            fields.map(|field| field.split('"').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&PublicJwk::ec_p256([1; 32], [2; 32])), ["crv", "kty", "x", "y"]);
        assert_eq!(names(&PublicJwk::rsa(&[1; 256], &[3])), ["e", "kty", "n"]);
        assert_eq!(names(&PublicJwk::ed25519([1; 32])), ["crv", "kty", "x"]);
    }
}
