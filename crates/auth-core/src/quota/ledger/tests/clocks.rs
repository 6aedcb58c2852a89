//! Clocks that are wrong, and what the issuer's date does about it.

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// What a rolling day counts.
const SPAN: Duration = Duration::from_secs(25 * 60 * 60 + 60);
/// By which a spend of another boot counts longer.
const MINUTE: Duration = Duration::from_secs(60);
const DAYS: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// The same machine after a reboot.
fn rebooted(now: Now) -> Now {
    Now { boot: BootTime { id: BootId::fixed(2), millis: 1000 }, ..now }
}

fn dated(ledger: &mut Ledger, spend: &Spend, date: Timestamp, quota: &Quota, now: Now) {
    let said = Said { date: Some(date), buckets: Vec::new() };
    ledger.heed(spend.id, &said, false, quota, now);
}

/// A ledger with one spend, made by a clock that is `off`, and answered with the right date if `answered`.
fn by_a_clock_that_is(off: i64, answered: bool) -> (Ledger, Quota) {
    let quota = Quota::per_day(1);
    let mut wrong = now(0);
    wrong.wall = Timestamp::from_millis(wrong.wall.as_millis() + off);
    let mut ledger = Ledger::default();
    let spend = spend(wrong, Cause::Start);
    ledger.append(spend.clone(), &quota, wrong);
    if answered {
        dated(&mut ledger, &spend, now(0).wall, &quota, wrong);
    }
    (ledger, quota)
}

#[test]
fn a_spend_by_a_wrong_clock_counts_from_the_issuers_date_once_the_clock_is_right() {
    for off in [-millis(DAYS), millis(DAYS)] {
        let (ledger, quota) = by_a_clock_that_is(off, true);
        let refusal = ledger.decide(&quota, Cause::Start, rebooted(now(60_000))).unwrap_err();
        assert_eq!(refusal.retry_at, now(0).wall + SPAN + MINUTE, "{off}");
        let next = rebooted(now(millis(SPAN + MINUTE)));
        assert_eq!(ledger.decide(&quota, Cause::Start, next), Ok(()), "{off}");
    }
}

#[test]
fn a_spend_by_a_clock_that_stays_wrong_counts_all_the_same() {
    for off in [-millis(DAYS), millis(DAYS)] {
        let (ledger, quota) = by_a_clock_that_is(off, true);
        let wrong = |at: i64| {
            let right = rebooted(now(at));
            Now { wall: Timestamp::from_millis(right.wall.as_millis() + off), ..right }
        };
        assert!(ledger.decide(&quota, Cause::Start, wrong(60_000)).is_err(), "{off}");
        // One that is behind cannot be told from one that was set, before the issuer has been heard: it waits longer.
        let longer = Duration::from_millis(u64::try_from(-off).unwrap_or(0));
        let next = wrong(millis(SPAN + MINUTE + longer));
        assert_eq!(ledger.decide(&quota, Cause::Start, next), Ok(()), "{off}");
    }
}

#[test]
fn a_spend_that_is_dated_in_the_future_counts() {
    let (ledger, quota) = by_a_clock_that_is(millis(DAYS), false);
    assert!(ledger.decide(&quota, Cause::Start, rebooted(now(millis(48 * HOUR)))).is_err());
}

#[test]
fn an_issuer_whose_clock_is_in_the_year_9999_locks_nobody_out() {
    let quota = Quota::per_day(1).and(Quota::calendar(1, super::super::super::Calendar::Day));
    let mut ledger = Ledger::default();
    let spend = spend(now(0), Cause::Start);
    ledger.append(spend.clone(), &quota, now(0));
    dated(&mut ledger, &spend, Timestamp::from_secs(253_402_300_799), &quota, now(100));
    let next = rebooted(now(millis(48 * HOUR)));
    assert_eq!(ledger.decide(&quota, Cause::Start, next), Ok(()));
}

#[test]
fn a_window_that_nobody_uses_any_more_lapses() {
    let mut ledger = Ledger::default();
    let (old, new) = (Quota::per_day(1), Quota::per_day(5));
    ledger.append(spend(now(0), Cause::Start), &old, now(0));
    assert!(
        ledger.decide(&new, Cause::Start, now(millis(HOUR))).is_err(),
        "the stricter one stands"
    );
    for day in [26, 52, 78] {
        let then = now(millis(day * HOUR));
        assert_eq!(ledger.decide(&new, Cause::Start, then), Ok(()));
        ledger.append(spend(then, Cause::Start), &new, then);
    }
    assert_eq!(ledger.decide(&new, Cause::Start, now(millis(79 * HOUR))), Ok(()), "it is gone");
}

#[test]
fn a_calendar_in_a_time_zone_that_is_unknown_here_counts_as_a_rolling_window_of_a_longest_day() {
    let known = Quota::calendar(1, super::super::super::Calendar::Day);
    let mut text = serde_json::to_string(&known.windows()[0]).unwrap();
    text = text.replace("UTC", "Nowhere/Atlantis");
    let unknown: Window = serde_json::from_str(&text).unwrap();
    assert_eq!(unknown.span(), Duration::from_secs(25 * 3600 + 170));
    let mut ledger = Ledger::default();
    ledger.append(spend(now(0), Cause::Start), &known, now(0));
    ledger.windows[0].window = unknown;
    let none = Quota::unlimited();
    let refusal = ledger.decide(&none, Cause::Start, now(millis(24 * HOUR))).unwrap_err();
    assert_eq!(refusal.retry_at, now(25 * 3_600_000 + 170_000).wall);
}

/// One spend, dated by the issuer, by a clock that was `before` off; then a reboot after which it is `after` off.
fn over_a_reboot(
    quota: &Quota,
    before: i64,
    after: i64,
    passed: Duration,
) -> Result<(), Exhausted> {
    let wrong = |now: Now, off: i64| Now {
        wall: Timestamp::from_millis(now.wall.as_millis() + off),
        ..now
    };
    let mut ledger = Ledger::default();
    let first = wrong(now(0), before);
    let spend = spend(first, Cause::Start);
    ledger.append(spend.clone(), quota, first);
    dated(&mut ledger, &spend, now(0).wall, quota, first);
    ledger.decide(quota, Cause::Start, wrong(rebooted(now(millis(passed))), after))
}

#[test]
fn clocks_that_are_behind_open_nothing_over_a_reboot() {
    let hours = |hours: i64| hours * 3_600_000;
    let half = HOUR / 2;
    assert!(over_a_reboot(&Quota::per_hour(1), hours(-2), hours(-1), half).is_err());
    assert!(over_a_reboot(&Quota::per_day(1), hours(-30), hours(-2), HOUR).is_err());
    // 22:13 UTC: yesterday by a clock that is 23 hours behind, and still so after the reboot.
    let day = Quota::calendar(1, super::super::super::Calendar::Day);
    for behind in [1, 2, 12, 23, 30] {
        for minutes in [1, 30, 100] {
            let passed = Duration::from_secs(minutes * 60);
            let decided = over_a_reboot(&day, hours(-behind), hours(-behind), passed);
            assert!(decided.is_err(), "{behind} h behind, {minutes} min later");
        }
    }
}

#[test]
fn a_clock_that_ran_ahead_and_was_set_right_withholds_nothing_that_the_issuer_has_dated() {
    let quota = Quota::per_day(1);
    let (mut ledger, _) = by_a_clock_that_is(millis(DAYS), true);
    assert!(ledger.decide(&quota, Cause::Start, now(millis(24 * HOUR))).is_err());
    let next = now(millis(SPAN));
    assert_eq!(ledger.decide(&quota, Cause::Start, next), Ok(()));
    ledger.append(spend(next, Cause::Start), &quota, next);
    assert!(ledger.decide(&quota, Cause::Start, now(millis(26 * HOUR))).is_err());
}

/// The issuer's date is held against the clock that dated the decision, and not against the one that reads the answer.
#[test]
fn a_clock_that_is_set_right_before_the_answer_comes_does_not_pass_for_right_before() {
    let quota = Quota::per_hour(1);
    let behind = Now { wall: now(0).wall - HOUR, ..now(0) };
    let mut ledger = Ledger::default();
    let spend = spend(behind, Cause::Start);
    ledger.append(spend.clone(), &quota, behind);
    dated(&mut ledger, &spend, now(2_000).wall, &quota, now(2_000));
    assert!(ledger.decide(&quota, Cause::Start, rebooted(now(120_000))).is_err());
}

#[test]
fn a_date_far_in_the_future_takes_no_time_to_refuse() {
    let quota = Quota::calendar(1, super::super::super::Calendar::Hour);
    let (mut ledger, _) = by_a_clock_that_is(0, false);
    ledger.spends[0].at = Timestamp::from_secs(32_000_000_000);
    let refusal = ledger.decide(&quota, Cause::Start, rebooted(now(0))).unwrap_err();
    assert!(refusal.retry_at > now(0).wall);
}

#[test]
fn a_record_with_an_impossible_window_is_not_sound() {
    let mut ledger = Ledger::default();
    ledger.note(&Quota::per_day(1), now(0));
    assert!(ledger.is_sound());
    for (member, value) in [("limit", 0), ("reserve", 5), ("refused", 0), ("period_ms", 0)] {
        let mut json = serde_json::to_value(&ledger).unwrap();
        json["windows"][0][member] = value.into();
        assert!(!serde_json::from_value::<Ledger>(json).unwrap().is_sound(), "{member}");
    }
}
