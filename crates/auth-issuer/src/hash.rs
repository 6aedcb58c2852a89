//! Secrets and keys at rest: what is kept of them is a digest, and it is compared in constant time.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq as _;

/// The SHA-256 of a secret.
///
/// Secrets made here have 256 random bits, which no slow hash has to protect. It is of one length whatever the secret's is,
/// so that the comparison tells nothing of it.
#[derive(Clone, Copy)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(crate) fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(hash)
    }

    /// Whether `secret` is the one that this is the hash of.
    pub(crate) fn matches(&self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

impl Serialize for SecretHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&hex)
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("a hash has 64 hexadecimal digits");
        let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(pair[0] << 4 | pair[1]).map_err(de::Error::custom)?;
        }
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_secret_alone_and_is_read_back() {
        let hash = SecretHash::of("s3cret");
        let text = serde_json::to_string(&hash).unwrap();
        assert!(!text.contains("s3cret") && !format!("{hash:?}").contains("s3cret"));
        let read: SecretHash = serde_json::from_str(&text).unwrap();
        assert!(read.matches("s3cret"));
        assert!(!read.matches("s3cre") && !read.matches("s3cret ") && !read.matches(""));
        for wrong in
            ["\"\"", "\"zz\"", "7", &text.replacen(|c: char| c.is_ascii_hexdigit(), "g", 1)]
        {
            assert!(serde_json::from_str::<SecretHash>(wrong).is_err());
        }
    }
}
