//! A DPoP proof, taken apart: a JWS by a key that it has in its own header (RFC 9449 §4.2).

use std::error::Error as StdError;
use std::fmt;

use auth_core::PublicJwk;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, crypto};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::algorithm::Algorithm;
use super::claims::object;

/// A proof with the largest key that is accepted is half as long.
const LONGEST: usize = 8 * 1024;

/// RSA keys in octets: 2048 bits is the least that counts (RFC 7518 §3.3), and 8192 as much as a request may cost.
const RSA_SIZES: std::ops::RangeInclusive<usize> = 256..=1024;

/// How a proof may be signed: by a key pair, never by a secret that is shared (RFC 9449 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProofAlgorithm {
    /// ECDSA on the curve P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 (RFC 8037 §3.1).
    EdDsa,
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5).
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    Rs256,
}

impl ProofAlgorithm {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Ps256, Self::Rs256];

    /// The `alg` of a JWS (RFC 7518 §3.1, RFC 8037 §3.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    /// The same, as tokens have it.
    pub(super) fn of_tokens(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::Es256,
            Self::EdDsa => Algorithm::EdDsa,
            Self::Ps256 => Algorithm::Ps256,
            Self::Rs256 => Algorithm::Rs256,
        }
    }
}

/// Why a token that is bound to a key does not count with this request (RFC 9449 §4.3, §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum ProofError {
    /// The token is bound to a key, and came as a bearer token (§7.2).
    BoundTokenAsBearer,
    /// The token is bound to no key, and came with the scheme of those that are (§7.1).
    TokenNotBound,
    /// The proof is by another key than the token is bound to.
    OtherKey,
    /// There is no `DPoP` field.
    Missing,
    /// There are several.
    Several,
    /// It is no JWS with the members that a proof has.
    Malformed,
    /// Its `typ` is another one.
    OtherType,
    /// Its `alg` is none of those that this server takes.
    OtherAlgorithm,
    /// Its `jwk` is a private key, which is nobody's secret any more.
    PrivateKey,
    /// Its `jwk` is no key of its `alg`.
    NoKey,
    /// It is not signed by its key.
    Signature,
    /// It is for another method.
    OtherMethod,
    /// It is for another target, or the request has none that could be told.
    OtherTarget,
    /// It is too old, or from the future.
    Time,
    /// It is for another token.
    OtherToken,
    /// It has been used before.
    Replayed,
    /// So many have been used that no other one can be remembered: not the client's fault.
    TooMany,
}

impl ProofError {
    /// Whether the token is at fault, and no other proof would help.
    pub(crate) fn is_about_token(self) -> bool {
        matches!(self, Self::BoundTokenAsBearer | Self::TokenNotBound | Self::OtherKey)
    }

    /// For the answer.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::BoundTokenAsBearer => {
                "the token is bound to a key; send it with the scheme DPoP and a proof"
            }
            Self::TokenNotBound => {
                "the token is not bound to a key; send it with the scheme Bearer"
            }
            Self::OtherKey => "the token is bound to another key than the one of the proof",
            Self::Missing => "the DPoP field is missing",
            Self::Several => "there is more than one DPoP field",
            Self::Malformed => "the proof is malformed",
            Self::OtherType => "the proof has another typ than dpop+jwt",
            Self::OtherAlgorithm => "the proof is signed with an algorithm that is not accepted",
            Self::PrivateKey => "the proof shows a private key; do not use that key again",
            Self::NoKey => "the proof has no key of its algorithm",
            Self::Signature => "the signature of the proof is wrong",
            Self::OtherMethod => "the proof is for another method",
            Self::OtherTarget => "the proof is for another target",
            Self::Time => "the proof is too old or from the future; check the clock",
            Self::OtherToken => "the proof is for another token",
            Self::Replayed => "the proof has been used before; make one for each request",
            Self::TooMany => "too many proofs to remember at present",
        }
    }
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl StdError for ProofError {}

/// A proof whose signature has not been looked at.
pub(super) struct Proof<'a> {
    signed: &'a str,
    signature: &'a str,
    algorithm: ProofAlgorithm,
    key: DecodingKey,
    /// The thumbprint of its key (RFC 7638).
    pub(super) thumbprint: String,
    pub(super) claims: Claims,
}

/// RFC 9449 §4.2.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) jti: String,
    pub(super) htm: String,
    pub(super) htu: String,
    /// In seconds, with a fraction perhaps (RFC 7519 §2).
    iat: f64,
    pub(super) ath: Option<String>,
}

impl Claims {
    pub(super) fn iat(&self) -> i64 {
        // Saturates.
        self.iat.floor() as i64
    }
}

#[derive(Deserialize)]
struct Header {
    typ: Option<String>,
    alg: String,
    jwk: Jwk,
    /// Extensions that must be understood (RFC 7515 §4.1.11), and none is.
    crit: Option<IgnoredAny>,
}

/// The members of public keys, and those that only private and shared ones have (RFC 7518 §6).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

impl<'a> Proof<'a> {
    pub(super) fn parse(text: &'a str, algorithms: &[ProofAlgorithm]) -> Result<Self, ProofError> {
        if text.len() > LONGEST {
            return Err(ProofError::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(ProofError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(ProofError::Malformed)?;
        let header: Header = part(header)?;
        if header.typ.as_deref() != Some("dpop+jwt") {
            return Err(ProofError::OtherType);
        }
        if header.crit.is_some() {
            return Err(ProofError::Malformed);
        }
        let named = algorithms.iter().find(|algorithm| algorithm.name() == header.alg);
        let algorithm = *named.ok_or(ProofError::OtherAlgorithm)?;
        if header.jwk.is_private() {
            return Err(ProofError::PrivateKey);
        }
        let (public, key) = header.jwk.key(algorithm).ok_or(ProofError::NoKey)?;
        let claims: Claims = part(claims)?;
        if claims.jti.is_empty() {
            return Err(ProofError::Malformed);
        }
        Ok(Self { signed, signature, algorithm, key, thumbprint: public.thumbprint(), claims })
    }

    /// Whether it is signed by its own key. The one step that costs.
    pub(super) fn is_signed(&self) -> bool {
        let algorithm = self.algorithm.of_tokens().of_library();
        crypto::verify(self.signature, self.signed.as_bytes(), &self.key, algorithm)
            .unwrap_or(false)
    }
}

impl Jwk {
    fn is_private(&self) -> bool {
        let Self { d, p, q, dp, dq, qi, oth, k, .. } = self;
        [d, p, q, dp, dq, qi, oth, k].iter().any(|member| member.is_some())
    }

    /// The key, if it is one of this algorithm (RFC 8725 §3.1).
    fn key(&self, algorithm: ProofAlgorithm) -> Option<(PublicJwk, DecodingKey)> {
        let (kty, crv) = (self.kty.as_str(), self.crv.as_deref());
        match (algorithm, kty, crv) {
            (ProofAlgorithm::Es256, "EC", Some("P-256")) => {
                let (x, y) = (self.x.as_deref()?, self.y.as_deref()?);
                let public = PublicJwk::ec_p256(octets(x)?, octets(y)?);
                Some((public, DecodingKey::from_ec_components(x, y).ok()?))
            }
            (ProofAlgorithm::EdDsa, "OKP", Some("Ed25519")) => {
                let x = self.x.as_deref()?;
                Some((PublicJwk::ed25519(octets(x)?), DecodingKey::from_ed_components(x).ok()?))
            }
            (ProofAlgorithm::Ps256 | ProofAlgorithm::Rs256, "RSA", _) => {
                let [n, e] = [&self.n, &self.e].map(|number| {
                    URL_SAFE_NO_PAD
                        .decode(number.as_deref()?)
                        .ok()
                        .filter(|number| number.first() != Some(&0))
                });
                let (n, e) = (n?, e?);
                if !RSA_SIZES.contains(&n.len()) || !(1..=4).contains(&e.len()) {
                    return None;
                }
                Some((PublicJwk::rsa(&n, &e), DecodingKey::from_rsa_raw_components(&n, &e)))
            }
            _ => None,
        }
    }
}

fn octets(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, ProofError> {
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| ProofError::Malformed)?;
    object(&json).ok_or(ProofError::Malformed)
}
