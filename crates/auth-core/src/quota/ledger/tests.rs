use proptest::prelude::*;

use super::*;
use crate::id::BootId;

mod clocks;
mod issuer_count;
mod merged;
mod said;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn now(millis: i64) -> Now {
    let boot =
        BootTime { id: BootId::fixed(1), millis: 10_000_000_000 + millis.max(0).unsigned_abs() };
    Now { wall: Timestamp::from_millis(1_700_000_000_000 + millis), boot }
}

fn spend(at: Now, cause: Cause) -> Spend {
    Spend::new(FlightId::random(), cause, Fingerprint::of(b"test"), at)
}

fn causes() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::Start),
        Just(Cause::Expiring),
        Just(Cause::Expired),
        Just(Cause::Refused),
        Just(Cause::Manual),
    ]
}

#[test]
fn the_reserve_is_three_tenths_rounded_down() {
    let window = |limit| Quota::per_day(limit).windows()[0].clone();
    let shares = [1, 2, 3, 4, 10, 1000, 10_000].map(|limit| window(limit).share(Cause::Expiring));
    assert_eq!(shares, [1, 2, 3, 3, 7, 700, 7000]);
    let shares = [1, 2, 5, 10, 1000].map(|limit| window(limit).refused_share());
    assert_eq!(shares, [1, 1, 1, 2, 200]);
}

#[test]
fn a_clock_set_forward_opens_no_slot() {
    let quota = Quota::per_day(1);
    let mut ledger = Ledger::default();
    ledger.append(spend(now(0), Cause::Start), &quota, now(0));
    let mut later = now(60_000);
    later.wall = later.wall + Duration::from_secs(2 * 24 * 60 * 60);
    let refusal = ledger.decide(&quota, Cause::Expired, later).unwrap_err();
    let left = refusal.retry_at.saturating_since(later.wall);
    assert_eq!(left, Duration::from_secs(25 * 60 * 60));
}

#[test]
fn a_window_that_another_writer_brought_still_counts() {
    let mut ledger = Ledger::default();
    ledger.append(spend(now(0), Cause::Start), &Quota::per_day(1), now(0));
    assert!(ledger.decide(&Quota::unlimited(), Cause::Expired, now(1)).is_err());
}

#[test]
fn the_refusal_says_what_was_spent_and_when_to_come_back() {
    let quota = Quota::per_day(1);
    let mut ledger = Ledger::default();
    ledger.append(spend(now(0), Cause::Start), &quota, now(0));
    let text = ledger.decide(&quota, Cause::Expired, now(0)).unwrap_err().to_string();
    assert_eq!(
        text,
        "1 of 1 token requests are spent in 24 h (counted over 25 h 1 min); the next slot opens at \
         Wed, 15 Nov 2023 23:14:20 GMT"
    );
}

proptest! {
    /// Whatever is asked for and whenever, no window ever holds more than its limit, renewals leave the reserve, and
    /// `retry_at` is exact: refused one tick before, allowed at it.
    #[test]
    fn no_window_overflows_and_retry_at_is_exact(
        limit in 1u32..25,
        hourly in proptest::option::of(1u32..5),
        asks in proptest::collection::vec((0i64..DAY_MS / 2, causes()), 1..120),
    ) {
        let mut quota = Quota::per_day(limit);
        if let Some(hourly) = hourly {
            quota = quota.and(Quota::per_hour(hourly));
        }
        let mut ledger = Ledger::default();
        let mut at = 0;
        let mut granted = Vec::new();
        for (gap, cause) in asks {
            at += gap;
            match ledger.decide(&quota, cause, now(at)) {
                Ok(()) => {
                    ledger.append(spend(now(at), cause), &quota, now(at));
                    granted.push((at, cause));
                }
                Err(refusal) => {
                    let free = refusal.retry_at.as_millis() - now(0).wall.as_millis();
                    prop_assert!(free > at);
                    prop_assert!(ledger.decide(&quota, cause, now(free - 1)).is_err());
                    prop_assert!(ledger.decide(&quota, cause, now(free)).is_ok());
                }
            }
        }
        prop_assert!(!granted.is_empty());
        for window in quota.windows() {
            let span = millis(window.span());
            for (end, cause) in &granted {
                let inside = granted.iter().filter(|(at, _)| at <= end && end - at < span).count();
                prop_assert!(inside <= window.limit() as usize);
                if *cause == Cause::Expiring {
                    prop_assert!(inside <= window.share(Cause::Expiring) as usize);
                }
            }
        }
    }
}
