//! The count, held to what it promises.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

const SEC: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A leap day, so that every period of the calendar ends soon.
fn noon() -> SystemTime {
    httpdate::parse_http_date("Tue, 29 Feb 2028 12:00:00 GMT").unwrap()
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let window = prop_oneof![
        (1_u32..6, 1_u32..90_000).prop_map(|(n, secs)| Window::rolling(n, secs * SEC)),
        (1_u32..6).prop_map(Window::utc_hour),
        (1_u32..6).prop_map(Window::utc_day),
        (1_u32..6).prop_map(Window::utc_month),
    ];
    prop::collection::vec(window, 1..4)
}

fn quota(windows: &[Window], lag: Duration) -> Quota {
    windows.iter().fold(Quota::unlimited(), |quota, window| quota.and(*window)).lag(lag)
}

/// The count as one would do it by hand over all that was ever granted.
fn counts(window: &Window, granted: &[SystemTime], lag: Duration, now: SystemTime) -> usize {
    let counts =
        |at: &&SystemTime| **at + lag <= now && window.back(Moment::from(**at)) > Moment::from(now);
    granted.iter().filter(counts).count()
}

#[test]
fn a_clock_that_is_set_back_frees_what_was_forgotten_in_the_31_days_ahead_and_nothing_else() {
    let quota = quota(&[Window::rolling(1, DAY)], Duration::ZERO);
    for (ahead, is_free) in [(31 * DAY - SEC, false), (31 * DAY, true)] {
        let mut spends = Spends::default();
        spends.spend(&quota, noon()).unwrap();
        // One more is spent there, which counts wherever the clock goes: two are allowed to see the first.
        let two = Quota::unlimited().and(Window::rolling(2, DAY));
        spends.spend(&two, noon() + ahead).unwrap();
        assert_eq!(spends.spend(&two, noon()).is_ok(), is_free, "{ahead:?}");
    }
}

proptest! {
    #[test]
    fn one_is_granted_exactly_when_no_window_is_full_of_what_the_lag_lets_be_seen(
        windows in windows(),
        lag in prop_oneof![Just(0_u32), 1_u32..8_000],
        steps in prop::collection::vec(0_u32..9_000, 1..80),
    ) {
        let lag = lag * SEC;
        let quota = quota(&windows, lag);
        let (mut spends, mut now, mut granted) = (Spends::default(), noon(), Vec::new());
        for step in steps {
            now += step * SEC;
            let has_room = windows
                .iter()
                .all(|window| counts(window, &granted, lag, now) < window.limit() as usize);
            prop_assert_eq!(spends.spend(&quota, now).is_ok(), has_room);
            if has_room {
                granted.push(now);
            }
            // What is left is what the windows have, less what counts.
            for (window, left) in windows.iter().zip(spends.left(&quota, now)) {
                let spent = counts(window, &granted, lag, now);
                prop_assert_eq!(left.left as usize, (window.limit() as usize).saturating_sub(spent));
            }
        }
    }

    #[test]
    fn a_refusal_tells_the_exact_moment_when_one_more_is_allowed(
        windows in windows(),
        lag in prop_oneof![Just(0_u32), 1_u32..8_000],
        steps in prop::collection::vec(0_u32..5_000, 1..40),
    ) {
        let quota = quota(&windows, lag * SEC);
        let (mut spends, mut now) = (Spends::default(), noon());
        for step in steps {
            now += step * SEC;
            let Err(over) = spends.spend(&quota, now) else { continue };
            let opens = over.opens_at.unwrap();
            prop_assert_eq!(now + over.retry_after, opens);
            prop_assert_eq!(spends.next_opens(&quota, now), Some(opens));
            prop_assert!(opens > now);
            prop_assert!(spends.clone().spend(&quota, opens - Duration::from_nanos(1)).is_err());
            prop_assert!(spends.clone().spend(&quota, opens).is_ok());
        }
    }

    #[test]
    fn a_clock_that_is_set_back_frees_no_unit(
        windows in windows(),
        lag in prop_oneof![Just(0_u32), 1_u32..8_000],
        steps in prop::collection::vec(0_u32..5_000, 1..40),
        back in 0_u32..4_000_000,
    ) {
        let quota = quota(&windows, lag * SEC);
        let (mut spends, mut now) = (Spends::default(), noon());
        for step in steps {
            now += step * SEC;
            let _ = spends.spend(&quota, now);
        }
        let before = spends.left(&quota, now);
        // What `left` saw was seen: the next request of the same time would have.
        let _ = spends.spend(&quota, now);
        let earlier = now - back * SEC;
        for (after, before) in spends.left(&quota, earlier).iter().zip(&before) {
            prop_assert!(after.left <= before.left, "{after:?} {before:?}");
        }
        if let Err(over) = spends.spend(&quota, earlier) {
            let opens = over.opens_at.unwrap();
            prop_assert!(spends.clone().spend(&quota, opens - Duration::from_nanos(1)).is_err());
            prop_assert!(spends.spend(&quota, opens).is_ok());
        }
    }

    #[test]
    fn what_is_stored_counts_as_before(
        windows in windows(),
        lag in 0_u32..3_000,
        steps in prop::collection::vec(0_u32..5_000, 1..20),
    ) {
        let quota = quota(&windows, lag * SEC);
        let (mut spends, mut now) = (Spends::default(), noon());
        for step in steps {
            now += step * SEC;
            let stored = serde_json::to_string(&spends).unwrap();
            let mut restored: Spends = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(&restored, &spends);
            prop_assert_eq!(restored.spend(&quota, now), spends.spend(&quota, now));
        }
    }
}

#[test]
fn a_burst_within_the_lag_gets_through_and_counts_afterwards() {
    let quota = Quota::per_day(3).lag(5 * SEC);
    let mut spends = Spends::default();
    for i in 0..20 {
        assert!(spends.spend(&quota, noon() + i * SEC / 10).is_ok());
    }
    let last = noon() + 19 * SEC / 10;
    assert_eq!(spends.left(&quota, last)[0].left, 3, "nothing is seen yet");
    let over = spends.spend(&quota, noon() + 7 * SEC).unwrap_err();
    // Not when the first of them is back, but when only two are left.
    assert_eq!(over.opens_at, Some(noon() + DAY + 17 * SEC / 10));
}

#[test]
fn what_the_lag_hides_is_foreseen_when_the_next_opening_is_told() {
    let quota = Quota::unlimited().and(Window::rolling(1, 60 * SEC)).lag(10 * SEC);
    let mut spends = Spends::default();
    let at = |secs: u32| noon() + secs * SEC;
    assert!(spends.spend(&quota, at(0)).is_ok());
    assert!(spends.spend(&quota, at(9)).is_ok());
    // The first is back at 60, but the second is seen from 19 on.
    assert_eq!(spends.spend(&quota, at(10)).unwrap_err().opens_at, Some(at(69)));
}

#[test]
fn calendar_windows_open_at_midnight_and_on_the_first() {
    let over = |window: Window| {
        let quota = Quota::unlimited().and(window);
        let mut spends = Spends::default();
        assert!(spends.spend(&quota, noon()).is_ok());
        let opens = spends.spend(&quota, noon()).unwrap_err().opens_at.unwrap();
        httpdate::fmt_http_date(opens)
    };
    assert_eq!(over(Window::utc_hour(1)), "Tue, 29 Feb 2028 13:00:00 GMT");
    assert_eq!(over(Window::utc_day(1)), "Wed, 01 Mar 2028 00:00:00 GMT");
    assert_eq!(over(Window::utc_month(1)), "Wed, 01 Mar 2028 00:00:00 GMT");
}

#[test]
fn yesterday_has_no_units_for_whoever_sets_the_clock_back() {
    let quota = Quota::unlimited().and(Window::utc_day(1));
    let mut spends = Spends::default();
    assert!(spends.spend(&quota, noon()).is_ok());
    let over = spends.spend(&quota, noon() - 3 * DAY).unwrap_err();
    assert_eq!(over.opens_at, Some(noon() + DAY / 2));
}

#[test]
fn of_several_windows_the_last_to_open_decides() {
    let quota =
        Quota::unlimited().and(Window::rolling(2, 60 * SEC)).and(Window::rolling(3, 600 * SEC));
    let mut spends = Spends::default();
    let at = |secs: u32| noon() + secs * SEC;
    assert!(spends.spend(&quota, at(0)).is_ok());
    assert!(spends.spend(&quota, at(1)).is_ok());
    assert_eq!(spends.spend(&quota, at(2)).unwrap_err().opens_at, Some(at(60)));
    assert!(spends.spend(&quota, at(60)).is_ok());
    assert_eq!(spends.spend(&quota, at(61)).unwrap_err().opens_at, Some(at(600)));
    let of = |i: usize| spends.spent_in_window(&quota, &quota.windows()[i], at(61));
    assert_eq!((of(0), of(1)), (1, 3));
}

#[test]
fn a_quota_without_windows_is_never_over_and_one_of_zero_always_is() {
    let mut spends = Spends::default();
    assert!((0..2000).all(|_| spends.spend(&Quota::unlimited(), UNIX_EPOCH).is_ok()));
    let zero = Quota::per_day(0).and(Window::rolling(5, SEC));
    let never = OverQuota { opens_at: None, retry_after: DAY };
    assert_eq!(spends.spend(&zero, UNIX_EPOCH), Err(never));
    assert_eq!(spends.next_opens(&zero, UNIX_EPOCH), None);
}

#[test]
fn what_is_held_is_bounded_by_number_and_by_age() {
    let lagging = Quota::unlimited().lag(3 * SEC);
    let mut spends = Spends::default();
    for i in 0..10_000_u32 {
        spends.spend(&lagging, noon() + i * SEC / 2).unwrap();
        // And what two requests a second spend in the lag.
        assert!(spends.seen.len() + spends.unseen.len() <= HELD + 7);
    }
    let last = noon() + 9_999 * SEC / 2;
    spends.restore(&Quota::unlimited(), last + HELD_FOR);
    assert_eq!(spends.seen.len(), 1);
}

#[test]
fn another_rule_finds_what_was_spent_under_the_one_before() {
    let mut spends = Spends::default();
    for quota in [Quota::unlimited(), Quota::per_day(9).lag(SEC), Quota::per_day(9)] {
        spends.spend(&quota, noon()).unwrap();
    }
    // What a stricter rule would refuse was allowed by that of its time.
    spends.restore(&Quota::per_day(0), noon());
    let later = noon() + 2 * SEC;
    assert_eq!(spends.left(&Quota::per_day(9), later)[0].left, 5);
    assert_eq!(spends.left(&Quota::unlimited().and(Window::utc_month(9)), later)[0].left, 5);
}

#[test]
fn spends_in_disorder_are_put_in_order_and_strange_ones_refused() {
    let spends: Spends = serde_json::from_str(r#"{"seen":[[9,0],[-3,1]]}"#).unwrap();
    assert_eq!(serde_json::to_string(&spends).unwrap(), r#"{"seen":[[-3,1],[9,0]],"unseen":[]}"#);
    for stored in ["{}", r#"{"seen":[[0]]}"#, r#"{"seen":[],"more":1}"#, r#"{"seen":[[0,-1]]}"#] {
        assert!(serde_json::from_str::<Spends>(stored).is_err());
    }
}

#[test]
fn the_window_that_is_nearest_to_its_end_is_the_one_to_show() {
    let quota = Quota::per_day(10).and(Window::rolling(2, 60 * SEC));
    let mut spends = Spends::default();
    let standing = |spends: &Spends, now| {
        let Standing { limit, spent, next, .. } = spends.standing(&quota, now);
        (limit, spent, next)
    };
    assert_eq!(standing(&spends, noon()), (Some(2), 0, None));
    spends.spend(&quota, noon()).unwrap();
    assert_eq!(standing(&spends, noon()), (Some(2), 1, Some(noon() + 60 * SEC)));
    for minute in 1..9 {
        spends.spend(&quota, noon() + 60 * minute * SEC).unwrap();
    }
    // One is left of the day, and two of the minute.
    let later = noon() + 3600 * SEC;
    assert_eq!(standing(&spends, later), (Some(10), 9, Some(noon() + DAY)));
    spends.spend(&quota, later).unwrap();
    assert_eq!(standing(&spends, later), (Some(10), 10, Some(noon() + DAY)));
    let unlimited = spends.standing(&Quota::unlimited(), later);
    assert_eq!((unlimited.limit, unlimited.next), (None, None));
}

#[test]
fn a_spend_is_seen_as_soon_as_the_lag_is_over_or_the_clock_is_set_back_before_it() {
    let quota = Quota::per_day(1).lag(5 * SEC);
    let mut spends = Spends::default();
    assert!(spends.spend(&quota, noon()).is_ok());
    let mut later = spends.clone();
    assert!(later.spend(&quota, noon() + 5 * SEC).is_err());
    let before = later.spend(&quota, noon() + 5 * SEC - Duration::from_nanos(1));
    assert!(before.is_err(), "what was seen is not hidden again");
    assert!(spends.clone().spend(&quota, noon() + 5 * SEC - Duration::from_nanos(1)).is_ok());
    let over = spends.spend(&quota, noon() - 3600 * SEC).unwrap_err();
    assert_eq!(over.opens_at, Some(noon() + DAY));
}

#[test]
fn units_are_back_in_the_order_of_time_whatever_the_order_of_arrival() {
    let quota = Quota::unlimited().and(Window::rolling(2, 60 * SEC));
    let mut spends = Spends::default();
    assert!(spends.spend(&quota, noon()).is_ok());
    assert!(spends.spend(&quota, noon() - 50 * SEC).is_ok());
    let over = spends.spend(&quota, noon() - 50 * SEC).unwrap_err();
    assert_eq!(over.opens_at, Some(noon() + 10 * SEC));
}

#[test]
fn of_several_windows_that_never_open_the_longest_is_told() {
    let quota = Quota::unlimited().and(Window::utc_hour(0)).and(Window::utc_day(0));
    let over = Spends::default().spend(&quota, std::time::UNIX_EPOCH).unwrap_err();
    assert_eq!((over.opens_at, over.retry_after), (None, Duration::from_secs(86_400)));
}

#[test]
fn spends_that_were_written_out_of_order_count_all_the_same() {
    let mut spends: Spends = serde_json::from_str(r#"{"seen":[[100,0],[50,0]]}"#).unwrap();
    let quota = Quota::unlimited().and(Window::rolling(1, Duration::from_secs(10)));
    assert!(spends.spend(&quota, std::time::UNIX_EPOCH + Duration::from_secs(105)).is_err());
}
