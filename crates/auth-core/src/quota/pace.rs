//! How far apart the attempts of a failing streak are, so that the units open to it last.
//!
//! Gap `k` is 30 s · r^(k−1), with r ≥ 1 chosen so that all gaps together fill the horizon: quick at first, since most
//! outages are short, and never out of units before the window moves on.

use std::time::Duration;

/// The first gap, and the shortest there is.
pub(crate) const FIRST_GAP: Duration = Duration::from_secs(30);

/// The shortest and the longest wait after a request that never left: it costs nothing.
pub(crate) const UNSENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The gap after failure `k` (from 1) of a streak that began with `open` units to last for `horizon`.
pub(crate) fn gap(k: u32, open: u32, horizon: Duration) -> Duration {
    let Some(ratio) = ratio(open, horizon) else { return horizon.max(FIRST_GAP) };
    let exponent = i32::try_from(k.saturating_sub(1)).unwrap_or(i32::MAX);
    let secs = FIRST_GAP.as_secs_f64() * ratio.powi(exponent);
    Duration::try_from_secs_f64(secs.min(horizon.as_secs_f64())).unwrap_or(horizon).max(FIRST_GAP)
}

/// The wait after `attempts` requests in a row (from 1) that never left this machine.
pub(crate) fn unsent_gap(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(5);
    (UNSENT.0 * 2u32.pow(doublings)).min(UNSENT.1)
}

/// r with 30 s · (r^open − 1)/(r − 1) = horizon, at least 1; `None` when a single unit has to last.
fn ratio(open: u32, horizon: Duration) -> Option<f64> {
    if open <= 1 {
        return None;
    }
    let gaps = horizon.as_secs_f64() / FIRST_GAP.as_secs_f64();
    let terms = i32::try_from(open).unwrap_or(i32::MAX);
    if f64::from(open) >= gaps {
        return Some(1.0);
    }
    // r is below `gaps`, since the second of at least two terms alone is r.
    let (mut low, mut high) = (1.0, gaps.max(2.0));
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        let sum = (middle.powi(terms) - 1.0) / (middle - 1.0);
        if sum > gaps {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The gaps of a streak fill the horizon and do not shrink.
        #[test]
        fn the_units_last_the_horizon(open in 2u32..1000, hours in 1u64..100) {
            let horizon = Duration::from_secs(hours * 3600);
            let gaps: Vec<_> = (1..=open).map(|k| gap(k, open, horizon)).collect();
            prop_assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert_eq!(gaps[0], FIRST_GAP);
            let total: Duration = gaps.iter().sum();
            prop_assert!(total + Duration::from_secs(1) >= horizon);
        }
    }

    #[test]
    fn a_single_unit_waits_for_the_whole_horizon() {
        let day = Duration::from_secs(86_400);
        assert_eq!(gap(1, 1, day), day);
        assert_eq!(gap(1, 0, day), day);
    }

    #[test]
    fn what_never_left_is_tried_again_within_half_a_minute() {
        let gaps: Vec<_> = (1..=8).map(|k| unsent_gap(k).as_secs()).collect();
        assert_eq!(gaps, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
