//! The ledger: every token request that may have reached the issuer, and whether one more may be made.
//!
//! Pure: a history and a clock reading in, an answer out. What is in doubt counts as spent.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::{Human, Quota, Window};
use crate::clock::{BootTime, Now, Timestamp};
use crate::failure::FailureKind;
use crate::fingerprint::Fingerprint;
use crate::id::FlightId;

/// History older than the longest window is kept for this long, so that a wrong clock does not forget a spend.
const KEPT_LONGER: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a token is requested.
///
/// Only [`Expiring`](Self::Expiring) is proactive: a valid token is still there, so it leaves ⌊3·limit/10⌋ of every window
/// to the other causes. [`Refused`](Self::Refused) may have max(1, ⌊limit/5⌋) of every window, so that APIs that answer 401
/// to everything do not eat the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// There has been no token in this process yet.
    Start,
    /// The token is valid and grows old.
    Expiring,
    /// The token's time is over.
    Expired,
    /// The API answered 401 to the token.
    Refused,
    /// The secret changed.
    Rotated,
    /// The user asked.
    Manual,
}

impl Cause {
    pub(crate) fn is_proactive(self) -> bool {
        self == Self::Expiring
    }

    /// How much of a window's limit is open to this cause.
    fn share(self, limit: u32) -> u32 {
        if self.is_proactive() { limit - reserve(limit) } else { limit }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Rotated => "rotated",
            Self::Manual => "manual",
        })
    }
}

/// What a spend came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Under way, or never reported.
    Pending,
    /// A token.
    Token,
    /// No token.
    Failed(FailureKind),
}

/// One token request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spend {
    pub(crate) id: FlightId,
    /// When it was decided, which is before a byte was sent.
    pub(crate) at: Timestamp,
    pub(crate) boot: BootTime,
    pub(crate) cause: Cause,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) outcome: Outcome,
}

impl Spend {
    /// A request that is decided now, before a byte of it is sent.
    pub(crate) fn new(id: FlightId, cause: Cause, fingerprint: Fingerprint, now: Now) -> Self {
        Self { id, at: now.wall, boot: now.boot, cause, fingerprint, outcome: Outcome::Pending }
    }

    /// How old the spend is, in milliseconds: by the smaller of both clocks within one boot, so that a clock that is set
    /// forward opens no slot. Negative for a spend that is dated in the future, which counts.
    fn age(&self, now: Now) -> i64 {
        let wall = now.wall.as_millis().saturating_sub(self.at.as_millis());
        match now.boot.since(self.boot) {
            Some(boot) => wall.min(millis(boot)),
            None => wall,
        }
    }

    /// When the spend leaves a window of this span, as seen from `now`.
    fn leaves(&self, span: Duration, now: Now) -> Timestamp {
        let left = millis(span).saturating_sub(self.age(now));
        Timestamp::from_millis(now.wall.as_millis().saturating_add(left))
    }

    /// Whether nobody has said yet what it came to.
    pub(crate) fn is_unreported(&self) -> bool {
        matches!(self.outcome, Outcome::Pending | Outcome::Failed(FailureKind::Lost))
    }

    pub(crate) fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// The spends of one OAuth client, oldest first, and every window that any writer held them against.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    #[serde(default)]
    windows: Vec<Window>,
    #[serde(default)]
    spends: Vec<Spend>,
}

impl Ledger {
    pub(crate) fn spends(&self) -> &[Spend] {
        &self.spends
    }

    /// Whether one more request may be made for `cause`. The strictest of all windows decides, whoever brought it along.
    pub(crate) fn decide(&self, quota: &Quota, cause: Cause, now: Now) -> Result<(), Exhausted> {
        let refusals =
            self.all_windows(quota).filter_map(|window| self.decide_window(window, cause, now));
        refusals.max_by_key(|refusal| refusal.retry_at).map_or(Ok(()), Err)
    }

    fn decide_window(&self, window: Window, cause: Cause, now: Now) -> Option<Exhausted> {
        let counted = self.leaving(window, now, |_| true);
        let share = cause.share(window.limit());
        let mut retry_at = frees(&counted, share);
        if cause == Cause::Refused {
            let refused = self.leaving(window, now, |spend| spend.cause == Cause::Refused);
            retry_at = retry_at.max(frees(&refused, refused_share(window.limit())));
        }
        let spent = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        retry_at.map(|retry_at| Exhausted { window, spent, cause, retry_at })
    }

    /// Writes one more request down, and the rules it was held against.
    pub(crate) fn append(&mut self, spend: Spend, quota: &Quota, now: Now) {
        for window in quota.windows() {
            if !self.windows.contains(window) {
                self.windows.push(*window);
            }
        }
        self.prune(now);
        self.spends.push(spend);
    }

    /// Sets what a spend came to; `None` when it is not there.
    pub(crate) fn settle(&mut self, id: FlightId, outcome: Outcome) -> Option<&Spend> {
        let spend = self.spends.iter_mut().find(|spend| spend.id == id)?;
        spend.outcome = outcome;
        Some(spend)
    }

    /// Takes a spend out: only for a request that is known not to have left this machine.
    pub(crate) fn give_back(&mut self, id: FlightId) {
        self.spends.retain(|spend| spend.id != id);
    }

    /// Until when the last request that answered a refusal of `request`'s token forbids another: `length` after it, if it
    /// was not decided before `after`.
    pub(crate) fn refused_until(
        &self,
        request: Fingerprint,
        after: Option<Timestamp>,
        length: Duration,
        now: Now,
    ) -> Option<Timestamp> {
        let answers = |spend: &&Spend| {
            spend.cause == Cause::Refused
                && spend.fingerprint == request
                && after.is_none_or(|after| spend.at >= after)
        };
        let until = self.spends.iter().rev().find(answers)?.leaves(length, now);
        (until > now.wall).then_some(until)
    }

    /// What each window has seen and has left, whoever brought it along.
    pub(crate) fn usage(&self, quota: &Quota, now: Now) -> Vec<WindowUsage> {
        let usage = |window| {
            let counted = self.leaving(window, now, |_| true);
            let spent = u32::try_from(counted.len()).unwrap_or(u32::MAX);
            WindowUsage { window, spent, next_slot: counted.first().copied() }
        };
        self.all_windows(quota).map(usage).collect()
    }

    /// For every window: how many more requests `cause` could have made at `now`, leaving out the spends from index
    /// `before` on, and how long the window is.
    pub(crate) fn open_before(
        &self,
        before: usize,
        quota: &Quota,
        cause: Cause,
        now: Now,
    ) -> Vec<(u32, Duration)> {
        self.all_windows(quota)
            .map(|window| {
                let earlier = &self.spends[..before];
                let counted =
                    earlier.iter().filter(|spend| spend.age(now) < millis(window.span())).count();
                let counted = u32::try_from(counted).unwrap_or(u32::MAX);
                (cause.share(window.limit()).saturating_sub(counted), window.span())
            })
            .collect()
    }

    fn all_windows<'a>(&'a self, quota: &'a Quota) -> impl Iterator<Item = Window> + 'a {
        let others = self.windows.iter().filter(|window| !quota.windows().contains(window));
        quota.windows().iter().chain(others).copied()
    }

    /// When each spend that `counts` leaves the window, soonest first; those that left already are not in it.
    fn leaving(&self, window: Window, now: Now, counts: impl Fn(&Spend) -> bool) -> Vec<Timestamp> {
        let inside = self.spends.iter().filter(|spend| counts(spend));
        let mut leaving: Vec<_> = inside
            .map(|spend| spend.leaves(window.span(), now))
            .filter(|leaves| *leaves > now.wall)
            .collect();
        leaving.sort_unstable();
        leaving
    }

    fn prune(&mut self, now: Now) {
        let longest = self.windows.iter().map(Window::span).max().unwrap_or_default();
        let kept = millis(longest.saturating_add(KEPT_LONGER));
        self.spends.retain(|spend| spend.age(now) < kept);
    }
}

/// The ledger's refusal: why, and the first moment at which it will allow the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    window: Window,
    spent: u32,
    cause: Cause,
    pub(crate) retry_at: Timestamp,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.window.limit();
        write!(
            f,
            "{} of {limit} token requests are spent in {} (counted over {})",
            self.spent,
            Human(self.window.period()),
            Human(self.window.span()),
        )?;
        if self.cause.is_proactive() && reserve(limit) > 0 {
            write!(f, ", and {} are held back from renewals ahead of time", reserve(limit))?;
        }
        if self.cause == Cause::Refused {
            write!(f, ", and at most {} may answer a refusal", refused_share(limit))?;
        }
        write!(f, "; the next slot opens at {}", self.retry_at)
    }
}

/// What one window has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowUsage {
    pub(crate) window: Window,
    pub(crate) spent: u32,
    /// When the oldest of the spends leaves the window.
    pub(crate) next_slot: Option<Timestamp>,
}

/// When fewer than `limit` are left in the window, if that is not so already.
fn frees(leaving: &[Timestamp], limit: u32) -> Option<Timestamp> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    leaving.len().checked_sub(limit).map(|over| leaving[over])
}

/// What renewals ahead of time leave to the other causes.
fn reserve(limit: u32) -> u32 {
    limit / 10 * 3 + limit % 10 * 3 / 10
}

fn refused_share(limit: u32) -> u32 {
    (limit / 5).max(1)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// How many units renewals ahead of time may use of this limit.
pub(crate) fn proactive_share(limit: u32) -> u32 {
    Cause::Expiring.share(limit)
}

#[cfg(test)]
mod tests;
