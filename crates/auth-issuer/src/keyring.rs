//! Which keys of an issuer sign, verify and are published, while they rotate: pure.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::unix_seconds;
use crate::jose::encode;
use crate::keys::SigningKey;

/// The key that signs, and those before it whose tokens may still live.
pub(crate) struct KeyRing {
    current: SigningKey,
    /// When the last token of `current` is dead, in Unix seconds.
    tokens_until: u64,
    old: Vec<Old>,
    /// How many keys were ordered, `current` included.
    ordered: usize,
}

struct Old {
    key: SigningKey,
    tokens_until: u64,
}

/// What is kept of the keys over a restart: private keys, in PKCS#8 and base64url.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedKeys {
    /// The one that signs is the last.
    keys: Vec<SavedKey>,
    ordered: usize,
}

#[derive(Serialize, Deserialize)]
struct SavedKey {
    pkcs8: String,
    tokens_until: u64,
}

impl KeyRing {
    /// What is to be kept of it.
    pub(crate) fn saved(&self) -> SavedKeys {
        let old = self.old.iter().map(|old| (&old.key, old.tokens_until));
        let all = old.chain([(&self.current, self.tokens_until)]);
        let keys = all.map(|(key, tokens_until)| SavedKey {
            pkcs8: encode(key.to_pkcs8().expose_secret()),
            tokens_until,
        });
        SavedKeys { keys: keys.collect(), ordered: self.ordered }
    }

    /// The ring that was saved; `None` if it is none. The key that signs may have signed tokens since that live until
    /// `tokens_until`, in Unix seconds.
    pub(crate) fn restored(saved: &SavedKeys, tokens_until: u64) -> Option<Self> {
        let key = |saved: &SavedKey| {
            let pkcs8 = URL_SAFE_NO_PAD.decode(&saved.pkcs8).ok()?;
            let key = SigningKey::from_pkcs8(&pkcs8).ok()?;
            Some(Old { key, tokens_until: saved.tokens_until })
        };
        let mut old: Vec<Old> = saved.keys.iter().map(key).collect::<Option<_>>()?;
        let Old { key: current, tokens_until: saved_until } = old.pop()?;
        let tokens_until = tokens_until.max(saved_until);
        Some(Self { current, tokens_until, old, ordered: saved.ordered })
    }

    pub(crate) fn new(current: SigningKey) -> Self {
        Self { current, tokens_until: 0, old: Vec::new(), ordered: 1 }
    }

    /// The key to sign a token with that lives until `expires_at`.
    pub(crate) fn signer(&mut self, expires_at: u64) -> SigningKey {
        self.tokens_until = self.tokens_until.max(expires_at);
        self.current.clone()
    }

    /// The key whose tokens say `kid`. A key that is past its last token is one still: its tokens are dead anyway.
    pub(crate) fn verifier(&self, kid: &str) -> Option<&SigningKey> {
        let old = self.old.iter().map(|old| &old.key);
        std::iter::once(&self.current).chain(old).find(|key| key.kid() == kid)
    }

    /// The public keys whose tokens may live at `now`, the current one first.
    pub(crate) fn published(&self, now: SystemTime) -> Vec<Value> {
        let now = unix_seconds(now);
        let old = self.old.iter().filter(|old| old.tokens_until > now).map(|old| &old.key);
        std::iter::once(&self.current).chain(old).map(|key| key.jwk().clone()).collect()
    }

    /// The number of the next key, which nobody else gets.
    pub(crate) fn order(&mut self) -> usize {
        self.ordered += 1;
        self.ordered - 1
    }

    /// Signs with `key` from now on. The one before it verifies until the last token that it has signed, or may be about
    /// to sign, is dead.
    ///
    /// `now` is what tokens are dated by, `over` the time up to which they are over by whatever clock: one that is ahead for a
    /// while takes no key from tokens that are good when it is right again.
    pub(crate) fn rotate(
        &mut self,
        key: SigningKey,
        now: SystemTime,
        over: SystemTime,
        lifetime: Duration,
    ) {
        if key.kid() == self.current.kid() {
            return;
        }
        let (now, over) = (unix_seconds(now), unix_seconds(over));
        let until = self.tokens_until.max(now.saturating_add(lifetime.as_secs()));
        // A key that comes back keeps its tokens.
        let back = self.old.iter().find(|old| old.key.kid() == key.kid());
        self.tokens_until = back.map_or(0, |old| old.tokens_until);
        self.old.retain(|old| old.tokens_until > over && old.key.kid() != key.kid());
        let key = std::mem::replace(&mut self.current, key);
        self.old.push(Old { key, tokens_until: until });
    }

    /// Forgets all keys but the current one, and so all of their tokens.
    pub(crate) fn retire(&mut self) {
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn key(number: usize) -> SigningKey {
        SigningKey::pooled(number).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn published(ring: &KeyRing, now: u64) -> Vec<String> {
        let kids = ring.published(at(now));
        kids.iter().map(|jwk| jwk["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn an_old_key_stays_until_the_last_of_its_tokens_is_dead() {
        let (one, two) = (key(0), key(1));
        let mut ring = KeyRing::new(one.clone());
        // Signed before the clock was set back.
        ring.signer(500);
        ring.rotate(two.clone(), at(100), at(100), Duration::from_secs(60));
        assert_eq!(ring.signer(160).kid(), two.kid());
        assert_eq!(published(&ring, 499), [two.kid(), one.kid()]);
        assert_eq!(published(&ring, 500), [two.kid()]);

        // A token that is being signed at this moment counts.
        ring.rotate(one.clone(), at(100), at(100), Duration::from_secs(60));
        assert_eq!(published(&ring, 159), [one.kid(), two.kid()]);
        assert_eq!(published(&ring, 160), [one.kid()]);
        // And the one that came back has its tokens from before.
        ring.rotate(two.clone(), at(200), at(200), Duration::from_secs(60));
        assert_eq!(published(&ring, 499), [two.kid(), one.kid()]);
    }

    #[test]
    fn a_retired_key_verifies_nothing() {
        let (one, two) = (key(0), key(1));
        let mut ring = KeyRing::new(one.clone());
        ring.rotate(two.clone(), at(0), at(0), Duration::from_secs(60));
        assert!(ring.verifier(one.kid()).is_some());
        ring.retire();
        assert!(ring.verifier(one.kid()).is_none());
        assert!(ring.verifier(two.kid()).is_some());
        assert_eq!(published(&ring, 0), [two.kid()]);
    }

    #[test]
    fn the_same_key_again_changes_nothing_and_dead_keys_are_forgotten() {
        let mut ring = KeyRing::new(key(0));
        ring.rotate(key(0), at(0), at(0), Duration::from_secs(60));
        assert!(ring.old.is_empty());
        for turn in 1..20 {
            ring.rotate(
                key(turn % 2),
                at(turn as u64 * 1000),
                at(turn as u64 * 1000),
                Duration::from_secs(60),
            );
            assert!(ring.old.len() <= 1);
        }
        assert_eq!((ring.order(), ring.order()), (1, 2));
    }
}
