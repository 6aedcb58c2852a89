//! What can be said about the budget and the token: for a health endpoint, and for the one warning that only a token shows.

use std::time::Duration;

use super::means::Renewal;
use crate::error::Error;
use crate::lifetime::Lifetime;
use crate::metrics;
use crate::quota::window::Human;
use crate::quota::{Cause, Window};
use crate::record::Record;
use crate::status::{Status, TokenStatus, WindowStatus};
use crate::sync::Runtime;
use crate::token::{Freshness, Snapshot};

impl Renewal {
    pub(crate) async fn status(
        &self,
        snapshot: Option<&Snapshot>,
        last_error: Option<Error>,
    ) -> Status {
        let (record, store_error) = if Runtime::current().is_none() {
            let problem = "the store cannot be read outside of a tokio runtime";
            (self.cell.last_seen(), Some(Error::runtime(self.name.clone(), problem)))
        } else {
            match self.cell.read().await {
                Ok((_, record)) => (Some(record), None),
                Err(error) => (self.cell.last_seen(), Some(self.store_error(error))),
            }
        };
        let now = self.clock.now();
        let alive = snapshot.filter(|snapshot| snapshot.freshness_at(now) != Freshness::Expired);
        let usage = |record: &Record| record.ledger.usage(&self.quota, now);
        let windows = record.as_ref().map(usage).unwrap_or_default();
        let identity = self.credentials.now().identity;
        let held = |record: &Record| Some(record.holds.stopping(identity, false, now)?.1);
        let exhausted = |record: &Record| {
            let decided = record.ledger.decide(&self.quota, Cause::Expired, now);
            decided.err().map(|exhausted| exhausted.retry_at)
        };
        let exhausted_until = record.as_ref().and_then(exhausted);
        let ledger = record.as_ref().map(|record| &record.ledger);
        let status = Status {
            credential: self.name.to_string(),
            token: alive.map(|snapshot| TokenStatus {
                generation: snapshot.generation,
                expires_in: snapshot.expires_at.saturating_since(now.wall),
                renew_in: snapshot.renews_in(now.wall),
                suspect: snapshot.suspect,
                outlives_reset: exhausted_until.is_none_or(|until| snapshot.expires_at > until),
            }),
            windows: windows.iter().map(WindowStatus::of).collect(),
            exhausted_until: exhausted_until.map(Into::into),
            left_by_issuer: ledger.and_then(|ledger| ledger.said_left(now)),
            spent_elsewhere: ledger.and_then(|ledger| ledger.elsewhere()).map(Into::into),
            shortfall: snapshot.and_then(|snapshot| self.shortfall(snapshot.lifetime)),
            last_error,
            held_until: record.as_ref().and_then(held).map(Into::into),
            kept_over_restarts: self.cell.is_durable(),
            store_error,
        };
        self.measure(&status);
        status
    }

    fn measure(&self, status: &Status) {
        let expires_in = status.token.map(|token| token.expires_in);
        metrics::expiry(&self.name, expires_in.unwrap_or_default());
        if status.store_error.is_none() {
            metrics::left(&self.name, || status.windows.iter().map(|window| window.left).min());
        }
    }

    /// Token requests left for a caller without a token, by the strictest window, as this process last saw the store; `None`
    /// if no window counts.
    pub(crate) fn units_left(&self) -> Option<u32> {
        let usage = self.cell.last_seen()?.ledger.usage(&self.quota, self.clock.now());
        usage.iter().map(|window| window.left).min()
    }

    /// A quota that cannot keep tokens of this lifetime coming is a plan that fails every day at the same hour.
    pub(crate) fn warn_if_too_short(&self, lifetime: Lifetime) {
        if let Some(shortfall) = self.shortfall(lifetime) {
            tracing::warn!(credential = %self.name, "{shortfall}");
        }
    }

    fn shortfall(&self, lifetime: Lifetime) -> Option<String> {
        let windows = self.quota.windows().iter();
        windows.filter_map(|window| shortfall(window, lifetime.whole())).next()
    }
}

/// The arithmetic, if the window cannot cover its own period with tokens of this lifetime.
fn shortfall(window: &Window, lifetime: Duration) -> Option<String> {
    // Renewals begin at 80 % of the lifetime at the earliest.
    let needed = window.span().as_secs_f64() / (lifetime.as_secs_f64() * 0.8);
    let open = window.limit() - window.reserve();
    (needed > f64::from(open)).then(|| {
        format!(
            "the quota cannot cover the tokens' lifetime: a token lives {} and is renewed at 80 to 90 % of that, which makes \
             up to {:.0} token requests in {}; the quota is {window}, of which {open} are open to renewals",
            Human(lifetime),
            needed.ceil(),
            Human(window.span()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;

    // torture: G62
    #[test]
    fn a_lifetime_that_the_quota_cannot_cover_is_shown_with_its_arithmetic() {
        let quota = Quota::per_day(10);
        let window = &quota.windows()[0];
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(shortfall(window, hours(24)), None);
        let text = shortfall(window, hours(1)).unwrap();
        assert!(
            text.contains("32 token requests in 25 h 1 min")
                && text.contains("10 per 24 h, of which 7"),
            "{text}"
        );
    }
}
