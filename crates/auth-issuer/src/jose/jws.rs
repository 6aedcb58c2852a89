//! The compact form of a JWS (RFC 7515 §7.1): read whole, believed only once its signature is verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use super::jwk::PublicKey;

/// A JWS, taken apart.
pub(crate) struct Jws<'a> {
    pub(crate) header: Header,
    claims: Vec<u8>,
    signed: &'a str,
    signature: &'a str,
}

/// What of the header is looked at (RFC 7515 §4.1). A member that is there twice makes it malformed.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) typ: Option<String>,
    pub(crate) kid: Option<String>,
    pub(crate) jwk: Option<Map<String, Value>>,
    crit: Option<Value>,
}

impl<'a> Jws<'a> {
    /// `None` if it is malformed, or demands an extension (`crit`): none is known here (RFC 7515 §4.1.11).
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        // A full stop is not of base64url's alphabet, so four parts fail here.
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        header.crit.is_none().then_some(Self { header, claims, signed, signature })
    }

    /// The claims, if `key` signed them.
    pub(crate) fn verified<T: DeserializeOwned>(&self, key: &PublicKey) -> Option<T> {
        if !key.verifies(&self.header.alg, self.signed, self.signature) {
            return None;
        }
        serde_json::from_slice(&self.claims).ok()
    }
}

/// The `sub` that a JWT claims: for finding its key, and for counting; proven by nothing.
pub(crate) fn unverified_subject(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let claims = text.split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims.sub)
}

/// Whole seconds of a `NumericDate`, which may have a fraction (RFC 7519 §2).
pub(crate) fn seconds(date: &Number) -> Option<u64> {
    date.as_u64().or_else(|| {
        let date = date.as_f64().filter(|date| *date >= 0.0)?;
        // The cast saturates.
        Some(date as u64)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::holder::Holder;

    fn verified(jws: &str, key: &PublicKey) -> Option<Value> {
        Jws::read(jws)?.verified(key)
    }

    #[test]
    fn what_the_key_signed_is_read_and_nothing_else_is() {
        let holder = Holder::es256();
        let key = PublicKey::parse(&holder.jwk().to_string()).unwrap();
        let good = holder.sign(&json!({"alg": "ES256"}), &json!({"sub": "app"}));
        assert_eq!(verified(&good, &key), Some(json!({"sub": "app"})));
        assert_eq!(unverified_subject(&good).as_deref(), Some("app"));

        assert_eq!(
            verified(&good, &PublicKey::parse(&Holder::es256().jwk().to_string()).unwrap()),
            None
        );
        let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
        let none = holder.sign(&json!({"alg": "none"}), &json!({"sub": "app"}));
        let critical = holder.sign(&json!({"alg": "ES256", "crit": ["exp"]}), &json!({}));
        for bad in [&unsigned, &none, &critical, &format!("{good}.x"), "", "..", "a.b.c"] {
            assert_eq!(verified(bad, &key), None, "{bad}");
        }
    }

    #[test]
    fn a_header_with_a_member_twice_is_malformed() {
        let encoded = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","alg":"none"}"#);
        assert!(Jws::read(&format!("{encoded}.e30.")).is_none());
        let encoded = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        assert!(Jws::read(&format!("{encoded}.e30.")).is_some());
    }

    #[test]
    fn dates_have_fractions_and_no_bounds() {
        let read = |text: &str| seconds(&serde_json::from_str(text).unwrap());
        assert_eq!(read("7"), Some(7));
        assert_eq!(read("7.9"), Some(7));
        assert_eq!(read("1e300"), Some(u64::MAX));
        assert_eq!(read("-1"), None);
        assert_eq!(read("-0.5"), None);
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_enough(index: prop::sample::Index, byte in "[A-Za-z0-9_.-]") {
            let holder = Holder::es256();
            let key = PublicKey::parse(&holder.jwk().to_string()).unwrap();
            let good = holder.sign(&json!({"alg": "ES256"}), &json!({"sub": "app"}));
            let mut bad = good.clone();
            let at = index.index(good.len());
            bad.replace_range(at..=at, &byte);
            prop_assert_eq!(verified(&bad, &key).is_some(), bad == good);
        }

        #[test]
        fn no_text_panics(text in ".{0,80}", parts in "[A-Za-z0-9_.-]{0,80}") {
            for text in [text, parts] {
                let _ = (Jws::read(&text), unverified_subject(&text));
            }
        }
    }
}
