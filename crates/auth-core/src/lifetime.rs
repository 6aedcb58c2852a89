//! How long a token lives, from what the answer and the token say of themselves.
//!
//! The local clock is not trusted with it: a laptop whose clock is hours wrong must not throw a paid token away. So the
//! lifetime is counted from the moment the request was sent, and taken from `expires_in` or from `exp − iat`; `exp` is
//! held against the local clock only when there is nothing better.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::jwt::{Claim, Claims};

/// No lifetime is believed beyond this.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What is taken off the end for skew and latency, and never more than a tenth of the whole.
const MARGIN: Duration = Duration::from_secs(60);

/// A token's lifetime: positive, and at most 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime(Duration);

impl Lifetime {
    /// `min(expires_in, exp − iat)`; without `iat`, `exp` against the clock; without both, `fallback`.
    ///
    /// # Errors
    ///
    /// In words: that the token is dead by its own claims, or that nothing says how long it lives.
    pub(crate) fn of(
        expires_in: Option<f64>,
        claims: Option<Claims>,
        fallback: Option<Duration>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let stated = expires_in.map(from_expires_in).transpose()?;
        let claims = claims.unwrap_or_default();
        let claimed = match (claims.exp, claims.iat) {
            (Claim::Value(exp), Claim::Value(iat)) => {
                if exp <= iat {
                    return Err("the token is dead by its own claims: its `exp` is not after its `iat`; the issuer's clock or \
                                lifetime setting is wrong"
                        .to_owned());
                }
                Some(Duration::from_secs(exp.abs_diff(iat)))
            }
            (Claim::Value(exp), _) => {
                let left = Timestamp::from_secs(exp).saturating_since(now);
                if left.is_zero() && stated.is_none() {
                    return Err(format!(
                        "the token is dead by its own claims: its `exp` is {}, and the clock here says {now}; check this \
                         machine's clock",
                        Timestamp::from_secs(exp)
                    ));
                }
                // With a stated lifetime a dead `exp` speaks of the clock here, not of the token.
                Some(left).filter(|left| !left.is_zero())
            }
            (Claim::Malformed, _) if stated.is_none() => {
                return Err(
                    "the answer has no `expires_in`, and the token's `exp` is not a number"
                        .to_owned(),
                );
            }
            (Claim::Malformed | Claim::Absent, _) => None,
        };
        let lifetime = match (stated, claimed) {
            (Some(stated), Some(claimed)) => stated.min(claimed),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => fallback.ok_or(
                "neither `expires_in` in the answer nor `exp` in the token says how long it lives; set \
                 `default_lifetime` if you know it",
            )?,
        };
        Ok(Self(lifetime.clamp(Duration::from_millis(1), LONGEST)))
    }

    pub(crate) fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis).clamp(Duration::from_millis(1), LONGEST))
    }

    pub(crate) fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn whole(self) -> Duration {
        self.0
    }

    /// The end, less the margin.
    pub(crate) fn expires_at(self, sent: Timestamp) -> Timestamp {
        sent + (self.0 - MARGIN.min(self.0 / 10))
    }

    /// Between 80 and 90 % of the lifetime, where `jitter` in 0..=1 says.
    pub(crate) fn renew_at(self, sent: Timestamp, jitter: f64) -> Timestamp {
        sent + self.0.mul_f64(0.8 + 0.1 * jitter.clamp(0.0, 1.0))
    }
}

fn from_expires_in(seconds: f64) -> Result<Duration, String> {
    if seconds.is_nan() || seconds <= 0.0 {
        return Err("`expires_in` says that the token is dead on arrival".to_owned());
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn claims(exp: Claim, iat: Claim) -> Option<Claims> {
        Some(Claims { exp, iat })
    }

    // torture: D25
    #[test]
    fn without_expires_in_the_claims_decide_then_the_setting_then_an_error() {
        let exp = Claim::Value(1_800_000_000 + 3600);
        let of = |claims, fallback| Lifetime::of(None, claims, fallback, NOW).map(Lifetime::whole);
        let hour = Duration::from_secs(3600);
        assert_eq!(of(claims(exp, Claim::Absent), None), Ok(hour));
        assert_eq!(of(claims(exp, Claim::Value(1_800_000_000 - 3600)), None), Ok(2 * hour));
        assert_eq!(of(None, Some(hour)), Ok(hour));
        assert!(of(None, None).unwrap_err().contains("default_lifetime"));
        assert!(
            of(claims(Claim::Malformed, Claim::Absent), Some(hour)).unwrap_err().contains("`exp`")
        );
    }

    proptest! {
        // torture: D26
        #[test]
        fn any_expires_in_is_clamped_or_refused(seconds in any::<f64>()) {
            match Lifetime::of(Some(seconds), None, None, NOW) {
                Ok(lifetime) => {
                    prop_assert!(seconds > 0.0);
                    prop_assert!(lifetime.whole() <= LONGEST && !lifetime.whole().is_zero());
                    prop_assert!(lifetime.renew_at(NOW, 0.5) <= lifetime.expires_at(NOW));
                }
                Err(_) => prop_assert!(seconds.is_nan() || seconds <= 0.0),
            }
        }

        // torture: D29
        #[test]
        fn the_earlier_of_expires_in_and_exp_wins(stated in 1u32..100_000, claimed in 1i64..100_000) {
            let claims = claims(Claim::Value(5_000 + claimed), Claim::Value(5_000));
            let lifetime = Lifetime::of(Some(f64::from(stated)), claims, None, NOW).unwrap();
            prop_assert_eq!(lifetime.whole().as_secs(), u64::from(stated).min(claimed.unsigned_abs()));
        }

        // torture: D30
        /// However wrong the local clock is, a token with `expires_in` or with both claims lives as long as they say.
        #[test]
        fn a_wrong_local_clock_throws_no_token_away(wrong in -1_000_000i64..1_000_000, with_iat in any::<bool>()) {
            let now = Timestamp::from_secs(1_800_000_000 + wrong);
            let iat = if with_iat { Claim::Value(1_800_000_000) } else { Claim::Absent };
            let claims = claims(Claim::Value(1_800_000_000 + 86_400), iat);
            let lifetime = Lifetime::of(Some(86_400.0), claims, None, now).unwrap();
            prop_assert!(lifetime.whole() <= Duration::from_secs(86_400));
            prop_assert!(with_iat <= (lifetime.whole() == Duration::from_secs(86_400)));
            let by_claims = Lifetime::of(None, claims, None, now);
            prop_assert_eq!(by_claims.is_ok(), with_iat || wrong < 86_400);
            if let Err(error) = by_claims {
                prop_assert!(error.contains("clock"));
            }
        }
    }

    #[test]
    fn a_token_that_is_dead_by_its_own_claims_is_an_error() {
        let dead = claims(Claim::Value(5), Claim::Value(5));
        assert!(Lifetime::of(Some(60.0), dead, None, NOW).unwrap_err().contains("clock"));
    }

    #[test]
    fn renewal_begins_between_80_and_90_percent_and_the_margin_is_a_tenth_at_most() {
        let day = Lifetime(Duration::from_secs(86_400));
        let zero = Timestamp::from_secs(0);
        assert_eq!(day.renew_at(zero, 0.0), Timestamp::from_secs(69_120));
        assert_eq!(day.renew_at(zero, 1.0), Timestamp::from_secs(77_760));
        assert_eq!(day.expires_at(zero), Timestamp::from_secs(86_340));
        assert_eq!(Lifetime(Duration::from_secs(10)).expires_at(zero), Timestamp::from_secs(9));
    }
}
