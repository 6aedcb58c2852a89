//! What one window counts, and when it lets one more through.

use std::ops::Range;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::Cause;
use super::calendar::Calendar;
use super::spend::{Entry, Time};
use super::window::{EARLIER, LATER, Rule, Window};
use crate::clock::{Now, Timestamp};

/// How many periods ahead it is asked whether there is room: more than a record remembers, but for requests that a wrong
/// clock dated far into the future.
const PERIODS: usize = 1000;

/// A window full of requests: how many it counts, and the first moment at which it lets one more through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) spent: u32,
    pub(super) until: Timestamp,
}

impl Window {
    /// How much of the limit is open to this cause.
    pub(super) fn share(&self, cause: Cause) -> u32 {
        let reserve = if cause.is_proactive() { self.reserve() } else { 0 };
        self.limit().saturating_sub(reserve)
    }

    /// How many of `entries` it counts at `now`: in a calendar window, in the fuller of the periods that it may be.
    pub(super) fn spent<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry> + Clone,
        at: &Clocks,
    ) -> u32 {
        let count = |entry: &Entry| entry.count;
        match self.known_calendar() {
            Some((calendar, zone)) => {
                let most = |time: Time| {
                    let stretches = stretches(entries.clone(), time, count);
                    let periods = periods(calendar, zone, time.now.wall);
                    periods.map(|period| within(&stretches, &period)).max()
                };
                at.all().filter_map(most).max().unwrap_or(0)
            }
            None => sum(&leaving(entries, self, at.time, count)),
        }
    }

    /// Whether it is full at `at` for a request of `cause`.
    pub(super) fn full<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry> + Clone,
        cause: Cause,
        at: &Clocks,
    ) -> Option<Full> {
        let all = self.frees(entries.clone(), self.share(cause), at, |entry| entry.count);
        let refused = (cause == Cause::Refused)
            .then(|| self.frees(entries.clone(), self.refused_share(), at, |entry| entry.refused));
        let until = all.max(refused.flatten())?;
        Some(Full { spent: self.spent(entries, at), until })
    }

    /// When it will have more left, now that it counts `spent`; `None` if it has all.
    pub(super) fn more<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry> + Clone,
        spent: u32,
        at: &Clocks,
    ) -> Option<Timestamp> {
        let full = spent.min(self.limit());
        (full > 0).then(|| self.frees(entries, full, at, |entry| entry.count)).flatten()
    }

    /// When it counts fewer than `share`, if it does not do so already.
    pub(super) fn frees<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry> + Clone,
        share: u32,
        at: &Clocks,
        count: impl Fn(&Entry) -> u32 + Copy,
    ) -> Option<Timestamp> {
        let Some((calendar, zone)) = self.known_calendar() else {
            let leaving = leaving(entries, self, at.time, count);
            let mut left = sum(&leaving);
            if left < share {
                return None;
            }
            return leaving.iter().find_map(|(leaves, count)| {
                left = left.saturating_sub(*count);
                (left < share).then_some(*leaves)
            });
        };
        let worlds: Vec<_> =
            at.all().map(|time| (time.now.wall, stretches(entries.clone(), time, count))).collect();
        let mut passed = Duration::ZERO;
        for _ in 0..PERIODS {
            let full = |(wall, stretches): &(Timestamp, Vec<Stretch>)| {
                let mut periods = periods(calendar, zone, *wall + passed);
                periods.any(|period| within(stretches, &period) >= share)
            };
            if !worlds.iter().any(full) {
                break;
            }
            // Within its period none gets emptier: it is full until it can be in the next one only.
            let left = |(wall, _): &(Timestamp, Vec<Stretch>)| {
                let start = *wall + passed - EARLIER;
                calendar.period(zone, start).end.saturating_since(start)
            };
            passed += worlds.iter().map(left).min().unwrap_or_default();
        }
        (!passed.is_zero()).then(|| at.time.now.wall + passed)
    }

    /// The calendar of a window whose time zone is known here. Any other counts as a rolling window of the longest span, which
    /// lets through less.
    fn known_calendar(&self) -> Option<(Calendar, &TimeZone)> {
        match &self.rule {
            Rule::Calendar { calendar, zone } => Some((*calendar, zone.known()?)),
            Rule::Rolling { .. } => None,
        }
    }
}

/// What time it is here, and what else the time may be, where clocks were seen to disagree.
#[derive(Clone, Debug)]
pub(super) struct Clocks {
    pub(super) time: Time,
    pub(super) others: Vec<Timestamp>,
}

impl Clocks {
    fn all(&self) -> impl Iterator<Item = Time> {
        let Time { now, issuer } = self.time;
        let others = self.others.iter().map(move |wall| Now { wall: *wall, ..now });
        std::iter::once(now).chain(others).map(move |now| Time { now, issuer })
    }

    pub(super) fn after(&self, passed: Duration) -> Self {
        let Time { now, issuer } = self.time;
        let now = Now { wall: now.wall + passed, boot: now.boot + passed };
        let time = Time { now, issuer: issuer.map(|issuer| issuer + passed) };
        Self { time, others: self.others.iter().map(|wall| *wall + passed).collect() }
    }
}

/// The periods that a request which is decided at `wall` may be counted in: two around the end of one.
fn periods(
    calendar: Calendar,
    zone: &TimeZone,
    wall: Timestamp,
) -> impl Iterator<Item = Range<Timestamp>> {
    let first = calendar.period(zone, wall - EARLIER);
    let last = (wall + LATER >= first.end).then(|| calendar.period(zone, wall + LATER));
    std::iter::once(first).chain(last)
}

/// When an entry may have happened, by this machine's clock and by the issuer's, and how many requests it is.
type Stretch = ([Option<(Timestamp, Timestamp)>; 2], u32);

fn stretches<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    time: Time,
    count: impl Fn(&Entry) -> u32,
) -> Vec<Stretch> {
    entries.map(|entry| (entry.happened(time), count(entry))).collect()
}

/// How many requests may have happened in this period.
fn within(stretches: &[Stretch], period: &Range<Timestamp>) -> u32 {
    let touches = |(happened, _): &&Stretch| {
        happened
            .iter()
            .flatten()
            .any(|(first, last)| *first - EARLIER < period.end && *last + LATER >= period.start)
    };
    stretches.iter().filter(touches).fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

/// When each entry leaves a rolling window, soonest first; those that left already are not in it.
fn leaving<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    window: &Window,
    time: Time,
    count: impl Fn(&Entry) -> u32,
) -> Vec<(Timestamp, u32)> {
    let mut leaving: Vec<_> = entries
        .map(|entry| (entry.leaves(window.span(), time), count(entry)))
        .filter(|(leaves, count)| *leaves > time.now.wall && *count > 0)
        .collect();
    leaving.sort_unstable();
    leaving
}

fn sum(leaving: &[(Timestamp, u32)]) -> u32 {
    leaving.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}
