//! The proof that a request comes from the holder of a key (RFC 9449 §4.3).

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use http::Uri;
use http::uri::Scheme;
use serde::Deserialize;
use serde_json::Number;
use subtle::ConstantTimeEq;

use super::jwk::{PublicKey, encode};
use super::jws::{Jws, seconds};
use super::nonce::Nonces;
use crate::clock::unix_seconds;

/// How far from now, in seconds, the `iat` of a proof may be, either way.
pub(crate) const WINDOW: u64 = 5 * 60;

/// The request that a proof must be for.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) method: &'a str,
    /// Query and fragment do not count.
    pub(crate) url: &'a str,
    /// The token that the request carries.
    pub(crate) token: Option<&'a str>,
    /// Whose nonce is wanted, if one is.
    pub(crate) nonces: Option<&'a Nonces>,
}

/// What a good proof says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// The key's thumbprint: `jkt` (RFC 9449 §6.1).
    pub(crate) thumbprint: String,
    pub(crate) jti: String,
    /// When it would be too old.
    pub(crate) expires_at: u64,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProofError {
    /// `invalid_dpop_proof`; says how.
    Invalid(&'static str),
    /// `use_dpop_nonce`: it is good, but for the nonce.
    Nonce,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: Number,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Checks a proof, all but whether its `jti` is new.
///
/// # Errors
///
/// When it is malformed, is for another request, or lacks the nonce.
pub(crate) fn check(
    proof: &str,
    expected: &Expected<'_>,
    now: SystemTime,
) -> Result<Proven, ProofError> {
    use ProofError::Invalid;

    let jws = Jws::read(proof).ok_or(Invalid("the proof is not a JWS"))?;
    if jws.header.typ.as_deref() != Some("dpop+jwt") {
        return Err(Invalid("typ is not dpop+jwt"));
    }
    let jwk = jws.header.jwk.as_ref().ok_or(Invalid("jwk is missing"))?;
    let key =
        PublicKey::read(jwk).map_err(|_| Invalid("jwk is not a public key of a known kind"))?;
    let claims: Claims =
        jws.verified(&key).ok_or(Invalid("the signature is wrong, or a claim is missing"))?;
    if claims.htm != expected.method {
        return Err(Invalid("htm is another method"));
    }
    let target = target(&claims.htu);
    if target.is_none() || target != self::target(expected.url) {
        return Err(Invalid("htu is another URL"));
    }
    let issued_at = seconds(&claims.iat).ok_or(Invalid("iat is no time"))?;
    if issued_at.abs_diff(unix_seconds(now)) > WINDOW {
        return Err(Invalid("iat is too far from the issuer's time"));
    }
    if let Some(token) = expected.token {
        let hash = encode(digest(&SHA256, token.as_bytes()).as_ref());
        let given = claims.ath.as_deref().unwrap_or_default();
        if !bool::from(hash.as_bytes().ct_eq(given.as_bytes())) {
            return Err(Invalid("ath is not the hash of the token"));
        }
    }
    if claims.jti.is_empty() {
        return Err(Invalid("jti is empty"));
    }
    if let Some(nonces) = expected.nonces
        && !claims.nonce.is_some_and(|nonce| nonces.accepts(&nonce, now))
    {
        return Err(ProofError::Nonce);
    }
    Ok(Proven {
        thumbprint: key.thumbprint().to_owned(),
        jti: claims.jti,
        // The last second in which it is taken.
        expires_at: issued_at.saturating_add(WINDOW),
    })
}

/// Scheme, host, port and path, normalised (RFC 9449 §4.3, RFC 3986 §6.2.2 and §6.2.3).
fn target(url: &str) -> Option<(Scheme, String, u16, String)> {
    let url: Uri = url.parse().ok()?;
    let scheme = url.scheme()?.clone();
    let default = if scheme == Scheme::HTTPS { 443 } else { 80 };
    let port = url.port_u16().unwrap_or(default);
    Some((scheme, url.host()?.to_ascii_lowercase(), port, url.path().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::holder::Holder;

    const NOW: u64 = 1_000_000;
    const URL: &str = "http://127.0.0.1:8400/oauth/token";
    const EXPECTED: Expected<'_> = Expected { method: "POST", url: URL, token: None, nonces: None };

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn claims() -> Value {
        json!({"jti": "1", "htm": "POST", "htu": URL, "iat": NOW})
    }

    fn made(holder: &Holder, claims: &Value) -> String {
        let header = json!({"typ": "dpop+jwt", "alg": holder.algorithm(), "jwk": holder.jwk()});
        holder.sign(&header, claims)
    }

    #[test]
    fn a_good_proof_of_every_algorithm_shows_its_key() {
        for holder in Holder::all() {
            let proven = check(&made(&holder, &claims()), &EXPECTED, now()).unwrap();
            let key = PublicKey::parse(&holder.jwk().to_string()).unwrap();
            assert_eq!(proven.thumbprint, key.thumbprint());
            assert_eq!((proven.jti.as_str(), proven.expires_at), ("1", NOW + WINDOW));
        }
    }

    #[test]
    fn every_claim_counts() {
        let holder = Holder::es256();
        for (name, value, is_good) in [
            ("htm", json!("GET"), false),
            ("htm", json!("post"), false),
            ("htu", json!("HTTP://127.0.0.1:8400/oauth/token?a=b#c"), true),
            ("htu", json!("https://127.0.0.1:8400/oauth/token"), false),
            ("htu", json!("http://127.0.0.1:8401/oauth/token"), false),
            ("htu", json!("http://127.0.0.1:8400/oauth/token/"), false),
            ("htu", json!("http://localhost:8400/oauth/token"), false),
            ("htu", json!("/oauth/token"), false),
            ("htu", json!(""), false),
            ("iat", json!(NOW - WINDOW), true),
            ("iat", json!(NOW - WINDOW - 1), false),
            ("iat", json!(NOW + WINDOW), true),
            ("iat", json!(NOW + WINDOW + 1), false),
            ("iat", json!(u64::MAX), false),
            ("iat", json!("1000000"), false),
            ("jti", json!(""), false),
            ("jti", json!(null), false),
        ] {
            let mut claims = claims();
            claims[name] = value;
            let checked = check(&made(&holder, &claims), &EXPECTED, now());
            assert_eq!(checked.is_ok(), is_good, "{claims}: {checked:?}");
        }
    }

    #[test]
    fn the_header_is_that_of_a_proof_with_the_key_that_signed_it() {
        let holder = Holder::es256();
        let good = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": holder.jwk()});
        check(&holder.sign(&good, &claims()), &EXPECTED, now()).unwrap();
        let mut private = holder.jwk();
        private["d"] = "AQAB".into();
        for (name, value) in [
            ("typ", json!("JWT")),
            ("typ", json!(null)),
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("jwk", json!(null)),
            ("jwk", private),
            ("jwk", Holder::es256().jwk()),
            ("jwk", json!({"kty": "oct", "k": "AQAB"})),
        ] {
            let mut header = good.clone();
            header[name] = value;
            let checked = check(&holder.sign(&header, &claims()), &EXPECTED, now());
            assert!(matches!(checked, Err(ProofError::Invalid(_))), "{header}: {checked:?}");
        }
    }

    #[test]
    fn a_proof_beside_a_token_is_for_that_token() {
        let holder = Holder::es256();
        // The token and its hash are those of RFC 9449 §7.1.
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        let expected = Expected { token: Some(token), ..EXPECTED };
        let mut claims = claims();
        check(&made(&holder, &claims), &expected, now()).unwrap_err();
        claims["ath"] = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo".into();
        check(&made(&holder, &claims), &expected, now()).unwrap();
        let other = Expected { token: Some("another"), ..EXPECTED };
        check(&made(&holder, &claims), &other, now()).unwrap_err();
    }

    #[test]
    fn only_a_proof_that_is_good_otherwise_is_asked_for_a_nonce() {
        let (holder, nonces) = (Holder::es256(), Nonces::new(&[7; 32]));
        let expected = Expected { nonces: Some(&nonces), ..EXPECTED };
        let mut claims = claims();
        assert_eq!(check(&made(&holder, &claims), &expected, now()), Err(ProofError::Nonce));
        claims["nonce"] = "stale".into();
        assert_eq!(check(&made(&holder, &claims), &expected, now()), Err(ProofError::Nonce));
        claims["nonce"] = nonces.current(now()).into();
        check(&made(&holder, &claims), &expected, now()).unwrap();
        claims["htm"] = "GET".into();
        let checked = check(&made(&holder, &claims), &expected, now());
        assert!(matches!(checked, Err(ProofError::Invalid(_))));
    }

    #[test]
    fn a_target_is_normalised() {
        assert_eq!(target("http://Api.Example"), target("HTTP://api.example:80/?a#b"));
        assert_eq!(target("https://api.example:443/a"), target("https://api.example/a"));
        assert_ne!(target("https://api.example/a"), target("https://api.example/A"));
        assert_eq!(target("api.example/a"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(proof in ".{0,60}", url in ".{0,60}") {
            prop_assert!(check(&proof, &EXPECTED, now()).is_err());
            let mut claims = claims();
            claims["htu"] = url.into();
            prop_assert!(check(&made(&Holder::es256(), &claims), &EXPECTED, now()).is_err());
        }
    }
}
