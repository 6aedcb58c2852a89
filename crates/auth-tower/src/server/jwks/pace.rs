//! Pure: when the key set is asked for.

use std::time::Duration;

/// The longest pause after failures, unless the interval itself is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Keys that have been old for less than this were looked after, in milliseconds: between two requests nothing is fetched.
const IDLE: u64 = 60_000;

/// How many tokens are given the benefit of the doubt between two fetches: enough for the clients of one key that is new, and few
/// beside what a flood of forged tokens would like to have.
const MOST_DOUBTS: u32 = 64;

/// What has been asked, and what may be. Times are milliseconds of the boot clock.
#[derive(Debug)]
pub(super) struct Pace {
    interval: u64,
    /// After this long a flight has been lost with its runtime, and another may begin.
    lost_after: u64,
    /// So long the keys are used after they got old, while no others can be had.
    stale_for: u64,
    /// Before this nothing is asked.
    next: u64,
    fresh_until: u64,
    failures: u32,
    /// How many tokens were given the benefit of the doubt since the last flight began.
    doubts: u32,
    flying_since: Option<u64>,
    /// The number of the last flight.
    epoch: u64,
}

/// What follows from a wish for other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Send, as the flight of this number.
    Fly(u64),
    /// The flight of this number is under way.
    Join(u64),
    /// Not before so long.
    Paced(Duration),
}

impl Pace {
    pub(super) fn new(interval: Duration, deadline: Duration, stale_for: Duration) -> Self {
        let interval = millis(interval);
        let lost_after = millis(deadline).saturating_mul(2).max(interval);
        Self {
            interval,
            lost_after,
            stale_for: millis(stale_for),
            next: 0,
            fresh_until: 0,
            failures: 0,
            doubts: 0,
            flying_since: None,
            epoch: 0,
        }
    }

    pub(super) fn ask(&mut self, now: u64) -> Asked {
        match self.flying_since {
            Some(since) if now < since.saturating_add(self.lost_after) => Asked::Join(self.epoch),
            // A lost flight began at least one interval ago.
            None if now < self.next => Asked::Paced(Duration::from_millis(self.next - now)),
            _ => {
                self.epoch += 1;
                self.doubts = 0;
                self.flying_since = Some(now);
                self.next = now.saturating_add(self.interval);
                Asked::Fly(self.epoch)
            }
        }
    }

    /// Whether one more token is to be told to come again, since its key may be newer than those at hand: anybody can forge one.
    pub(super) fn doubt(&mut self) -> bool {
        let is_left = self.doubts < MOST_DOUBTS;
        self.doubts += u32::from(is_left);
        is_left
    }

    /// Whether `ask` would have anything but a pause.
    pub(super) fn allows(&self, now: u64) -> bool {
        self.flying_since.is_some() || now >= self.next
    }

    /// From when on no request is judged by the keys at hand before others were asked for.
    ///
    /// Nobody has come for so long that nobody has asked, though it was allowed. While the endpoint fails somebody asks again and again,
    /// and nobody waits for that before they end.
    pub(super) fn wait_at(&self) -> u64 {
        // Where there have never been any, there are none to be old.
        if self.fresh_until == 0 {
            return u64::MAX;
        }
        // All wait for the answer to the first who comes then, unless the last one was none.
        let is_first = self.flying_since.is_some() && self.failures == 0;
        let allowed = if is_first { 0 } else { self.next };
        self.ends_at().min(self.fresh_until.max(allowed).saturating_add(IDLE))
    }

    /// Whether the keys are too old to be used at all.
    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.ends_at()
    }

    fn ends_at(&self) -> u64 {
        self.fresh_until.saturating_add(self.stale_for)
    }

    /// Whether the last flight that has landed brought nothing.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether the keys are old, and something may be done about it.
    pub(super) fn is_due(&self, now: u64) -> bool {
        now >= self.look_at()
    }

    /// When the keys are to be looked after next.
    pub(super) fn look_at(&self) -> u64 {
        match self.flying_since {
            Some(since) => since.saturating_add(self.lost_after),
            None => self.fresh_until.max(self.next),
        }
    }

    /// The flight `epoch` has brought keys, or not. `false` if it had been given up for lost: what it brings is older than what
    /// another may have brought since.
    pub(super) fn landed(&mut self, epoch: u64, now: u64, lifetime: Option<Duration>) -> bool {
        if self.flying_since.is_none() || epoch != self.epoch {
            return false;
        }
        self.flying_since = None;
        match lifetime {
            Some(lifetime) => {
                self.failures = 0;
                self.fresh_until = now.saturating_add(millis(lifetime));
            }
            None => {
                let doublings = self.failures.min(16);
                let longest = millis(LONGEST_PAUSE).max(self.interval);
                let pause = self.interval.saturating_mul(1 << doublings).min(longest);
                self.failures = self.failures.saturating_add(1);
                self.next = self.next.max(now.saturating_add(pause));
            }
        }
        true
    }

    /// What to tell those who come for nothing: whole seconds, at least one.
    pub(super) fn retry_after(&self, now: u64) -> Duration {
        let left = if self.flying_since.is_some() { 0 } else { self.next.saturating_sub(now) };
        Duration::from_secs(left.div_ceil(1000).max(1))
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace() -> Pace {
        Pace::new(Duration::from_secs(10), Duration::from_secs(5), Duration::from_secs(3600))
    }

    #[test]
    fn one_flight_in_an_interval_and_the_others_join_it_or_wait() {
        let mut pace = pace();
        assert!(pace.is_due(0));
        assert_eq!(pace.ask(1000), Asked::Fly(1));
        assert_eq!(pace.ask(1001), Asked::Join(1));
        assert!(!pace.is_due(1001));
        assert!(pace.landed(1, 2000, Some(Duration::from_secs(600))));
        assert_eq!(pace.ask(10_999), Asked::Paced(Duration::from_millis(1)));
        assert!(!pace.is_due(601_999) && pace.is_due(602_000));
        assert_eq!(pace.ask(11_000), Asked::Fly(2));
    }

    #[test]
    fn failures_double_the_pause_up_to_a_minute() {
        let mut pace = pace();
        let mut now = 0;
        let mut pauses = Vec::new();
        for epoch in 1..=6 {
            assert_eq!(pace.ask(now), Asked::Fly(epoch));
            assert!(pace.landed(epoch, now, None));
            let Asked::Paced(pause) = pace.ask(now) else { panic!("no pause") };
            assert_eq!(pace.retry_after(now), pause);
            pauses.push(pause.as_secs());
            now += millis(pause);
        }
        assert_eq!(pauses, [10, 20, 40, 60, 60, 60]);
        assert_eq!(pace.ask(now), Asked::Fly(7));
        assert!(pace.landed(7, now, Some(Duration::ZERO)));
        assert_eq!(pace.ask(now), Asked::Paced(Duration::from_secs(10)));
    }

    #[test]
    fn a_lost_flight_makes_room_for_another_and_lands_in_vain() {
        let mut pace = pace();
        assert_eq!(pace.ask(0), Asked::Fly(1));
        assert_eq!(pace.ask(9_999), Asked::Join(1));
        assert!(pace.is_due(10_000));
        assert_eq!(pace.ask(10_000), Asked::Fly(2));
        assert!(!pace.landed(1, 10_001, Some(Duration::ZERO)));
        assert!(pace.landed(2, 10_002, Some(Duration::ZERO)));
        assert!(!pace.landed(2, 10_003, Some(Duration::ZERO)));
    }

    #[test]
    fn keys_that_nobody_has_looked_after_are_not_used_before_others_were_asked_for() {
        let mut pace = pace();
        assert_eq!(pace.ask(0), Asked::Fly(1));
        assert!(pace.landed(1, 0, Some(Duration::from_secs(600))));
        assert_eq!(pace.wait_at(), 660_000, "a minute after their time");
        assert_eq!(pace.ask(2_000_000), Asked::Fly(2));
        assert!(pace.landed(2, 2_000_000, None));
        // That was tried, and they are what there is, as long as it is tried again, until they end.
        assert_eq!(pace.wait_at(), 2_010_000 + 60_000);
        assert!(!pace.is_over(4_199_999) && pace.is_over(4_200_000));
        assert_eq!(pace.ask(4_200_000), Asked::Fly(3));
        assert!(pace.landed(3, 4_200_000, Some(Duration::ZERO)));
        assert_eq!(pace.wait_at(), 4_270_000, "after the time when one may ask");
    }

    #[test]
    fn nobody_waits_for_an_endpoint_that_fails_as_long_as_somebody_asks() {
        let mut pace = pace();
        assert_eq!(pace.ask(0), Asked::Fly(1));
        assert!(pace.landed(1, 0, Some(Duration::from_secs(600))));
        let mut now = 600_000;
        for epoch in 2..30 {
            assert_eq!(pace.ask(now), Asked::Fly(epoch));
            assert!(now < pace.wait_at(), "while it is under way");
            now += 5_000;
            assert!(pace.landed(epoch, now, None));
            now = pace.look_at();
            assert!(now < pace.wait_at(), "between two of them");
        }
        // Nobody comes any more, and it is well again.
        assert!(pace.wait_at() <= now + 60_000);
    }

    #[test]
    fn all_who_come_after_a_silence_wait_for_the_first() {
        let mut pace = pace();
        assert_eq!(pace.ask(0), Asked::Fly(1));
        assert!(pace.landed(1, 0, Some(Duration::from_secs(600))));
        assert!(700_000 >= pace.wait_at());
        assert_eq!(pace.ask(700_000), Asked::Fly(2));
        assert!(700_001 >= pace.wait_at());
    }

    #[test]
    fn so_many_are_in_doubt_between_two_flights_and_no_more() {
        let mut pace = pace();
        for epoch in 1..=2 {
            let now = epoch * 10_000;
            assert_eq!(pace.ask(now), Asked::Fly(epoch));
            assert!(pace.landed(epoch, now, Some(Duration::from_secs(600))));
            let doubts = std::iter::repeat_with(|| pace.doubt()).take(1000);
            assert_eq!(doubts.filter(|is_left| *is_left).count(), 64);
        }
    }

    proptest! {
        #[test]
        fn no_two_flights_begin_within_one_interval(
            steps in prop::collection::vec((0u64..40_000, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let mut pace = pace();
            let (mut now, mut last, mut flying, mut flights) = (0, None, None, 0);
            for (step, lands, well) in steps {
                now += step;
                if let Asked::Fly(epoch) = pace.ask(now) {
                    if let Some(last) = last {
                        prop_assert!(now - last >= 10_000);
                    }
                    (last, flying) = (Some(now), Some(epoch));
                    flights += 1;
                }
                if lands && let Some(epoch) = flying.take() {
                    pace.landed(epoch, now, well.then_some(Duration::from_secs(600)));
                }
            }
            prop_assert!(flights > 0);
        }

        #[test]
        fn no_time_overflows(now in any::<u64>(), interval in any::<u64>(), lifetime in any::<u64>()) {
            let (interval, lifetime) = (Duration::from_secs(interval), Duration::from_secs(lifetime));
            let mut pace = Pace::new(interval, lifetime, lifetime);
            for well in [true, false, true] {
                if let Asked::Fly(epoch) = pace.ask(now) {
                    pace.landed(epoch, now, well.then_some(lifetime));
                }
                let _ = pace.wait_at();
                let _ = (pace.look_at(), pace.retry_after(now), pace.allows(now));
            }
        }
    }

    #[test]
    fn a_flight_is_not_lost_before_the_interval_is_over() {
        let (interval, deadline) = (Duration::from_secs(60), Duration::from_secs(1));
        let mut pace = Pace::new(interval, deadline, Duration::from_secs(3600));
        assert_eq!(pace.ask(0), Asked::Fly(1));
        assert_eq!(pace.ask(59_999), Asked::Join(1), "two flights in one interval");
        assert_eq!(pace.ask(60_000), Asked::Fly(2));
    }

    #[test]
    fn nobody_looks_closer_while_no_flight_may_begin() {
        let mut pace = pace();
        assert_eq!(pace.ask(0), Asked::Fly(1));
        assert!(pace.landed(1, 0, None));
        assert!(!pace.is_due(9_999) && pace.is_due(10_000));
    }
}
