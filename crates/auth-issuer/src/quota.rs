//! How many token requests a client may make: a pure rolling window.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// The rule: so many token requests in any span of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// `None` is without limit.
    pub(crate) limit: Option<u32>,
    pub(crate) window: Duration,
}

/// The spends of one client that may still count.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RollingWindow {
    /// In the order of arrival, which a clock that was set back can make differ from the order of time.
    spends: VecDeque<SystemTime>,
}

/// No unit is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverQuota {
    /// How long until the next unit opens; a whole window if the limit is zero, and none ever does.
    pub(crate) retry_after: Duration,
}

impl RollingWindow {
    /// Spends one unit at `now`.
    ///
    /// A unit spent at `t` is back at exactly `t + window`: a caller that waits as long as it was told is served.
    ///
    /// # Errors
    ///
    /// When the units of the window that ends at `now` are all spent; that costs none.
    pub(crate) fn spend(&mut self, quota: Quota, now: SystemTime) -> Result<(), OverQuota> {
        let Some(limit) = quota.limit else { return Ok(()) };
        let back = |spend: &SystemTime| spend.checked_add(quota.window);
        self.spends.retain(|spend| back(spend).is_none_or(|back| back > now));
        if self.spends.len() < limit as usize {
            self.spends.push_back(now);
            return Ok(());
        }
        let next = self.spends.iter().filter_map(back).min();
        let wait = next.and_then(|next| next.duration_since(now).ok());
        Err(OverQuota { retry_after: wait.unwrap_or(quota.window) })
    }
}

impl Default for Quota {
    /// Ten in any 24 hours.
    fn default() -> Self {
        Self { limit: Some(10), window: Duration::from_secs(24 * 60 * 60) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_more_than_the_limit_in_any_window(
            limit in 1_u32..5,
            steps in prop::collection::vec(0_u64..40, 1..60),
        ) {
            let quota = Quota { limit: Some(limit), window: Duration::from_secs(60) };
            let mut window = RollingWindow::default();
            let mut now = UNIX_EPOCH;
            let mut granted = Vec::new();
            for step in steps {
                now += Duration::from_secs(step);
                if window.spend(quota, now).is_ok() {
                    granted.push(now);
                }
            }
            for end in &granted {
                let inside = granted.iter().filter(|&at| at <= end && *at + quota.window > *end).count();
                prop_assert!(inside <= limit as usize);
            }
        }

        #[test]
        fn a_refused_spend_is_served_exactly_when_it_was_told(limit in 1_u32..5, gap in 1_u64..30) {
            let quota = Quota { limit: Some(limit), window: Duration::from_secs(600) };
            let mut window = RollingWindow::default();
            let mut now = UNIX_EPOCH;
            let retry_after = loop {
                match window.spend(quota, now) {
                    Ok(()) => now += Duration::from_secs(gap),
                    Err(refused) => break refused.retry_after,
                }
            };
            prop_assert!(window.spend(quota, now + retry_after - Duration::from_nanos(1)).is_err());
            prop_assert!(window.spend(quota, now + retry_after).is_ok());
        }
    }

    #[test]
    fn a_limit_of_none_is_never_reached_and_one_of_zero_always() {
        let mut window = RollingWindow::default();
        let mut quota = Quota { limit: None, ..Quota::default() };
        assert!((0..1000).all(|_| window.spend(quota, UNIX_EPOCH).is_ok()));
        quota.limit = Some(0);
        assert_eq!(window.spend(quota, UNIX_EPOCH), Err(OverQuota { retry_after: quota.window }));
    }
}
