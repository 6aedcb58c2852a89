//! Public keys of clients: read from a JWK (RFC 7517), with their thumbprint.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{self, aws_lc};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

/// What signatures of clients may be made with. HMAC is not among them: whoever knows a public key could make one under
/// it (RFC 8725 §2.1).
pub(crate) const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

/// The members that only a private or a symmetric key has (RFC 7518 §6, RFC 8037 §2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Bytes of an RSA modulus: shorter ones are weak (RFC 7518 §3.3), longer ones cost more than they are worth.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// A public key of a client, and what may be verified with it.
pub(crate) struct PublicKey {
    kind: Kind,
    key: DecodingKey,
    kid: Option<String>,
    alg: Option<String>,
    thumbprint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    Ed25519,
}

impl PublicKey {
    /// Reads a JWK; the error says what is wrong with it, and repeats nothing of it.
    pub(crate) fn parse(json: &str) -> Result<Self, &'static str> {
        match serde_json::from_str(json) {
            Ok(Value::Object(members)) => Self::read(&members),
            _ => Err("it is not a JSON object"),
        }
    }

    /// The same, of JSON that was parsed.
    pub(crate) fn read(members: &Map<String, Value>) -> Result<Self, &'static str> {
        install_provider();
        // RFC 9449 §4.3 (7), and whoever registers a private key gave it away.
        if PRIVATE.iter().any(|name| members.contains_key(*name)) {
            return Err("it holds a private key");
        }
        let optional = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err("a member is not a string"),
        };
        let text = |name: &str| optional(name)?.ok_or("a member of the key is missing");
        let number = |name: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text(name)?);
            bytes.map_err(|_| "a member of the key is not base64url")
        };
        if optional("use")?.is_some_and(|usage| usage != "sig") {
            return Err("it is not for signatures");
        }
        let (kind, key, canonical) = match (text("kty")?, optional("crv")?) {
            ("RSA", _) => {
                let (n, e) = (number("n")?, number("e")?);
                // Without leading zeros (RFC 7518 §6.3.1), or one key had many thumbprints.
                if !MODULUS.contains(&n.len()) || n.first() == Some(&0) {
                    return Err("its modulus has not from 2048 to 4096 bits");
                }
                if e.is_empty() || e.len() > 4 || e.first() == Some(&0) {
                    return Err("its exponent is out of bounds");
                }
                let canonical =
                    format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(&e), encode(&n));
                (Kind::Rsa, DecodingKey::from_rsa_raw_components(&n, &e), canonical)
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (number("x")?, number("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return Err("its coordinates have not 32 bytes");
                }
                let canonical = format!(
                    r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                    encode(&x),
                    encode(&y)
                );
                let point = [&[4][..], &x, &y].concat();
                (Kind::P256, DecodingKey::from_ec_der(&point), canonical)
            }
            ("OKP", Some("Ed25519")) => {
                let x = number("x")?;
                if x.len() != 32 {
                    return Err("its point has not 32 bytes");
                }
                let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(&x));
                (Kind::Ed25519, DecodingKey::from_ed_der(&x), canonical)
            }
            _ => return Err("it is neither RSA, nor EC on P-256, nor Ed25519"),
        };
        let thumbprint = encode(digest(&SHA256, canonical.as_bytes()).as_ref());
        let owned = |name| optional(name).map(|text| text.map(str::to_owned));
        let key = Self { kind, key, kid: owned("kid")?, alg: owned("alg")?, thumbprint };
        if key.alg.as_deref().is_some_and(|alg| key.algorithm(alg).is_none()) {
            return Err("its `alg` is not one that it can sign with here");
        }
        Ok(key)
    }

    /// Whether a signature that names `kid` may be this key's (RFC 7515 §4.1.4).
    pub(crate) fn may_be(&self, kid: Option<&str>) -> bool {
        match (kid, &self.kid) {
            (Some(wanted), Some(kid)) => wanted == kid,
            _ => true,
        }
    }

    /// The SHA-256 thumbprint in base64url (RFC 7638 §3): the `jkt` of RFC 9449 §6.1.
    pub(crate) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether `signature`, in base64url, is this key's over `message`, made with `alg`.
    pub(crate) fn verifies(&self, alg: &str, message: &str, signature: &str) -> bool {
        self.algorithm(alg).is_some_and(|algorithm| {
            crypto::verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
        })
    }

    /// The algorithm, if this key is for it. The key decides, not the header (RFC 8725 §3.1).
    fn algorithm(&self, alg: &str) -> Option<Algorithm> {
        if self.alg.as_deref().is_some_and(|only| only != alg) {
            return None;
        }
        match (self.kind, alg) {
            (Kind::Rsa, "RS256") => Some(Algorithm::RS256),
            (Kind::Rsa, "PS256") => Some(Algorithm::PS256),
            (Kind::P256, "ES256") => Some(Algorithm::ES256),
            (Kind::Ed25519, "EdDSA") => Some(Algorithm::EdDSA),
            _ => None,
        }
    }
}

/// jsonwebtoken picks its provider by its crate features, and panics if another crate of the build enabled a second
/// one. An explicit choice settles that; if somebody made one before, theirs does as well.
pub(crate) fn install_provider() {
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::holder::Holder;

    fn refused(jwk: &Value) -> &'static str {
        PublicKey::parse(&jwk.to_string()).err().unwrap()
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638_3_1() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4\
                 n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zg\
                 dAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCu\
                 r-kEgU8awapJzKnqDKgw";
        let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        let key = PublicKey::parse(&jwk.to_string()).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert!(key.may_be(None) && key.may_be(Some("2011-04-29")) && !key.may_be(Some("2012")));
    }

    #[test]
    fn the_thumbprint_of_an_ed25519_key_is_that_of_rfc_8037_a_3() {
        let jwk = json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        let key = PublicKey::parse(&jwk.to_string()).unwrap();
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_that_is_private_weak_or_of_another_kind_is_refused() {
        let good = Holder::es256().jwk();
        PublicKey::parse(&good.to_string()).unwrap();
        for name in PRIVATE {
            let mut jwk = good.clone();
            jwk[name] = "AQAB".into();
            assert_eq!(refused(&jwk), "it holds a private key");
        }
        for (name, value) in [
            ("kty", json!("oct")),
            ("kty", json!(null)),
            ("crv", json!("P-384")),
            ("x", json!("AQAB")),
            ("y", json!("!")),
            ("use", json!("enc")),
            ("alg", json!("HS256")),
            ("alg", json!("RS256")),
            ("kid", json!(7)),
        ] {
            let mut jwk = good.clone();
            jwk[name] = value;
            refused(&jwk);
        }
        refused(&json!({"kty": "RSA", "n": encode(&[0xff; 128]), "e": "AQAB"}));
        refused(&json!({"kty": "RSA", "n": encode(&[0xff; 1024]), "e": "AQAB"}));
        refused(&json!({"kty": "RSA", "n": encode(&[0xff; 256]), "e": ""}));
        refused(&json!([]));
    }

    #[test]
    fn the_header_does_not_choose_what_the_key_is() {
        let holder = Holder::es256();
        let key = PublicKey::parse(&holder.jwk().to_string()).unwrap();
        let jws = holder.sign(&json!({"alg": "ES256"}), &json!({}));
        let (signed, signature) = jws.rsplit_once('.').unwrap();
        assert!(key.verifies("ES256", signed, signature));
        for alg in ["none", "HS256", "RS256", "PS256", "ES384", "EdDSA", ""] {
            assert!(!key.verifies(alg, signed, signature), "{alg}");
        }
        // A point that is not on the curve verifies nothing, and does no harm.
        let point =
            json!({"kty": "EC", "crv": "P-256", "x": encode(&[1; 32]), "y": encode(&[1; 32])});
        let key = PublicKey::parse(&point.to_string()).unwrap();
        assert!(!key.verifies("ES256", signed, signature));
    }

    proptest! {
        #[test]
        fn no_text_and_no_members_panic(
            text in ".{0,60}",
            kty in "RSA|EC|OKP|oct",
            crv in "P-256|Ed25519|P-521",
            value in "[A-Za-z0-9_-]{0,50}",
        ) {
            let _ = PublicKey::parse(&text);
            let jwk = json!({"kty": kty, "crv": crv, "x": value, "y": value, "n": value, "e": value});
            if let Ok(key) = PublicKey::parse(&jwk.to_string()) {
                prop_assert!(!key.verifies("ES256", &text, &value));
                prop_assert!(!key.verifies("EdDSA", &text, &value));
                prop_assert!(!key.verifies("RS256", &text, &value));
            }
        }
    }

    #[test]
    fn a_key_with_an_algorithm_of_its_own_is_for_no_other() {
        let n = encode(&[0xff; 256]);
        let jwk = format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","alg":"PS256"}}"#);
        let Ok(key) = PublicKey::parse(&jwk) else { panic!("it is one") };
        assert_eq!(key.algorithm("PS256"), Some(Algorithm::PS256));
        assert_eq!(key.algorithm("RS256"), None);
    }
}
