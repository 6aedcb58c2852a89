//! The compact form of a JWS (RFC 7515 §7.1): header, claims and signature, each in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::jose::jwk::PublicJwk;
use crate::jose::signer::{SignError, Signer};

/// The header's fields (RFC 7515 §4.1).
#[derive(Serialize)]
struct Header<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<&'a str>,
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a PublicJwk>,
}

/// `claims`, signed. Whoever reads `jwk` in the header needs no `kid` to find the key, so there is only one of them.
pub(crate) fn jws(
    signer: &dyn Signer,
    typ: Option<&str>,
    jwk: Option<&PublicJwk>,
    claims: &impl Serialize,
) -> Result<Zeroizing<String>, SignError> {
    let alg = signer.algorithm();
    // A JWS without a signature is a bearer token that everyone can make (RFC 8725 §3.1).
    if alg.is_empty() || alg.eq_ignore_ascii_case("none") {
        return Err(SignError::new(
            "the signer names no algorithm; `Signer::algorithm` must return one, such as ES256",
        ));
    }
    let kid = if jwk.is_none() { signer.key_id() } else { None };
    let header = part(&Header { typ, alg, kid, jwk })?;
    let signed = [header, part(claims)?].join(".");
    let signature = Zeroizing::new(signer.sign(signed.as_bytes())?);
    check(alg, &signature)?;
    // Of its final size from the start, since growing leaves a copy behind.
    let size = signed.len() + 1 + signature.len().div_ceil(3) * 4;
    let mut jws = Zeroizing::new(String::with_capacity(size));
    jws.push_str(&signed);
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.as_slice(), &mut jws);
    Ok(jws)
}

fn part(value: &impl Serialize) -> Result<String, SignError> {
    let json = serde_json::to_vec(value).map_err(|error| {
        SignError::new("the claims have no JSON form; this is a defect of this crate, report it")
            .with_source(error)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// Key services return ECDSA signatures as ASN.1, and the issuer would only say that the client is invalid.
fn check(alg: &str, signature: &[u8]) -> Result<(), SignError> {
    let size = match alg {
        "ES256" => 64,
        "ES384" => 96,
        "ES512" => 132,
        _ if signature.is_empty() => {
            return Err(SignError::new("the signer returned no signature; check its key"));
        }
        _ => return Ok(()),
    };
    if signature.len() == size {
        return Ok(());
    }
    Err(SignError::new(format!(
        "the signer returned {} bytes for {alg}, whose signatures have {size} (RFC 7518 §3.4); `Signer::sign` must return \
         r and s one after the other, not the ASN.1 structure",
        signature.len()
    )))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Signs by repeating itself, so that nothing here depends on keys.
    pub(crate) struct Scripted {
        pub(crate) algorithm: &'static str,
        pub(crate) signature: Vec<u8>,
    }

    impl Signer for Scripted {
        fn algorithm(&self) -> &str {
            self.algorithm
        }

        fn key_id(&self) -> Option<&str> {
            Some("key/1")
        }

        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
            Ok(self.signature.clone())
        }
    }

    pub(crate) const SCRIPTED: fn() -> Scripted =
        || Scripted { algorithm: "ES256", signature: vec![7; 64] };

    /// Header and claims.
    pub(crate) fn decoded(jws: &str) -> (Value, Value) {
        let mut parts = jws.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
        let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
        let (header, claims) = (json(), json());
        assert_eq!(parts.count(), 1);
        (header, claims)
    }

    #[test]
    fn header_claims_and_signature_are_in_their_places() {
        let jws = jws(&SCRIPTED(), Some("a+jwt"), None, &json!({"a": 1})).unwrap();
        let expected = json!({"typ": "a+jwt", "alg": "ES256", "kid": "key/1"});
        assert_eq!(decoded(&jws), (expected, json!({"a": 1})));
        assert_eq!(jws.rsplit('.').next().unwrap(), URL_SAFE_NO_PAD.encode([7; 64]));
        assert!(!jws.contains('='));
    }

    #[test]
    fn a_header_with_a_jwk_has_no_kid() {
        let jwk = PublicJwk::ed25519([1; 32]);
        let jws = jws(&SCRIPTED(), None, Some(&jwk), &json!({})).unwrap();
        assert_eq!(decoded(&jws).0, json!({"alg": "ES256", "jwk": jwk}));
    }

    #[test]
    fn what_is_no_signature_of_the_algorithm_is_refused() {
        for (algorithm, length, told) in [
            ("none", 0, "Signer::algorithm"),
            ("NONE", 64, "Signer::algorithm"),
            ("", 64, "Signer::algorithm"),
            ("ES256", 71, "ASN.1"),
            ("ES384", 64, "ASN.1"),
            ("PS256", 0, "no signature"),
        ] {
            let signer = Scripted { algorithm, signature: vec![7; length] };
            let error = jws(&signer, None, None, &json!({})).unwrap_err();
            assert!(error.to_string().contains(told), "{algorithm}: {error}");
        }
    }

    #[test]
    fn the_text_never_grows_beyond_its_first_allocation() {
        for length in 1..100 {
            let signer = Scripted { algorithm: "PS256", signature: vec![7; length] };
            let jws = jws(&signer, None, None, &json!({})).unwrap();
            let signed = jws.rfind('.').unwrap();
            assert!(
                jws.capacity() <= signed + 1 + length.div_ceil(3) * 4
                    && jws.len() <= jws.capacity()
            );
        }
    }
}
