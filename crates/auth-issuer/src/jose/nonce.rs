//! The nonces that the issuer wants in proofs (RFC 9449 §8): made from the time, so that none need be kept.

use std::time::SystemTime;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use subtle::ConstantTimeEq;

use super::jwk::encode;
use crate::clock::unix_seconds;

/// How long a nonce is handed out, in seconds; it is taken as long again.
const PERIOD: u64 = 300;

/// What makes nonces, and knows its own.
pub(crate) struct Nonces(Key);

impl Nonces {
    /// `key` must be random: whoever knows it can make proofs beforehand.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Key::new(HMAC_SHA256, key))
    }

    /// The nonce to hand out.
    pub(crate) fn current(&self, now: SystemTime) -> String {
        self.of(unix_seconds(now) / PERIOD)
    }

    /// Whether `nonce` was handed out lately.
    pub(crate) fn accepts(&self, nonce: &str, now: SystemTime) -> bool {
        let period = unix_seconds(now) / PERIOD;
        let is = |period| self.of(period).as_bytes().ct_eq(nonce.as_bytes());
        (is(period) | is(period.saturating_sub(1))).into()
    }

    fn of(&self, period: u64) -> String {
        encode(&sign(&self.0, &period.to_be_bytes()).as_ref()[..16])
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_nonce_is_taken_for_five_to_ten_minutes_and_by_its_maker_only() {
        let nonces = Nonces::new(&[7; 32]);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let nonce = nonces.current(at(3_000));
        assert_eq!(nonces.current(at(3_299)), nonce);
        assert_ne!(nonces.current(at(3_300)), nonce);
        assert!(nonces.accepts(&nonce, at(3_000)) && nonces.accepts(&nonce, at(3_599)));
        assert!(!nonces.accepts(&nonce, at(3_600)) && !nonces.accepts(&nonce, at(2_999)));
        assert!(!nonces.accepts("", at(3_000)));
        assert!(!Nonces::new(&[8; 32]).accepts(&nonce, at(3_000)));
    }
}
