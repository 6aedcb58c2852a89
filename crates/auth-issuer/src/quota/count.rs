//! What one client has spent, and when it may spend again.

use std::collections::VecDeque;
use std::iter;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::rule::Quota;
use super::window::Window;
use crate::moment::{self, Moment};

/// How many spends are held, and for how long, whether they count by today's rule or not: so that another rule finds them.
const HELD: usize = 1_000;
const HELD_FOR: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The spends of one client that may still count.
///
/// It holds all that count in a window of the quota, up to the largest limit, and those that a lag keeps unseen; and of the
/// last 31 days up to 1,000, which count as soon as another quota asks for them. Stored and read again, it counts as before.
///
/// What is out of all windows and older than 31 days is forgotten when the next unit is asked for, by the clock of that moment: a
/// clock that was further ahead than that and is set back finds those units free. One that stays within 31 days frees none.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use auth_issuer::{Quota, Spends};
///
/// let (quota, noon) = (Quota::per_day(1), SystemTime::UNIX_EPOCH + Duration::from_secs(43_200));
/// let mut spends = Spends::default();
/// assert!(spends.spend(&quota, noon).is_ok());
/// let over = spends.spend(&quota, noon + Duration::from_secs(60)).unwrap_err();
/// assert_eq!(over.retry_after, Duration::from_secs(86_400 - 60));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spends {
    /// Those that count, in the order of time, which a clock that was set back makes another one than that of arrival.
    #[serde(deserialize_with = "moment::sorted")]
    seen: VecDeque<Moment>,
    /// Those that the lag hides as yet, in the same order. One that was seen is never hidden again, wherever the clock goes.
    #[serde(default, deserialize_with = "moment::sorted")]
    unseen: VecDeque<Moment>,
}

/// No unit is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverQuota {
    /// The first moment at which one more is allowed, if nothing else is spent; `None` if it never is: the limit is zero.
    pub opens_at: Option<SystemTime>,
    /// How long that is from now; to the end of a whole window if it never comes.
    pub retry_after: Duration,
}

/// What is left of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowLeft {
    /// [`Window::name`].
    pub name: String,
    /// How many units it has.
    pub limit: u32,
    /// How many of them are left, as far as the lag lets it be seen.
    pub left: u32,
    /// How long until all of them are: to the end of the period, or until the last one that was spent is back.
    pub resets_in: Duration,
}

/// How a client stands with the window that is nearest to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// `None` is without limit.
    pub(crate) limit: Option<u32>,
    pub(crate) spent: u32,
    /// When the last of these was spent: those after it are hidden by the lag.
    pub(crate) last: Option<SystemTime>,
    /// When the next unit is back, if one is spent; in a window that is full, when one more is allowed by all of them.
    pub(crate) next: Option<SystemTime>,
}

impl Spends {
    /// Spends one unit of each window at `now`.
    ///
    /// A spend that lies in the future, since the clock was set back, counts: no unit is freed by it, but for those that were
    /// [forgotten](Self) while the clock was ahead.
    ///
    /// # Errors
    ///
    /// When one of the windows has no unit left at `now`; that costs none.
    pub fn spend(&mut self, quota: &Quota, now: SystemTime) -> Result<(), OverQuota> {
        let at = Moment::from(now);
        self.settle(quota, at);
        let opens = self.opens(quota, at);
        if opens != Some(at) {
            return Err(self.over(quota, opens, now));
        }
        self.put(quota, at);
        Ok(())
    }

    /// Counts a spend that was allowed at `at`, whatever `quota` says of it: the rule of that time was another one.
    pub(crate) fn restore(&mut self, quota: &Quota, at: SystemTime) {
        let at = Moment::from(at);
        self.settle(quota, at);
        self.put(quota, at);
    }

    fn put(&mut self, quota: &Quota, at: Moment) {
        let spends = if quota.seen_after().is_zero() { &mut self.seen } else { &mut self.unseen };
        insert(spends, at);
    }

    /// What is left of each window at `now`, in the order of the quota.
    #[must_use]
    pub fn left(&self, quota: &Quota, now: SystemTime) -> Vec<WindowLeft> {
        let (spends, at) = self.settled(quota, now);
        spends.left_settled(quota, at)
    }

    /// The first moment from `now` on at which one more is allowed; `None` if it never is.
    #[must_use]
    pub fn next_opens(&self, quota: &Quota, now: SystemTime) -> Option<SystemTime> {
        let (spends, at) = self.settled(quota, now);
        now.checked_add(spends.opens(quota, at)?.since(at))
    }

    /// How many of the spends that are seen at `now` count in `window`, which is one of the quota's: never more than are
    /// [kept](Self).
    #[must_use]
    pub fn spent_in_window(&self, quota: &Quota, window: &Window, now: SystemTime) -> usize {
        let (spends, at) = self.settled(quota, now);
        spends.counted(window, at)
    }

    /// How it stands with the window of which the fewest units are left.
    pub(crate) fn standing(&self, quota: &Quota, now: SystemTime) -> Standing {
        let (spends, at) = self.settled(quota, now);
        let left = |window: &Window| {
            let spent = spends.counted(window, at);
            (window.limit() as usize).saturating_sub(spent)
        };
        let Some(window) = quota.windows().iter().min_by_key(|window| left(window)) else {
            return Standing { limit: None, spent: 0, last: None, next: None };
        };
        let counted = spends.counted(window, at);
        let oldest = spends.seen.iter().rev().take(counted).next_back();
        let next = match left(window) {
            0 => spends.opens(quota, at),
            _ => oldest.map(|spend| window.back(*spend)),
        };
        Standing {
            limit: Some(window.limit()),
            spent: u32::try_from(counted).unwrap_or(u32::MAX),
            last: spends.seen.back().and_then(|last| last.time()),
            next: next.and_then(|next| now.checked_add(next.since(at))),
        }
    }

    /// The same as [`left`](Self::left), right after a spend at the same time.
    pub(super) fn left_settled(&self, quota: &Quota, now: Moment) -> Vec<WindowLeft> {
        let left = |window: &Window| {
            let spent = u32::try_from(self.counted(window, now)).unwrap_or(u32::MAX);
            let last = self.seen.back().copied().filter(|last| window.back(*last) > now);
            WindowLeft {
                name: window.name(),
                limit: window.limit(),
                left: window.limit().saturating_sub(spent),
                resets_in: window.resets_in(last, now),
            }
        };
        quota.windows().iter().map(left).collect()
    }

    fn settled(&self, quota: &Quota, now: SystemTime) -> (Self, Moment) {
        let (mut spends, now) = (self.clone(), Moment::from(now));
        spends.settle(quota, now);
        (spends, now)
    }

    /// Sees what the lag hides no longer, and forgets what cannot count again.
    fn settle(&mut self, quota: &Quota, now: Moment) {
        let lag = quota.seen_after();
        while let Some(spend) = self.unseen.pop_front() {
            if spend.after(lag) > now {
                self.unseen.push_front(spend);
                break;
            }
            insert(&mut self.seen, spend);
        }
        // By the clock as it is, what lies ahead was never spent; it was, so it counts.
        let ahead = self.unseen.partition_point(|spend| *spend <= now);
        for spend in self.unseen.split_off(ahead) {
            insert(&mut self.seen, spend);
        }
        let is_back = |spend: &Moment| {
            spend.after(HELD_FOR) <= now
                && quota.windows().iter().all(|window| window.back(*spend) <= now)
        };
        for spends in [&mut self.seen, &mut self.unseen] {
            spends.drain(..spends.partition_point(is_back));
        }
        // A window of `n` is full when the `n`th newest counts; what is older changes nothing.
        let largest = quota.windows().iter().map(Window::limit).max().unwrap_or(0);
        let surplus = self.seen.len().saturating_sub(HELD.max(largest as usize));
        self.seen.drain(..surplus);
    }

    /// The first moment from `now` on at which every window has a unit left.
    fn opens(&self, quota: &Quota, now: Moment) -> Option<Moment> {
        let lag = quota.seen_after();
        let mut opens = now;
        loop {
            let visible = self.unseen.partition_point(|spend| spend.after(lag) <= opens);
            let mut next = opens;
            for window in quota.windows() {
                let nth = window.limit().checked_sub(1)?;
                if let Some(spend) = self.nth_newest(nth as usize, visible) {
                    next = next.max(window.back(spend));
                }
            }
            // Until `next` a window stays full: with time, more is seen. At `next` it may be full of that again.
            if next == opens {
                return Some(opens);
            }
            opens = next;
        }
    }

    /// The newest is number 0. Of the unseen ones, the first `visible` are regarded.
    fn nth_newest(&self, nth: usize, visible: usize) -> Option<Moment> {
        if visible == 0 {
            return self.seen.iter().rev().nth(nth).copied();
        }
        let mut seen = self.seen.iter().rev().peekable();
        let mut unseen = self.unseen.range(..visible).rev().peekable();
        let newest =
            iter::from_fn(
                || {
                    if seen.peek() >= unseen.peek() { seen.next() } else { unseen.next() }
                },
            );
        newest.copied().nth(nth)
    }

    fn counted(&self, window: &Window, now: Moment) -> usize {
        self.seen.len() - self.seen.partition_point(|spend| window.back(*spend) <= now)
    }

    fn over(&self, quota: &Quota, opens: Option<Moment>, now: SystemTime) -> OverQuota {
        let at = Moment::from(now);
        let Some(opens) = opens else {
            let closed = quota.windows().iter().filter(|window| window.limit() == 0);
            let wait = closed.map(|window| window.back(at).since(at)).max().unwrap_or_default();
            return OverQuota { opens_at: None, retry_after: wait };
        };
        let wait = opens.since(at);
        OverQuota { opens_at: now.checked_add(wait), retry_after: wait }
    }
}

/// Keeps the order of time. A clock that runs forward appends.
fn insert(spends: &mut VecDeque<Moment>, spend: Moment) {
    let place = spends.partition_point(|known| *known <= spend);
    spends.insert(place, spend);
}

#[cfg(test)]
mod tests;
