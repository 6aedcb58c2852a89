//! The RSA keys that sign, and what verifies their signatures.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use jsonwebtoken::{DecodingKey, EncodingKey};
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::{Value, json};

use crate::jose::{encode, install_provider};

/// How many keys all issuers of a process have in common. One that rotates more often makes keys of its own.
const POOL: usize = 4;

/// A key that an issuer signs its tokens with: RSA, for RS256 (RFC 7518 §3.3). Clones share it.
///
/// Its `Debug` shows the `kid` alone.
///
/// ```
/// use auth_issuer::SigningKey;
/// use secrecy::ExposeSecret;
///
/// let key = SigningKey::generate()?;
/// let again = SigningKey::from_pkcs8(key.to_pkcs8().expose_secret())?;
/// assert_eq!(again.kid(), key.kid());
/// # Ok::<_, auth_issuer::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    jwk: Value,
    pkcs8: SecretSlice<u8>,
}

/// A key that cannot be made, or cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyError(&'static str);

impl KeyError {
    /// The change is in force, and not in the directory.
    pub(crate) const NOT_KEPT: Self = Self("the keys could not be written down");

    /// The runtime is shutting down, and makes no keys any more.
    pub(crate) const GONE: Self = Self("the runtime ended while the key was made");
}

impl SigningKey {
    /// A new key of 2048 bits. Some hundred milliseconds of computing: in async code, call it on a blocking thread.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, KeyError> {
        KeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| KeyError("no signing key could be made"))
            .and_then(|pair| Self::of(&pair))
    }

    /// The key of a PKCS#8 document in DER (RFC 5208 §5), as [`to_pkcs8`](Self::to_pkcs8) gives it.
    ///
    /// # Errors
    ///
    /// When it is not one of a whole RSA key of 2048 to 4096 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let wrong = KeyError("not a PKCS#8 document of an RSA key of 2048 to 4096 bits");
        let pair = KeyPair::from_pkcs8(der).map_err(|_| wrong)?;
        if !(256..=512).contains(&pair.public_modulus_len()) {
            return Err(wrong);
        }
        Self::of(&pair)
    }

    /// The private key, in a PKCS#8 document in DER (RFC 5208 §5): whoever has it can make tokens.
    #[must_use]
    pub fn to_pkcs8(&self) -> SecretSlice<u8> {
        SecretSlice::from(self.0.pkcs8.expose_secret().to_vec())
    }

    /// The key's id, in the header of its tokens and in the JWKS (RFC 7515 §4.1.4): a digest of its public half.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The first key of this process, made at the first call.
    ///
    /// One for all issuers, so that a suite which starts fifty of them pays once; their tokens still do not open each
    /// other's API, since `iss` differs.
    pub(crate) fn shared() -> Result<Self, KeyError> {
        Self::pooled(0)
    }

    /// The key that follows so many others; the first few are all issuers' alike, for the same reason.
    pub(crate) fn pooled(number: usize) -> Result<Self, KeyError> {
        static KEYS: [OnceLock<Result<SigningKey, KeyError>>; POOL] =
            [const { OnceLock::new() }; POOL];
        match KEYS.get(number) {
            Some(key) => key.get_or_init(Self::generate).clone(),
            None => Self::generate(),
        }
    }

    pub(crate) fn encoding(&self) -> &EncodingKey {
        &self.0.encoding
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.0.decoding
    }

    /// The public half, as a JWKS has it (RFC 7517 §4).
    pub(crate) fn jwk(&self) -> &Value {
        &self.0.jwk
    }

    fn of(pair: &KeyPair) -> Result<Self, KeyError> {
        const ENCODING: KeyError = KeyError("the signing key has no DER form");

        install_provider();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| ENCODING)?;
        let public = pair.public_key();
        let kid = encode(&digest(&SHA256, public.as_ref()).as_ref()[..12]);
        let n = encode(public.modulus().big_endian_without_leading_zero());
        let e = encode(public.exponent().big_endian_without_leading_zero());
        let jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e });
        Ok(Self(Arc::new(Inner {
            kid,
            encoding: EncodingKey::from_rsa_der(rsa_private_key(pkcs8.as_ref()).ok_or(ENCODING)?),
            decoding: DecodingKey::from_rsa_der(public.as_ref()),
            jwk,
            pkcs8: SecretSlice::from(pkcs8.as_ref().to_vec()),
        })))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.0.kid).finish_non_exhaustive()
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for KeyError {}

/// The `RSAPrivateKey` (RFC 8017 §A.1.2) inside a `PrivateKeyInfo` (RFC 5208 §5): the generator gives the latter, the
/// signer wants the former.
fn rsa_private_key(pkcs8: &[u8]) -> Option<&[u8]> {
    let (info, _) = element(0x30, pkcs8)?;
    let (_version, info) = element(0x02, info)?;
    let (_algorithm, info) = element(0x30, info)?;
    let (key, _) = element(0x04, info)?;
    Some(key)
}

/// Splits a DER element of type `tag` off the front: its contents, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // DER knows no indefinite length.
        0x80 => return None,
        // The long form: the length of the length, and the length.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_serves_the_whole_process() {
        let (one, two) = (SigningKey::shared().unwrap(), SigningKey::shared().unwrap());
        assert!(Arc::ptr_eq(&one.0, &two.0));
        assert_ne!(one.kid(), SigningKey::pooled(1).unwrap().kid());
    }

    #[test]
    fn a_key_that_was_kept_signs_as_before() {
        let key = SigningKey::shared().unwrap();
        let again = SigningKey::from_pkcs8(key.to_pkcs8().expose_secret()).unwrap();
        assert_eq!((again.kid(), again.jwk()), (key.kid(), key.jwk()));
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        let sign =
            |key: &SigningKey| jsonwebtoken::encode(&header, &json!({}), key.encoding()).unwrap();
        assert_eq!(sign(&again), sign(&key));
    }

    #[test]
    fn what_is_no_whole_rsa_key_is_refused() {
        let der = SigningKey::shared().unwrap().to_pkcs8();
        let der = der.expose_secret();
        for bad in [&[][..], &der[..der.len() - 1], &der[26..]] {
            SigningKey::from_pkcs8(bad).unwrap_err();
        }
    }

    #[test]
    fn debug_shows_nothing_private() {
        let key = SigningKey::shared().unwrap();
        let shown = format!("{key:?} {:?}", key.to_pkcs8());
        assert!(shown.starts_with(&format!("SigningKey {{ kid: \"{}\", .. }}", key.kid())));
        assert!(shown.len() < 120, "{shown}");
    }

    #[test]
    fn der_that_is_cut_short_or_of_another_type_is_refused() {
        assert_eq!(element(0x04, &[0x04, 1, 7, 9]), Some((&[7][..], &[9][..])));
        assert_eq!(element(0x04, &[0x04, 0x81, 1, 7]), Some((&[7][..], &[][..])));
        for der in [&[][..], &[0x04], &[0x04, 2, 7], &[0x04, 0x82, 1], &[0x04, 0x80], &[0x30, 0]] {
            assert_eq!(element(0x04, der), None);
        }
    }
}
