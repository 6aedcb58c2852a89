//! The legacy keys that open an endpoint: kept as hashes, compared in constant time, replaced all at once.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The keys that are good now. Clones are one ring: what is set on one is set on all.
///
/// Only hashes are kept, so neither a dump of the memory nor the file that they come from has a key in it. One round of
/// SHA-256 is enough for keys that a machine has drawn; those that a person has thought up can be guessed from it.
///
/// ```
/// use auth_tower::server::{HashedKey, KeyRing};
///
/// let ring = KeyRing::of_keys([("warehouse", "k-0123456789")]);
/// assert_eq!(ring.check("k-0123456789").unwrap().as_str(), "warehouse");
///
/// // The key is reverted, and another one is made.
/// ring.set([HashedKey::of("warehouse", "k-9876543210")]);
/// assert!(ring.check("k-0123456789").is_none());
/// ```
#[derive(Clone)]
pub struct KeyRing {
    /// Published by a swap; nothing else is synchronised through it. A check that has begun ends with the keys that it began
    /// with, and every one that begins after the swap sees the new ones alone.
    keys: Arc<ArcSwap<Box<[HashedKey]>>>,
}

impl KeyRing {
    /// Of hashes, as a configuration has them. None at all lets nobody in.
    pub fn new(keys: impl IntoIterator<Item = HashedKey>) -> Self {
        Self { keys: Arc::new(ArcSwap::from_pointee(keys.into_iter().collect())) }
    }

    /// Of names and keys, which are hashed and not kept.
    pub fn of_keys<N: Into<String>, K: AsRef<str>>(keys: impl IntoIterator<Item = (N, K)>) -> Self {
        Self::new(keys.into_iter().map(|(name, key)| HashedKey::of(name, key.as_ref())))
    }

    /// The hash of a key, for a configuration.
    pub fn hash(key: &str) -> KeyHash {
        KeyHash(Sha256::digest(key).into())
    }

    /// Puts these keys in the place of all that were there. One that is not among them is refused from now on.
    pub fn set(&self, keys: impl IntoIterator<Item = HashedKey>) {
        self.keys.store(Arc::new(keys.into_iter().collect()));
    }

    /// Which key this is; `None` for one that is not on the ring.
    ///
    /// It takes as long for one as for the other: what is presented is hashed, and compared with every hash in constant time,
    /// whether or not one of them has matched before.
    pub fn check(&self, presented: &str) -> Option<KeyId> {
        let keys = self.keys.load();
        let hash = Self::hash(presented);
        let mut is_known = Choice::from(0);
        let mut place = 0_u64;
        for (at, key) in (0_u64..).zip(keys.iter()) {
            let is_this = key.hash.ct_eq(&hash);
            place.conditional_assign(&at, is_this);
            is_known |= is_this;
        }
        // An empty file has a hash as well, and must not become the key of everybody.
        let is_known = bool::from(is_known) && !presented.is_empty();
        let key = usize::try_from(place).ok().and_then(|place| keys.get(place))?;
        is_known.then(|| key.id.clone())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.load();
        f.debug_tuple("KeyRing").field(&keys.iter().map(|key| &key.id).collect::<Vec<_>>()).finish()
    }
}

/// A key's hash, and what the key is called. Two keys may have one name, as while one takes the other's place.
#[derive(Clone)]
pub struct HashedKey {
    id: KeyId,
    hash: KeyHash,
}

impl HashedKey {
    /// Of a hash that [`KeyRing::hash`] made.
    pub fn new(name: impl Into<String>, hash: KeyHash) -> Self {
        Self { id: KeyId(name.into().into()), hash }
    }

    /// Of a key, which is hashed and not kept.
    pub fn of(name: impl Into<String>, key: &str) -> Self {
        Self::new(name, KeyRing::hash(key))
    }
}

impl fmt::Debug for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HashedKey").field(&self.id).finish()
    }
}

/// What a key is called: no secret, and what logs name it by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The SHA-256 of a key. It has no `PartialEq`: that would stop at the first byte that differs.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// From 64 hexadecimal digits, as `sha256sum` writes them.
    ///
    /// # Errors
    ///
    /// When the text is anything else. The error quotes nothing.
    pub fn from_hex(text: &str) -> Result<Self, HexError> {
        let digits = text.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return Err(HexError);
        }
        for (byte, digits) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |place: usize| char::from(digits[place]).to_digit(16).ok_or(HexError);
            *byte = u8::try_from(digit(0)? << 4 | digit(1)?).map_err(|_| HexError)?;
        }
        Ok(Self(hash))
    }

    /// In 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl ConstantTimeEq for KeyHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        #[cfg(test)]
        tests::COMPARED.with(|compared| compared.set(compared.get() + 1));
        self.0.ct_eq(&other.0)
    }
}

impl From<[u8; 32]> for KeyHash {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// The text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HexError;

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not the SHA-256 of a key: write its 64 hexadecimal digits, and not the key itself",
        )
    }
}

impl StdError for HexError {}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        /// How many hashes this thread has compared.
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    fn compared(ring: &KeyRing, presented: &str) -> (Option<String>, usize) {
        let before = COMPARED.get();
        let found = ring.check(presented).map(|id| id.to_string());
        (found, COMPARED.get() - before)
    }

    // torture: E46
    #[test]
    fn every_hash_is_compared_whichever_of_them_matches() {
        let keys = (0..7).map(|number| (format!("name-{number}"), format!("key-{number}")));
        let ring = KeyRing::of_keys(keys);
        for number in 0..7 {
            let (found, count) = compared(&ring, &format!("key-{number}"));
            assert_eq!((found, count), (Some(format!("name-{number}")), 7));
        }
        for unknown in ["", "key-7", "key-", "key-0 ", "KEY-0"] {
            assert_eq!(compared(&ring, unknown), (None, 7), "{unknown:?}");
        }
        assert_eq!(compared(&KeyRing::new([]), "key-0"), (None, 0));
    }

    // torture: E46
    #[test]
    fn hashes_that_differ_in_one_bit_are_different() {
        let hash = *KeyRing::hash("key").as_bytes();
        for bit in 0..256 {
            let mut other = hash;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(KeyRing::new([HashedKey::new("a", other.into())]).check("key").is_none());
        }
        assert!(KeyRing::new([HashedKey::new("a", hash.into())]).check("key").is_some());
    }

    #[test]
    fn a_key_that_is_taken_off_is_refused_by_every_clone_from_then_on() {
        let ring = KeyRing::of_keys([("a", "old"), ("b", "other")]);
        let clone = ring.clone();
        ring.set([HashedKey::of("a", "new"), HashedKey::of("b", "other")]);
        for ring in [&ring, &clone] {
            assert!(ring.check("old").is_none());
            assert_eq!(ring.check("new").unwrap().as_str(), "a");
            assert_eq!(ring.check("other").unwrap().as_str(), "b");
        }
        clone.set([]);
        assert!(ring.check("new").is_none() && ring.check("other").is_none());
    }

    #[test]
    fn the_hash_of_nothing_lets_nobody_in() {
        assert!(KeyRing::of_keys([("empty", "")]).check("").is_none());
    }

    #[test]
    fn a_hash_is_the_one_that_sha256sum_writes() {
        let hex = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
        assert_eq!(KeyRing::hash("key").to_hex(), hex);
        let upper = KeyHash::from_hex(&hex.to_uppercase()).unwrap();
        let ring = KeyRing::new([HashedKey::new("a", upper)]);
        assert!(ring.check("key").is_some());
        for wrong in
            ["", "key", &hex[1..], &format!("{hex}0"), &hex.replace('c', "g"), &"\u{e9}".repeat(32)]
        {
            assert!(KeyHash::from_hex(wrong).is_err(), "{wrong}");
        }
    }

    // torture: E43
    #[test]
    fn nothing_but_names_is_shown() {
        let ring = KeyRing::of_keys([("warehouse", "canary-key")]);
        let hash = KeyRing::hash("canary-key");
        let shown = format!(
            "{ring:?} {:?} {hash:?} {:?} {HexError}",
            HashedKey::of("warehouse", "canary-key"),
            ring.check("canary-key"),
        );
        assert!(shown.contains("warehouse") && !shown.contains("canary"), "{shown}");
        assert!(
            !shown.contains(&hash.to_hex()[..8])
                && !shown.contains(&format!("{}", hash.as_bytes()[0])),
            "{shown}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn hexadecimal_digits_survive_and_no_text_panics(hash: [u8; 32], text: String) {
            let hash = KeyHash::from(hash);
            let again = KeyHash::from_hex(&hash.to_hex()).unwrap();
            prop_assert_eq!(again.as_bytes(), hash.as_bytes());
            let _ = KeyHash::from_hex(&text);
        }
    }
}
