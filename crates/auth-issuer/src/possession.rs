//! Who may use a token that is bound to a key, and who gets one (RFC 9449).

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use subtle::ConstantTimeEq;

use crate::jose::{Expected, Nonces, ProofError, Replays, check};

/// The header of a proof (RFC 9449 §4.1).
const PROOF: HeaderName = HeaderName::from_static("dpop");

/// The header of the issuer's nonce (RFC 9449 §8).
pub(crate) const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How many proofs are remembered, at each of the two ends: some megabytes.
const REMEMBERED: usize = 65_536;

/// What proofs are checked against.
pub(crate) struct Possession {
    nonces: Option<Nonces>,
    /// Apart, so that a busy API takes nothing from the token endpoint.
    at_issuer: Mutex<Replays>,
    at_api: Mutex<Replays>,
}

/// How a request to the API carries its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750 §2.1.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

/// A request to the API with a token that is valid.
#[derive(Clone, Copy)]
pub(crate) struct Presented<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) token: &'a str,
    /// The thumbprint of the key that the token is bound to.
    pub(crate) jkt: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) method: &'a Method,
    /// The issuer's own URL and the request's path.
    pub(crate) url: &'a str,
}

/// Why a request may not use its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPossessed {
    /// The token is bound to no key, or to another one, or came as a bearer token (RFC 9449 §7.2).
    Token,
    Proof,
    /// The proof needs the issuer's nonce, which the answer is to bring.
    Nonce,
}

/// Whether a request may use the token that it carries: a bound one with a proof by its key, any other as a bearer token
/// (RFC 9449 §7).
///
/// # Errors
///
/// When it may not; [`NotPossessed::challenge`] goes into a 401.
pub(crate) fn check_possession(
    possession: &Possession,
    request: &Presented<'_>,
    now: SystemTime,
) -> Result<(), NotPossessed> {
    let jkt = match (request.scheme, request.jkt) {
        (Scheme::Bearer, None) => return Ok(()),
        (Scheme::Dpop, Some(jkt)) => jkt,
        (Scheme::Bearer, Some(_)) | (Scheme::Dpop, None) => return Err(NotPossessed::Token),
    };
    let proof = proof(request.headers).map_err(|_| NotPossessed::Proof)?;
    let proof = proof.ok_or(NotPossessed::Proof)?;
    let expected = Expected {
        method: request.method.as_str(),
        url: request.url,
        token: Some(request.token),
        nonces: possession.nonces.as_ref(),
    };
    let proven = check(proof, &expected, now).map_err(|error| match error {
        ProofError::Nonce => NotPossessed::Nonce,
        ProofError::Invalid(_) => NotPossessed::Proof,
    })?;
    if !bool::from(proven.thumbprint.as_bytes().ct_eq(jkt.as_bytes())) {
        return Err(NotPossessed::Token);
    }
    let mut used = possession.at_api.lock().unwrap_or_else(PoisonError::into_inner);
    if !used.is_first(&proven.thumbprint, &proven.jti, proven.expires_at) {
        return Err(NotPossessed::Proof);
    }
    Ok(())
}

impl Possession {
    /// With `nonces`, every proof must have one of them.
    pub(crate) fn new(nonces: Option<Nonces>) -> Self {
        let replays = || Mutex::new(Replays::new(REMEMBERED));
        Self { nonces, at_issuer: replays(), at_api: replays() }
    }

    /// The thumbprint of the key that a token request proves to hold (RFC 9449 §5). A proof that does is used up.
    ///
    /// # Errors
    ///
    /// When the proof is not one, or not a new one.
    pub(crate) fn holder(
        &self,
        proof: &str,
        token_endpoint: &str,
        now: SystemTime,
    ) -> Result<String, ProofError> {
        let expected = Expected {
            method: "POST",
            url: token_endpoint,
            token: None,
            nonces: self.nonces.as_ref(),
        };
        let proven = check(proof, &expected, now)?;
        let mut used = self.at_issuer.lock().unwrap_or_else(PoisonError::into_inner);
        if !used.is_first(&proven.thumbprint, &proven.jti, proven.expires_at) {
            return Err(ProofError::Invalid("jti was used before, or the proof is too old"));
        }
        Ok(proven.thumbprint)
    }

    /// The nonce for the next proof, if proofs are to have one.
    pub(crate) fn nonce(&self, now: SystemTime) -> Option<HeaderValue> {
        // base64url is visible ASCII.
        self.nonces.as_ref().and_then(|nonces| HeaderValue::try_from(nonces.current(now)).ok())
    }
}

impl NotPossessed {
    /// The value of `WWW-Authenticate` (RFC 9449 §7.1).
    pub(crate) fn challenge(self) -> &'static str {
        match self {
            Self::Token => r#"DPoP error="invalid_token", algs="RS256 PS256 ES256 EdDSA""#,
            Self::Proof => r#"DPoP error="invalid_dpop_proof", algs="RS256 PS256 ES256 EdDSA""#,
            Self::Nonce => r#"DPoP error="use_dpop_nonce", algs="RS256 PS256 ES256 EdDSA""#,
        }
    }
}

/// The proof of a request, if there is one.
///
/// # Errors
///
/// When there are several (RFC 9449 §4.3), or it is not text.
pub(crate) fn proof(headers: &HeaderMap) -> Result<Option<&str>, ProofError> {
    let mut values = headers.get_all(PROOF).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ProofError::Invalid("more than one DPoP header"));
    }
    value.to_str().map(Some).map_err(|_| ProofError::Invalid("the proof is not a JWS"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use aws_lc_rs::digest::{SHA256, digest};
    use serde_json::json;

    use super::*;
    use crate::holder::Holder;
    use crate::jose::{ALGORITHMS, PublicKey, encode};

    const URL: &str = "http://issuer/v2/shipments";
    const NOW: u64 = 1_000_000;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn headers(holder: &Holder, token: &str, jti: &str) -> HeaderMap {
        let ath = encode(digest(&SHA256, token.as_bytes()).as_ref());
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": holder.jwk()});
        let claims = json!({"jti": jti, "htm": "GET", "htu": URL, "iat": NOW, "ath": ath});
        let proof = HeaderValue::try_from(holder.sign(&header, &claims)).unwrap();
        HeaderMap::from_iter([(PROOF, proof)])
    }

    fn jkt(holder: &Holder) -> String {
        PublicKey::parse(&holder.jwk().to_string()).unwrap().thumbprint().to_owned()
    }

    #[test]
    fn a_bound_token_opens_with_a_new_proof_by_its_key_and_in_no_other_way() {
        let (holder, thief) = (Holder::es256(), Holder::es256());
        let possession = Possession::new(None);
        let jkt = jkt(&holder);
        let check = |scheme, jkt, headers: &HeaderMap| {
            let (token, method) = ("token", &Method::GET);
            let request = Presented { scheme, token, jkt, headers, method, url: URL };
            check_possession(&possession, &request, now())
        };
        let bound = Some(jkt.as_str());
        let good = headers(&holder, "token", "1");
        assert_eq!(check(Scheme::Dpop, bound, &good), Ok(()));
        assert_eq!(check(Scheme::Dpop, bound, &good), Err(NotPossessed::Proof));
        assert_eq!(check(Scheme::Dpop, bound, &headers(&holder, "token", "2")), Ok(()));

        let stolen = headers(&thief, "token", "3");
        assert_eq!(check(Scheme::Dpop, bound, &stolen), Err(NotPossessed::Token));
        let other = headers(&holder, "another", "4");
        assert_eq!(check(Scheme::Dpop, bound, &other), Err(NotPossessed::Proof));
        let none = HeaderMap::new();
        assert_eq!(check(Scheme::Dpop, bound, &none), Err(NotPossessed::Proof));
        assert_eq!(check(Scheme::Bearer, bound, &none), Err(NotPossessed::Token));
        let fresh = headers(&holder, "token", "5");
        assert_eq!(check(Scheme::Bearer, bound, &fresh), Err(NotPossessed::Token));
        assert_eq!(check(Scheme::Dpop, None, &fresh), Err(NotPossessed::Token));
        assert_eq!(check(Scheme::Bearer, None, &none), Ok(()));
        // Refused so far, and so not used up.
        assert_eq!(check(Scheme::Dpop, bound, &fresh), Ok(()));

        let mut twice = headers(&holder, "token", "6");
        twice.append(PROOF, twice[PROOF].clone());
        assert_eq!(check(Scheme::Dpop, bound, &twice), Err(NotPossessed::Proof));
    }

    #[test]
    fn every_challenge_names_the_algorithms() {
        let algorithms = format!("algs=\"{}\"", ALGORITHMS.join(" "));
        for refusal in [NotPossessed::Token, NotPossessed::Proof, NotPossessed::Nonce] {
            assert!(refusal.challenge().ends_with(&algorithms));
        }
    }
}
