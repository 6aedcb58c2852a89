//! Keys derived from the client's own secret or private key: one to name things without telling what they are, one to seal tokens at rest.
//!
//! Whoever may fetch a token holds the secret, and may therefore also read the tokens that others fetched with it. Nobody
//! else can.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::fingerprint::Fingerprint;
use crate::id::random_bytes;
use crate::record::StoredToken;
use crate::token::AccessToken;

const NONCE: usize = 24;

/// The two keys. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct Keys {
    naming: Zeroizing<[u8; 32]>,
    sealing: Zeroizing<[u8; 32]>,
}

impl Keys {
    /// HKDF-SHA-256 (RFC 5869) over the secret, one output for each use.
    pub(crate) fn derive(secret: &[u8]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(b"auth-core 1"), secret);
        let expand = |info: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            hkdf.expand(info, &mut *key).expect("HKDF-SHA-256 gives up to 8160 bytes");
            key
        };
        Self { naming: expand(b"fingerprint"), sealing: expand(b"token") }
    }

    pub(crate) fn fingerprint<'a>(
        &self,
        fields: impl IntoIterator<Item = &'a [u8]>,
    ) -> Fingerprint {
        Fingerprint::new(&self.naming, fields)
    }

    /// Seals `token` (XChaCha20-Poly1305, random nonce) for the place in the record that `stored` describes.
    pub(crate) fn seal(
        &self,
        ledger: &str,
        request: Fingerprint,
        stored: &mut StoredToken,
        token: &AccessToken,
    ) {
        let nonce = random_bytes::<NONCE>();
        let aad = associated_data(ledger, request, stored);
        let payload = Payload { msg: token.expose().as_bytes(), aad: &aad };
        let cipher = XChaCha20Poly1305::new(&(*self.sealing).into());
        let sealed =
            cipher.encrypt(&XNonce::from(nonce), payload).expect("a token is shorter than 256 GiB");
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        stored.sealed = STANDARD_NO_PAD.encode(bytes);
    }

    /// Opens what [`seal`](Self::seal) made; `None` for anything else, an altered description included.
    pub(crate) fn open(
        &self,
        ledger: &str,
        request: Fingerprint,
        stored: &StoredToken,
    ) -> Option<AccessToken> {
        let bytes = STANDARD_NO_PAD.decode(&stored.sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let aad = associated_data(ledger, request, stored);
        let cipher = XChaCha20Poly1305::new(&(*self.sealing).into());
        let token =
            cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad }).ok()?;
        AccessToken::parse(String::from_utf8(token).ok()?).ok()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// Binds a sealed token to its ledger, its request, its identity and its times, so that none can be exchanged.
fn associated_data(ledger: &str, request: Fingerprint, stored: &StoredToken) -> Vec<u8> {
    let mut aad = b"token 1".to_vec();
    let (id, cause) = (stored.id.to_string(), stored.cause.to_string());
    let fields: [&[u8]; 6] = [
        ledger.as_bytes(),
        request.as_bytes(),
        id.as_bytes(),
        &stored.sent.as_millis().to_be_bytes(),
        &stored.lifetime_ms.to_be_bytes(),
        cause.as_bytes(),
    ];
    for field in fields {
        aad.extend_from_slice(&(field.len() as u64).to_be_bytes());
        aad.extend_from_slice(field);
    }
    aad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::TokenId;
    use crate::quota::Cause;

    #[test]
    fn a_sealed_token_opens_only_in_its_place() {
        let keys = Keys::derive(b"a secret");
        let (here, there) = (Fingerprint::of(b"here"), Fingerprint::of(b"there"));
        let token = AccessToken::parse("abc.def".to_owned()).unwrap();
        let mut stored = StoredToken {
            id: TokenId::random(),
            sent: Timestamp::from_secs(1),
            lifetime_ms: 1000,
            cause: Cause::Start,
            sealed: String::new(),
        };
        keys.seal("ledger", here, &mut stored, &token);
        assert!(!stored.sealed.contains("abc"));
        assert_eq!(keys.open("ledger", here, &stored).unwrap().expose(), "abc.def");
        assert!(keys.open("other", here, &stored).is_none());
        assert!(keys.open("ledger", there, &stored).is_none());
        assert!(Keys::derive(b"b").open("ledger", here, &stored).is_none());
        stored.lifetime_ms += 1;
        assert!(keys.open("ledger", here, &stored).is_none());
    }
}
