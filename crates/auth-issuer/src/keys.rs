//! The RSA key that signs, and the one that verifies.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{DecodingKey, EncodingKey};

/// An RSA 2048 key pair for RS256.
pub(crate) struct SigningKey {
    /// The key's id: a digest of its public half.
    pub(crate) kid: String,
    pub(crate) encoding: EncodingKey,
    pub(crate) decoding: DecodingKey,
}

impl SigningKey {
    /// The key of this process, made at the first call, which takes some hundred milliseconds of computing.
    ///
    /// One for all issuers, so that a suite which starts fifty of them pays once; their tokens still do not open each
    /// other's API, since `iss` differs.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: LazyLock<Option<Arc<SigningKey>>> =
            LazyLock::new(|| SigningKey::generate().map(Arc::new));
        SHARED.clone()
    }

    /// A key of nobody else's, which takes as long.
    pub(crate) fn generate() -> Option<Self> {
        // jsonwebtoken picks its provider by its crate features, and panics if another crate of the build enabled a
        // second one. An explicit choice settles that; if somebody made one before, theirs does as well.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();

        let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let public = pair.public_key().as_ref();
        Some(Self {
            kid: URL_SAFE_NO_PAD.encode(&digest(&SHA256, public).as_ref()[..12]),
            encoding: EncodingKey::from_rsa_der(rsa_private_key(pkcs8.as_ref())?),
            decoding: DecodingKey::from_rsa_der(public),
        })
    }
}

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
        assert!(Arc::ptr_eq(&SigningKey::shared().unwrap(), &SigningKey::shared().unwrap()));
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
