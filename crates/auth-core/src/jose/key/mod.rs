//! `SigningKey`: a private key in memory, which `ring` signs with.

mod algorithm;
mod der;
mod error;
mod material;
mod pem;
mod private_jwk;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding,
};
use zeroize::Zeroizing;

pub use self::algorithm::Algorithm;
pub use self::error::KeyError;
use self::material::{Ed25519, Material, P256, Rsa};
use crate::jose::jwk::PublicJwk;
use crate::jose::signer::{SignError, Signer};

/// A private key in this process's memory (feature `ring`). Clones share it.
///
/// Its `Debug` shows the algorithm and the key id. What is read on the way in is wiped; the copy that signs is `ring`'s, which
/// does not wipe it.
///
/// ```
/// use auth_core::{Signer, SigningKey};
///
/// let key = SigningKey::generate_es256().with_key_id("2026-01");
/// assert_eq!(format!("{key:?}"), r#"SigningKey { algorithm: Es256, key_id: Some("2026-01"), .. }"#);
/// assert_eq!(key.sign(b"message")?.len(), 64);
/// # Ok::<_, auth_core::SignError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    key: Arc<Key>,
    key_id: Option<Arc<str>>,
}

struct Key {
    algorithm: Algorithm,
    pair: Pair,
    public: PublicJwk,
    derived: Zeroizing<[u8; 32]>,
}

enum Pair {
    P256(EcdsaKeyPair),
    Rsa(rsa::KeyPair, &'static dyn RsaEncoding),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// From the text of a PEM file: PKCS#8 (`PRIVATE KEY`), or PKCS#1 for RSA (`RSA PRIVATE KEY`). The first private key of
    /// the file counts.
    ///
    /// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem` makes one for
    /// [`Algorithm::Es256`].
    ///
    /// # Errors
    ///
    /// If there is no private key, or not one for `algorithm`, or an RSA key of less than 2048 bits (RFC 7518 §3.3) or more
    /// than 4096. The error says what the file is, and the command that converts it.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let material = pem::read(algorithm, pem.as_ref())?;
        Self::of(algorithm, &material, None)
    }

    /// From a private JWK (RFC 7517): `EC` on P-256, `RSA` (with `p`, `q`, `dp`, `dq` and `qi`), or `OKP` with Ed25519. Its
    /// `kid` becomes the [key id](Self::with_key_id).
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and if the JWK has an `alg` that is not `algorithm` (RFC 7517 §4.4).
    pub fn from_jwk(algorithm: Algorithm, json: impl AsRef<str>) -> Result<Self, KeyError> {
        let (material, key_id) = private_jwk::read(algorithm, json.as_ref())?;
        Self::of(algorithm, &material, key_id)
    }

    /// A new key for [`Algorithm::Es256`], which dies with this process. It is for DPoP, whose tokens are then bound to this
    /// process too (RFC 9449 §1): no issuer need know the key beforehand.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give.
    pub fn generate_es256() -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .expect("the operating system gives randomness");
        der::pkcs8(Algorithm::Es256, document.as_ref())
            .and_then(|material| Self::of(Algorithm::Es256, &material, None))
            .expect("a key that was just made is whole")
    }

    /// With the `kid` that the issuer knows the key by (RFC 7515 §4.1.4).
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into().into());
        self
    }

    fn of(
        algorithm: Algorithm,
        material: &Material,
        key_id: Option<String>,
    ) -> Result<Self, KeyError> {
        let (pair, public) = match (algorithm, material) {
            (Algorithm::Es256, Material::P256(key)) => p256(key)?,
            (Algorithm::Rs256, Material::Rsa(key)) => rsa(algorithm, key, &RSA_PKCS1_SHA256)?,
            (Algorithm::Ps256, Material::Rsa(key)) => rsa(algorithm, key, &RSA_PSS_SHA256)?,
            (Algorithm::EdDsa, Material::Ed25519(key)) => ed25519(key)?,
            (_, Material::P256(_)) => {
                return Err(algorithm.refuses("an EC key on the curve P-256", "ask for ES256"));
            }
            (_, Material::Rsa(_)) => {
                return Err(algorithm.refuses("an RSA key", "ask for RS256 or PS256"));
            }
            (_, Material::Ed25519(_)) => {
                return Err(algorithm.refuses("an Ed25519 key", "ask for EdDSA"));
            }
        };
        let key = Arc::new(Key { algorithm, pair, public, derived: material.derived() });
        Ok(Self { key, key_id: key_id.map(Into::into) })
    }
}

impl Signer for SigningKey {
    fn algorithm(&self) -> &str {
        self.key.algorithm.name()
    }

    fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    fn public_jwk(&self) -> Option<PublicJwk> {
        Some(self.key.public.clone())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        let signature = match &self.key.pair {
            Pair::P256(pair) => pair.sign(&random, message).map(|it| it.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).map(|()| signature)
            }
        };
        // `ring` gives no reasons. A key whose numbers do not belong together is found out here when it is an RSA key, since
        // each signature is verified before it is handed out.
        signature.map_err(|_| {
            SignError::new(
                "the key is damaged, or the operating system has no randomness to give; check the key with `openssl pkey \
                 -in key.pem -check -noout`",
            )
        })
    }

    fn derivation_secret(&self) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(self.key.derived.to_vec()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.key.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

fn p256(key: &P256) -> Result<(Pair, PublicJwk), KeyError> {
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &key.d,
        &key.point,
        &SystemRandom::new(),
    )
    .map_err(|_| damaged())?;
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let coordinate = |bytes: &[u8]| bytes.try_into().expect("a point on P-256 has 32 bytes twice");
    let public = PublicJwk::ec_p256(coordinate(x), coordinate(y));
    Ok((Pair::P256(pair), public))
}

fn rsa(
    algorithm: Algorithm,
    key: &Rsa,
    encoding: &'static dyn RsaEncoding,
) -> Result<(Pair, PublicJwk), KeyError> {
    let bits = key.bits();
    if !(2048..=4096).contains(&bits) {
        return Err(KeyError::new(format!(
            "the RSA key has {bits} bits, and {algorithm} needs from 2048 (RFC 7518 §3.3) to 4096; make another one: `openssl \
             genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem`"
        )));
    }
    let pair = rsa::KeyPair::from_components(&rsa::KeyPairComponents {
        public_key: rsa::PublicKeyComponents { n: key.n.as_slice(), e: key.e.as_slice() },
        d: key.d.as_slice(),
        p: key.p.as_slice(),
        q: key.q.as_slice(),
        dP: key.dp.as_slice(),
        dQ: key.dq.as_slice(),
        qInv: key.qi.as_slice(),
    })
    .map_err(|_| damaged())?;
    Ok((Pair::Rsa(pair, encoding), PublicJwk::rsa(&key.n, &key.e)))
}

fn ed25519(key: &Ed25519) -> Result<(Pair, PublicJwk), KeyError> {
    let pair = match &key.public {
        Some(public) => Ed25519KeyPair::from_seed_and_public_key(&key.seed, public),
        // As OpenSSL writes it: PKCS#8 version 1, without the public key.
        None => Ed25519KeyPair::from_seed_unchecked(&key.seed),
    }
    .map_err(|_| damaged())?;
    let x = pair.public_key().as_ref().try_into().expect("a point on edwards25519 has 32 bytes");
    Ok((Pair::Ed25519(pair), PublicJwk::ed25519(x)))
}

/// `ring` says little about why, and its words name none of the tools that help.
fn damaged() -> KeyError {
    KeyError::new(
        "the numbers of the key do not belong together, or are of a form that is not used any more (a compressed point, a \
         public exponent below 65537); check it with `openssl pkey -in key.pem -check -noout`, or make another key",
    )
}
