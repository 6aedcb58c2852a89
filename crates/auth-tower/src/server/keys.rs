//! A key set: what signatures are verified with (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::algorithm::Algorithm;

/// How many keys are tried for a token that names none: each try costs a signature.
const MOST_TRIED: usize = 4;

/// The shortest RSA key that is used: 2048 bits (RFC 7518 §3.3).
const SHORTEST_MODULUS: usize = 256;

/// One public key.
#[derive(Clone)]
pub(crate) struct Key {
    kid: Option<String>,
    /// The one algorithm that it is for, if it says so.
    only: Option<Algorithm>,
    kind: Kind,
    decoding: DecodingKey,
    /// A digest of all of this, by which sets are compared.
    id: [u8; 32],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Keys, and how many different sets there were before.
pub(crate) struct KeySet {
    keys: Vec<Key>,
    generation: u64,
}

/// What the keys say of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// One of them made it.
    Verified,
    /// The key that is named did not make it.
    Forged,
    /// The key that is named is not for this algorithm.
    OtherAlgorithm,
    /// There is no such key.
    Unknown,
    /// The token and the keys have no name in common, and the keys that were tried did not make it. Another may have.
    Unnamed,
}

/// A key as it is published.
#[derive(Deserialize)]
struct Published {
    kty: String,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// The keys of a set that can be used (RFC 7517 §5): one of an unknown type, for another use or of an unknown form is left out,
/// as RFC 7517 §5 says; the set goes on. `None` if this is no key set at all.
///
/// Symmetric keys (`oct`) are of an unknown type here: what is published verifies no HMAC.
pub(crate) fn parse(text: &[u8]) -> Option<Vec<Key>> {
    let document: Document = super::claims::object(text)?;
    let published = document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
    Some(published.filter_map(Key::of).collect())
}

impl KeySet {
    pub(crate) fn first(keys: Vec<Key>) -> Self {
        Self { keys, generation: 1 }
    }

    /// `keys` after these; `None` if they are the same.
    pub(crate) fn followed_by(&self, keys: Vec<Key>) -> Option<Self> {
        let ids = |keys: &[Key]| {
            let mut ids: Vec<_> = keys.iter().map(|key| key.id).collect();
            ids.sort_unstable();
            ids
        };
        (ids(&self.keys) != ids(&keys)).then(|| Self { keys, generation: self.generation + 1 })
    }

    /// A number that changes with the keys, and is never 0.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a key of this set made `signature` (in base64url) over `message`. A key is only ever used with an algorithm of
    /// its own kind, and with the one that it says it is for.
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        message: &str,
        signature: &str,
    ) -> Verdict {
        // `None` if no key is for this algorithm.
        let tried = |keys: &mut dyn Iterator<Item = &Key>| {
            let mut suiting = keys.filter(|key| key.suits(algorithm)).take(MOST_TRIED).peekable();
            suiting.peek()?;
            Some(suiting.any(|key| key.made(algorithm, message, signature)))
        };
        if let Some(kid) = kid {
            // Keys of different kinds may have one name (RFC 7517 §4.5).
            let mut named =
                self.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)).peekable();
            if named.peek().is_some() {
                return match tried(&mut named) {
                    Some(true) => Verdict::Verified,
                    Some(false) => Verdict::Forged,
                    None => Verdict::OtherAlgorithm,
                };
            }
        }
        let nameless = |key: &&Key| kid.is_none() || key.kid.is_none();
        match tried(&mut self.keys.iter().filter(nameless)) {
            Some(true) => Verdict::Verified,
            Some(false) => Verdict::Unnamed,
            None => Verdict::Unknown,
        }
    }
}

impl Key {
    fn of(key: Published) -> Option<Self> {
        let for_signatures = key.usage.as_deref().is_none_or(|usage| usage == "sig")
            && key.key_ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !for_signatures {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let point = |length| {
            let (x, y) = (bytes(&key.x)?, bytes(&key.y)?);
            // Uncompressed (SEC 1 §2.3.3), which is what the library wants as "DER".
            (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
        };
        let (kind, parts) = match (key.kty.as_str(), key.crv.as_deref()) {
            ("RSA", _) => (Kind::Rsa, [bytes(&key.n)?, bytes(&key.e)?]),
            ("EC", Some("P-256")) => (Kind::P256, [point(32)?, Vec::new()]),
            ("EC", Some("P-384")) => (Kind::P384, [point(48)?, Vec::new()]),
            ("OKP", Some("Ed25519")) => {
                (Kind::Ed25519, [bytes(&key.x).filter(|x| x.len() == 32)?, Vec::new()])
            }
            _ => return None,
        };
        let decoding = match kind {
            Kind::Rsa => {
                let modulus = parts[0].iter().skip_while(|byte| **byte == 0).count();
                if modulus < SHORTEST_MODULUS {
                    return None;
                }
                DecodingKey::from_rsa_raw_components(&parts[0], &parts[1])
            }
            Kind::P256 | Kind::P384 => DecodingKey::from_ec_der(&parts[0]),
            Kind::Ed25519 => DecodingKey::from_ed_der(&parts[0]),
        };
        let only = match key.alg.as_deref() {
            None => None,
            Some(name) => Some(Algorithm::of_name(name).filter(|only| kind.suits(*only))?),
        };
        let mut id = Sha256::new();
        let said = [key.kid.as_deref(), key.alg.as_deref(), Some(&key.kty), key.crv.as_deref()];
        let said =
            said.map(|text| text.map_or([0].to_vec(), |text| [b"1", text.as_bytes()].concat()));
        for part in said.iter().chain(&parts) {
            id.update((part.len() as u64).to_be_bytes());
            id.update(part);
        }
        Some(Self { kid: key.kid, only, kind, decoding, id: id.finalize().into() })
    }

    fn suits(&self, algorithm: Algorithm) -> bool {
        self.kind.suits(algorithm) && self.only.is_none_or(|only| only == algorithm)
    }

    fn made(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        let algorithm = algorithm.of_library();
        // An error is a signature that is no base64url, or a key that is no point of its curve.
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.decoding, algorithm)
            .unwrap_or(false)
    }
}

impl Kind {
    fn suits(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => self == Self::Rsa,
            Algorithm::Es256 => self == Self::P256,
            Algorithm::Es384 => self == Self::P384,
            Algorithm::EdDsa => self == Self::Ed25519,
        }
    }
}

#[cfg(test)]
mod tests;
