//! What the issuer counts, which is not what the ledger counts: requests arrive later than they were decided, by another
//! clock, while the clock here is set to and fro.

use proptest::prelude::*;

use super::super::super::Calendar;
use super::*;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// 1 November 2026, 00:00 in New York: a day of 25 hours.
const START: i64 = 1_793_505_600_000;

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    /// The wall clock is set; the boot clock is not.
    Jump(i64),
    Ask(Cause, Answer),
    /// To a moment around the next midnight in New York.
    Midnight(i64),
    /// The machine is booted, with a wall clock that is right or behind by so much.
    Reboot(i64),
    /// Until the next slot opens, if the last request was refused.
    Slot,
}

/// How a request ends: after how long it arrives, and whether the answer says when.
#[derive(Clone, Copy, Debug)]
struct Answer {
    latency: i64,
    dated: bool,
    lost: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![
        4 => 0i64..2_000,
        2 => 0i64..200_000,
        3 => 0i64..2 * HOUR_MS,
        1 => 0i64..26 * HOUR_MS,
    ];
    let jump = prop_oneof![-2 * DAY_MS..2 * DAY_MS, -3 * HOUR_MS..3 * HOUR_MS, -90_000i64..90_000];
    let answer = (0i64..50_000, any::<bool>(), any::<bool>())
        .prop_map(|(latency, dated, lost)| Answer { latency, dated, lost });
    let step = prop_oneof![
        3 => wait.prop_map(Step::Wait),
        1 => jump.prop_map(Step::Jump),
        2 => Just(Step::Slot),
        2 => (-70_000i64..70_000).prop_map(Step::Midnight),
        6 => (causes(), answer).prop_map(|(cause, answer)| Step::Ask(cause, answer)),
    ];
    proptest::collection::vec(step, 1..250)
}

/// The same with reboots. Every answer comes and has a date: what no issuer has dated is dated by the clock of its boot.
fn steps_with_reboots() -> impl Strategy<Value = Vec<Step>> {
    let behind = prop_oneof![Just(0), -2 * DAY_MS..0, -3 * HOUR_MS..0, -90_000i64..0];
    let each = (steps(), proptest::collection::vec((0usize..250, behind), 0..6));
    each.prop_map(|(steps, reboots)| {
        let answered = |step| match step {
            Step::Ask(cause, answer) => {
                Step::Ask(cause, Answer { dated: true, lost: false, ..answer })
            }
            step => step,
        };
        let mut steps: Vec<_> = steps.into_iter().map(answered).collect();
        for (at, behind) in reboots {
            steps.insert(at.min(steps.len()), Step::Reboot(behind));
        }
        steps
    })
}

/// A machine and an issuer. The issuer's clock is right, but for `skew`.
struct World {
    time: i64,
    wall: i64,
    boot: u128,
    skew: i64,
    ledger: Ledger,
    quota: Quota,
    under_way: Vec<(i64, FlightId, Answer)>,
    arrivals: Vec<i64>,
}

impl World {
    fn new(quota: Quota, begin: i64, skew: i64) -> Self {
        let (under_way, arrivals) = (Vec::new(), Vec::new());
        let ledger = Ledger::default();
        Self { time: begin, wall: 0, boot: 1, skew, ledger, quota, under_way, arrivals }
    }

    fn now(&self) -> Now {
        let boot = BootTime {
            id: BootId::fixed(self.boot),
            millis: 10_000_000 + (self.time - START + DAY_MS).unsigned_abs(),
        };
        Now { wall: Timestamp::from_millis(self.time + self.wall), boot }
    }

    fn wait_until(&mut self, time: i64) {
        self.under_way.sort_by_key(|(arrives, ..)| *arrives);
        while self.under_way.first().is_some_and(|(arrives, ..)| *arrives <= time) {
            let (arrives, id, answer) = self.under_way.remove(0);
            self.time = arrives;
            let date = answer.dated.then(|| Timestamp::from_millis(self.arrivals_clock()));
            let said = Said { date, buckets: Vec::new() };
            if !answer.lost {
                self.ledger.settle(id, Outcome::Token);
                self.ledger.heed(id, &said, false, &self.quota, self.now());
            }
        }
        self.time = time;
    }

    fn arrivals_clock(&self) -> i64 {
        self.time + self.skew
    }

    fn run(&mut self, steps: Vec<Step>) {
        let mut slot = None;
        for step in steps {
            match step {
                Step::Slot => {
                    if let Some(slot) = slot.take() {
                        self.wait_until(self.time + slot);
                    }
                }
                Step::Midnight(offset) => {
                    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
                    let at = Timestamp::from_millis(self.time + 120_000);
                    let midnight = Calendar::Day.period(&zone, at).end.as_millis();
                    self.wait_until(midnight + offset);
                }
                Step::Wait(millis) => self.wait_until(self.time + millis),
                Step::Reboot(behind) => {
                    // After the last answer.
                    self.wait_until(self.time + 60_000);
                    self.boot += 1;
                    self.wall = behind;
                }
                Step::Jump(millis) => {
                    // Nothing tells that a clock is ahead right after a reboot, before the first answer.
                    let told = self.boot == 1 || self.ledger.time(self.now()).issuer.is_some();
                    self.wall = if told { millis } else { millis.min(0) };
                }
                Step::Ask(cause, answer) => {
                    let now = self.now();
                    if let Err(refusal) = self.ledger.decide(&self.quota, cause, now) {
                        slot = Some(millis(refusal.retry_at.saturating_since(now.wall)));
                        continue;
                    }
                    let spend = spend(now, cause);
                    let arrives = self.time + answer.latency;
                    self.under_way.push((arrives, spend.id, answer));
                    self.arrivals.push(arrives + self.skew);
                    self.ledger.append(spend, &self.quota, now);
                }
            }
        }
        self.arrivals.sort_unstable();
    }

    /// The most that arrived in any stretch of this length.
    fn most_in(&self, millis: i64) -> usize {
        let arrivals = &self.arrivals;
        let inside = |(i, end): (usize, &i64)| {
            arrivals[..=i].iter().filter(|at| end - **at < millis).count()
        };
        arrivals.iter().enumerate().map(inside).max().unwrap_or(0)
    }

    /// The most that arrived in any period of this calendar.
    fn most_in_calendar(&self, calendar: Calendar, zone: &str) -> usize {
        let zone = jiff::tz::TimeZone::get(zone).unwrap();
        let period = |at: &i64| calendar.period(&zone, Timestamp::from_millis(*at)).start;
        let periods: Vec<_> = self.arrivals.iter().map(period).collect();
        let count = |start| periods.iter().filter(|other| *other == start).count();
        periods.iter().map(count).max().unwrap_or(0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    // torture: F51
    /// A rolling day here is right for an issuer that counts rolling days, and for one that counts days of any time zone.
    #[test]
    fn a_rolling_day_is_right_for_every_kind_of_day(
        limit in 1u32..12, begin in 0i64..DAY_MS, skew in -59_000i64..59_000, steps in steps(),
    ) {
        let mut world = World::new(Quota::per_day(limit), START + begin, skew);
        world.run(steps);
        prop_assert!(world.most_in(DAY_MS) <= limit as usize);
        for zone in ["UTC", "America/New_York", "Asia/Tokyo"] {
            prop_assert!(world.most_in_calendar(Calendar::Day, zone) <= limit as usize, "{}", zone);
        }
    }

    // torture: F51
    #[test]
    fn an_hour_is_right_whatever_the_latency(
        limit in 1u32..5, daily in 4u32..9, skew in -59_000i64..59_000, steps in steps(),
    ) {
        let quota = Quota::per_hour(limit).and(Quota::per_day(daily));
        let mut world = World::new(quota, START, skew);
        world.run(steps);
        prop_assert!(world.most_in(HOUR_MS) <= limit as usize);
        prop_assert!(world.most_in(DAY_MS) <= daily as usize);
    }

    // torture: F51
    /// Through a day of 25 hours, around midnight, with a wall clock that is set to and fro.
    #[test]
    fn a_calendar_day_is_right_whatever_the_clock_here_says(
        limit in 1u32..12, begin in -DAY_MS / 2..DAY_MS, skew in -59_000i64..59_000, steps in steps(),
    ) {
        let zone = "America/New_York";
        let quota = Quota::calendar(limit, Calendar::Day).in_time_zone(zone);
        let mut world = World::new(quota, START + begin, skew);
        // The first request is made by a right clock: before it, nothing here can tell that it is wrong.
        let right = Answer { latency: 100, dated: true, lost: false };
        let first = [Step::Ask(Cause::Start, right), Step::Wait(1000)];
        world.run(first.into_iter().chain(steps).collect());
        prop_assert!(!world.arrivals.is_empty());
        prop_assert!(world.most_in_calendar(Calendar::Day, zone) <= limit as usize);
    }

    // torture: F51
    /// The same for an issuer that says no dates, with a clock here that is a little off and not set.
    #[test]
    fn a_calendar_day_is_right_without_the_issuers_date(
        limit in 1u32..8, begin in -DAY_MS / 2..DAY_MS, skew in -59_000i64..59_000, steps in steps(),
    ) {
        let zone = "America/New_York";
        let quota = Quota::calendar(limit, Calendar::Day).in_time_zone(zone);
        let mut world = World::new(quota, START + begin, skew);
        let undated = |step| match step {
            Step::Jump(_) => Step::Slot,
            Step::Ask(cause, answer) => Step::Ask(cause, Answer { dated: false, ..answer }),
            step => step,
        };
        world.run(steps.into_iter().map(undated).collect());
        prop_assert!(world.most_in_calendar(Calendar::Day, zone) <= limit as usize);
    }

    // torture: F51
    /// Over reboots into clocks that are right or behind, set to and fro in between, for windows of every kind.
    #[test]
    fn reboots_open_nothing(
        limit in 1u32..12, hourly in 1u32..5, begin in -DAY_MS / 2..DAY_MS, skew in -59_000i64..59_000,
        calendar in any::<bool>(), steps in steps_with_reboots(),
    ) {
        let zone = "America/New_York";
        let day = if calendar {
            Quota::calendar(limit, Calendar::Day).in_time_zone(zone)
        } else {
            Quota::per_day(limit)
        };
        let mut world = World::new(day.and(Quota::per_hour(hourly)), START + begin, skew);
        let right = Answer { latency: 100, dated: true, lost: false };
        let first = [Step::Ask(Cause::Start, right), Step::Wait(1000)];
        world.run(first.into_iter().chain(steps).collect());
        prop_assert!(world.most_in(HOUR_MS) <= hourly as usize);
        prop_assert!(world.most_in_calendar(Calendar::Day, zone) <= limit as usize);
        prop_assert!(calendar || world.most_in(DAY_MS) <= limit as usize);
    }

    /// With a clock that runs as it should, `retry_at` of a calendar window is exact: refused one tick before, allowed at it;
    /// and no period holds more than its limit.
    #[test]
    fn the_next_slot_of_a_calendar_window_is_exact(
        limit in 1u32..8,
        hourly in proptest::option::of(1u32..4),
        rolling in proptest::option::of(1u32..6),
        asks in proptest::collection::vec((0i64..DAY_MS / 3, causes()), 1..80),
    ) {
        let mut quota = Quota::calendar(limit, Calendar::Day).in_time_zone("America/New_York");
        if let Some(hourly) = hourly {
            quota = quota.and(Quota::calendar(hourly, Calendar::Hour));
        }
        if let Some(rolling) = rolling {
            quota = quota.and(Quota::rolling(rolling, Duration::from_secs(6 * 3600)));
        }
        let mut world = World::new(quota.clone(), START - DAY_MS / 2, 0);
        let mut refusals = 0;
        for (gap, cause) in asks {
            world.wait_until(world.time + gap);
            let now = world.now();
            match world.ledger.decide(&quota, cause, now) {
                Ok(()) => {
                    world.arrivals.push(world.time);
                    world.ledger.append(spend(now, cause), &quota, now);
                }
                Err(refusal) => {
                    refusals += 1;
                    let wait = refusal.retry_at.as_millis() - now.wall.as_millis();
                    prop_assert!(wait > 0);
                    world.time += wait - 1;
                    prop_assert!(world.ledger.decide(&quota, cause, world.now()).is_err());
                    world.time += 1;
                    prop_assert!(world.ledger.decide(&quota, cause, world.now()).is_ok());
                    world.time -= wait;
                }
            }
        }
        let most = world.most_in_calendar(Calendar::Day, "America/New_York");
        prop_assert!(most <= limit as usize && most > 0 && refusals < 80);
    }
}
