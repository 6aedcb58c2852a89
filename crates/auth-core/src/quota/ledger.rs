//! The ledger: every token request that may have reached the issuer, and whether one more may be made.
//!
//! Pure: a history and a clock reading in, an answer out. What is in doubt counts as spent.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Cause;
use super::count::{Clocks, Full};
use super::exhausted::{Exhausted, Why};
use super::said::{Bucket, Said, Word, Words};
use super::spend::{Entry, Outcome, Spend, Time, millis};
use super::window::{LARGEST_LIMIT, Quota, Window};
use crate::clock::{BootTime, Now, Timestamp};
use crate::fingerprint::Fingerprint;
use crate::id::FlightId;

/// History older than the longest window is kept for this long, so that a wrong clock does not forget a spend.
const KEPT_LONGER: Duration = Duration::from_secs(24 * 60 * 60);

/// So many of the last spends are kept one by one. Older ones are merged.
const WHOLE: usize = 256;

/// Entries of merged spends, at most.
const MERGED: usize = 512;

/// Clocks that disagree by more than `DRIFT`, at most: those of the last spends.
const CLOCKS: usize = 8;
const DRIFT: Duration = Duration::from_secs(1);

/// Windows of all writers, at most: those used last.
const WINDOWS: usize = 32;

/// An issuer's clock outside of the years 2000 to 2100 tells nothing.
const DATES: Range<Timestamp> =
    Timestamp::from_secs(946_684_800)..Timestamp::from_secs(4_102_444_800);

/// Neighbours are merged into entries no wider than this part of their age, so that a spend leaves a window later by that
/// part at most.
const WIDTH: i64 = 32;

/// The spends of one OAuth client, oldest first, every window that any writer held them against, and what the issuer says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    #[serde(default)]
    windows: Vec<Used>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    merged: Vec<Entry>,
    #[serde(default)]
    spends: Vec<Spend>,
    #[serde(default, skip_serializing_if = "Words::is_empty")]
    said: Words,
    /// What the issuer's clock last said, and when that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer_clock: Option<(Timestamp, BootTime)>,
    /// When the issuer last refused, or counted, more than this ledger knows of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elsewhere: Option<Timestamp>,
    /// What a newer version wrote down: kept as it is.
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// A window, and when a writer last held a spend against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Used {
    #[serde(flatten)]
    window: Window,
    used: Timestamp,
    boot: BootTime,
}

impl Ledger {
    /// Whether every window in it is one that a writer may have had.
    pub(crate) fn is_sound(&self) -> bool {
        self.windows.iter().all(|used| used.window.is_sound())
    }

    /// The last spends, oldest first.
    pub(crate) fn spends(&self) -> &[Spend] {
        &self.spends
    }

    /// When the issuer last showed that somebody else spends, or that its quota is a smaller one.
    pub(crate) fn elsewhere(&self) -> Option<Timestamp> {
        self.elsewhere
    }

    /// Whether one more request may be made for `cause`. The strictest of all windows decides, whoever brought it along, and
    /// what the issuer says.
    pub(crate) fn decide(&self, quota: &Quota, cause: Cause, now: Now) -> Result<(), Exhausted> {
        let entries = self.entries();
        let clocks = self.clocks(now);
        let Some(mut refusal) = self.refusal(&entries, quota, cause, &clocks) else {
            return Ok(());
        };
        // When one window lets it through, another may be full, which is not full now.
        let mut until = refusal.retry_at;
        for _ in 0..WINDOWS {
            let then = clocks.after(until.saturating_since(now.wall));
            match self.refusal(&entries, quota, cause, &then) {
                Some(next) if next.retry_at > until => until = next.retry_at,
                _ => break,
            }
        }
        refusal.retry_at = until;
        Err(refusal)
    }

    fn refusal(
        &self,
        entries: &[Entry],
        quota: &Quota,
        cause: Cause,
        at: &Clocks,
    ) -> Option<Exhausted> {
        let windows = self.all_windows(quota).filter_map(|window| {
            let Full { spent, until } = window.full(entries.iter(), cause, at)?;
            let rule = Why::Window { window: window.clone(), spent };
            Some(Exhausted { why: rule, cause, retry_at: until })
        });
        let words = self.said.iter().filter_map(|word| {
            let retry_at = word.ends(at.time.now)?;
            let left = self.left(word);
            let reserve = if cause.is_proactive() { word.reserve() } else { 0 };
            (left <= reserve).then_some(Exhausted { why: Why::Word { left }, cause, retry_at })
        });
        windows.chain(words).max_by_key(|refusal| refusal.retry_at)
    }

    /// Writes one more request down, and the rules it was held against.
    pub(crate) fn append(&mut self, spend: Spend, quota: &Quota, now: Now) {
        self.note(quota, now);
        self.prune(now);
        self.spends.push(spend);
        self.merge(now);
    }

    /// Counts requests of which only the number is known.
    pub(crate) fn append_unknown(&mut self, count: u32, quota: &Quota, now: Now) {
        self.note(quota, now);
        let count = count.min(LARGEST_LIMIT);
        if count > 0 {
            self.merged.push(Entry::unknown(count, now));
        }
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

    /// Takes down what the answer to a request says besides, which came at `now`. `refused` says that it was refused for
    /// the quota's sake.
    pub(crate) fn heed(
        &mut self,
        id: FlightId,
        said: &Said,
        refused: bool,
        quota: &Quota,
        now: Now,
    ) {
        let Some(position) = self.spends.iter().position(|spend| spend.id == id) else { return };
        let spend = &mut self.spends[position];
        if let Some(date) = said.date.filter(|date| DATES.contains(date)) {
            spend.date(date, now);
            self.issuer_clock = Some((date, now.boot));
        }
        let decided = spend.at;
        let longest = self.all_windows(quota).map(Window::span).max().unwrap_or_default();
        for bucket in &said.buckets {
            let known = self.said.after(&bucket.name);
            let known =
                known.and_then(|known| self.spends.iter().position(|spend| spend.id == known));
            let is_later = known.is_none_or(|known| known < position);
            self.said.take(bucket, id, decided, is_later, longest, now);
        }
        // A window of the same limit is taken for the same rule.
        let (entries, clocks) = (self.entries(), self.clocks(now));
        let counts_more = |window: &Window| {
            let left = window.limit().saturating_sub(window.spent(entries.iter(), &clocks));
            let same = |bucket: &&Bucket| bucket.limit == Some(window.limit());
            said.buckets.iter().filter(same).any(|bucket| bucket.left < left)
        };
        let elsewhere =
            refused || (!said.buckets.is_empty() && self.all_windows(quota).any(counts_more));
        if elsewhere {
            self.elsewhere = Some(now.wall);
        }
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
        let last = self.spends.iter().rev().find(answers)?;
        let until = last.entry().leaves(length, self.time(now));
        (until > now.wall).then_some(until)
    }

    /// What each window has seen and has left, whoever brought it along.
    pub(crate) fn usage(&self, quota: &Quota, now: Now) -> Vec<WindowUsage> {
        let (entries, clocks) = (self.entries(), self.clocks(now));
        let usage = |window: &Window| {
            let spent = window.spent(entries.iter(), &clocks);
            let refused = entries.iter().filter(|entry| entry.refused > 0);
            let refused: Vec<_> = refused.map(Entry::refused_only).collect();
            let refused = window.spent(refused.iter(), &clocks);
            let left = window.limit().saturating_sub(spent);
            WindowUsage {
                window: window.clone(),
                spent: spent.min(window.limit()),
                left,
                left_proactive: left.saturating_sub(window.reserve()),
                left_refused: left.min(window.refused_share().saturating_sub(refused)),
                next_slot: window.more(entries.iter(), spent, &clocks),
            }
        };
        self.all_windows(quota).map(usage).collect()
    }

    /// How many units the issuer says are left, at the least.
    pub(crate) fn said_left(&self, now: Now) -> Option<u32> {
        let stands = self.said.iter().filter(|word| word.ends(now).is_some());
        stands.map(|word| self.left(word)).min()
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
        let mut entries = self.merged.clone();
        entries.extend(self.spends[..before].iter().map(Spend::entry));
        let clocks = self.clocks(now);
        let open = |window: &Window| {
            let spent = window.spent(entries.iter(), &clocks);
            (window.share(cause).saturating_sub(spent), window.span())
        };
        self.all_windows(quota).map(open).collect()
    }

    /// For every window, in the same order: when it will have more left than now.
    pub(crate) fn next_slots(&self, quota: &Quota, now: Now) -> Vec<Option<Timestamp>> {
        let (entries, clocks) = (self.entries(), self.clocks(now));
        let slot = |window: &Window| {
            let spent = window.spent(entries.iter(), &clocks);
            window.more(entries.iter(), spent, &clocks)
        };
        self.all_windows(quota).map(slot).collect()
    }

    /// Every window that this or another writer holds spends against.
    pub(crate) fn all_windows<'a>(&'a self, quota: &'a Quota) -> impl Iterator<Item = &'a Window> {
        let others = self.windows.iter().map(|used| &used.window);
        quota.windows().iter().chain(others.filter(|window| !quota.windows().contains(window)))
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = self.merged.clone();
        entries.extend(self.spends.iter().map(Spend::entry));
        entries
    }

    fn time(&self, now: Now) -> Time {
        let issuer = self.issuer_clock.and_then(|(said, at)| Some(said + now.boot.since(at)?));
        Time { now, issuer }
    }

    /// What the time may be: within one boot, every clock that a spend was dated by goes on.
    fn clocks(&self, now: Now) -> Clocks {
        let time = self.time(now);
        let mut others: Vec<Timestamp> = Vec::new();
        let spends = self.spends.iter().rev().filter_map(|spend| spend.time_now(now));
        for other in time.issuer.into_iter().chain(spends) {
            let known = |known: &Timestamp| other.apart(*known) <= DRIFT;
            if others.len() < CLOCKS && !known(&now.wall) && !others.iter().any(known) {
                others.push(other);
            }
        }
        Clocks { time, others }
    }

    /// What is left of the issuer's word: it may not have counted the requests since when it gave it.
    fn left(&self, word: &Word) -> u32 {
        let known = self.spends.iter().position(|spend| spend.id == word.after);
        let later = &self.spends[known.map_or(0, |known| known + 1)..];
        let later = u32::try_from(later.len()).unwrap_or(u32::MAX);
        let merged =
            self.merged.iter().filter(|entry| known.is_none() && entry.ends_after(word.decided));
        let since = merged.fold(later, |sum, entry| sum.saturating_add(entry.count));
        word.left.saturating_sub(since)
    }

    fn note(&mut self, quota: &Quota, now: Now) {
        let Now { wall: used, boot } = now;
        for window in quota.windows() {
            match self.windows.iter_mut().find(|known| known.window == *window) {
                Some(known) => (known.used, known.boot) = (used, boot),
                None => self.windows.push(Used { window: window.clone(), used, boot }),
            }
        }
    }

    /// Forgets what no window needs any more, and the windows that nobody has used for as long.
    fn prune(&mut self, now: Now) {
        let longest = self.windows.iter().map(|used| used.window.span()).max().unwrap_or_default();
        let kept = millis(longest.saturating_add(KEPT_LONGER));
        let time = self.time(now);
        self.spends.retain(|spend| spend.entry().age(time) < kept);
        self.merged.retain(|entry| entry.age(time) < kept);
        let age =
            |known: &Used| Entry::unknown(1, Now { wall: known.used, boot: known.boot }).age(time);
        self.windows.retain(|known| age(known) < kept);
        while self.windows.len() > WINDOWS {
            let oldest = self.windows.iter().map(age).enumerate().max_by_key(|(_, age)| *age);
            let Some((oldest, _)) = oldest else { break };
            self.windows.remove(oldest);
        }
        let noticed = |at: &Timestamp| millis(now.wall.saturating_since(*at)) < kept;
        self.elsewhere = self.elsewhere.filter(noticed);
    }

    /// Keeps the record small: the oldest spends become entries that count them as if all had happened when the last of
    /// them did.
    fn merge(&mut self, now: Now) {
        let surplus = self.spends.len().saturating_sub(WHOLE);
        let time = self.time(now);
        if surplus == 0 {
            return;
        }
        let old: Vec<_> = self.merged.drain(..).collect();
        let surplus: Vec<_> = self.spends.drain(..surplus).map(|spend| spend.entry()).collect();
        for entry in old.into_iter().chain(surplus) {
            if let Some(last) = self.merged.last_mut() {
                let both = last.merge(&entry);
                if millis(both.width()) <= both.age(time) / WIDTH {
                    *last = both;
                    continue;
                }
            }
            self.merged.push(entry);
        }
        while self.merged.len() > MERGED {
            // Those whose merger costs least, for their age.
            let cost = |pair: &[Entry]| {
                let both = pair[0].merge(&pair[1]);
                millis(both.width()).saturating_mul(1000) / both.age(time).max(1)
            };
            let costs = self.merged.windows(2).map(cost).enumerate();
            let Some((first, _)) = costs.min_by_key(|(_, cost)| *cost) else { return };
            let later = self.merged.remove(first + 1);
            self.merged[first] = self.merged[first].merge(&later);
        }
    }
}

/// What one window has seen, and has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WindowUsage {
    pub(crate) window: Window,
    pub(crate) spent: u32,
    pub(crate) left: u32,
    pub(crate) left_proactive: u32,
    pub(crate) left_refused: u32,
    /// When it will have more left than now.
    pub(crate) next_slot: Option<Timestamp>,
}

#[cfg(test)]
mod tests;
