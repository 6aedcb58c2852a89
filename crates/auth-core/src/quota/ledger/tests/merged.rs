//! Old spends are merged: on the safe side, and so that a record stays small.

use proptest::prelude::*;

use super::*;

fn filled(quota: &Quota, ats: impl IntoIterator<Item = i64>) -> Ledger {
    let mut ledger = Ledger::default();
    for at in ats {
        let now = now(at);
        assert_eq!(ledger.decide(quota, Cause::Start, now), Ok(()), "at {at}");
        ledger.append(spend(now, Cause::Start), quota, now);
    }
    ledger
}

#[test]
fn ten_thousand_spends_are_counted_to_the_last_and_fit_into_a_record() {
    let quota = Quota::per_day(10_000);
    let every = DAY_MS / 10_000;
    let mut ledger = filled(&quota, (0..10_000).map(|n| n * every));
    let end = now(10_000 * every);
    assert_eq!(ledger.usage(&quota, end)[0].spent, 10_000);
    let refusal = ledger.decide(&quota, Cause::Start, end).unwrap_err();
    // The first leaves 25 h and a minute after it was made, or with those that it was merged with.
    let exact = now(25 * 60 * 60 * 1000 + 60_000).wall;
    assert!(refusal.retry_at >= exact);
    assert!(refusal.retry_at.saturating_since(exact) <= Duration::from_secs(25 * 3600 / 32));
    let entries = ledger.merged.len() + ledger.spends.len();
    assert!(entries <= WHOLE + MERGED, "{entries} entries");
    let size = serde_json::to_vec(&ledger).unwrap().len();
    assert!(size < 160 * 1024, "{size} bytes");

    ledger.prune(now(60 * 60 * 60 * 1000));
    assert_eq!(ledger.usage(&quota, now(60 * 60 * 60 * 1000))[0].spent, 0);
}

#[test]
fn a_merged_entry_counts_as_the_last_of_its_spends() {
    let (mut early, mut late) =
        (spend(now(0), Cause::Refused).entry(), spend(now(9_000), Cause::Start).entry());
    // Whichever of the two has the later date, by whichever clock.
    for _ in 0..2 {
        let both = early.merge(&late);
        let at = Time { now: now(100_000), issuer: None };
        assert_eq!((both.count, both.refused), (2, 1));
        assert_eq!(both.age(at), early.age(at).min(late.age(at)));
        std::mem::swap(&mut early, &mut late);
    }
}

/// Dated and undated ones in one entry, by a clock that ran ahead; then a reboot with the right clock.
#[test]
fn an_undated_spend_does_not_leave_with_a_dated_one_that_it_was_merged_with() {
    const DAY: i64 = DAY_MS;
    let quota = Quota::rolling(300, Duration::from_secs(30 * 86_400));
    let mut ledger = Ledger::default();
    let mut put = |at: i64, is_dated: bool| {
        let ahead = Now { wall: now(at + 40 * DAY).wall, ..now(at) };
        assert_eq!(ledger.decide(&quota, Cause::Start, ahead), Ok(()));
        let spend = spend(ahead, Cause::Start);
        ledger.append(spend.clone(), &quota, ahead);
        if is_dated {
            let said = Said { date: Some(now(at).wall), buckets: Vec::new() };
            ledger.heed(spend.id, &said, false, &quota, ahead);
        }
    };
    put(0, true);
    (0..40).for_each(|n| put(DAY / 4 + n * 1000, false));
    (0..256).for_each(|n| put(10 * DAY + n * 1000, true));
    assert!(ledger.merged.len() < 41, "they are merged");
    let booted = BootTime { id: BootId::fixed(2), millis: 1000 };
    let then = Now { boot: booted, ..now(30 * DAY + 120_000) };
    let left = ledger.usage(&quota, then)[0].left;
    assert!(left <= 300 - 296, "{left} left, and the issuer has 296 in its window");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Merging forgets no spend and lets none leave a window sooner; and at most a thirty-second of its age later.
    #[test]
    fn merging_errs_to_the_safe_side_and_not_far(
        gaps in proptest::collection::vec(prop_oneof![1i64..500, 1i64..60_000, 1i64..4_000_000], 300..900),
        later in 0i64..3 * DAY_MS,
    ) {
        // One window that is never full, so that everything is let through.
        let quota = Quota::per_day(10_000);
        let mut at = 0;
        let ats: Vec<_> = gaps.iter().map(|gap| { at += gap; at }).collect();
        let ledger = filled(&quota, ats.iter().copied());
        let then = now(at + later);
        for window in [Quota::per_day(10_000), Quota::per_hour(10_000)] {
            let span = millis(window.windows()[0].span());
            let spent = ledger.usage(&window, then)[0].spent as usize;
            let inside = |span: i64| ats.iter().filter(|spent| at + later - **spent < span).count();
            prop_assert!(spent >= inside(span), "{spent} of {}", inside(span));
            prop_assert!(spent <= inside(span + span / 31 + 1), "{spent} of {}", inside(span));
        }
        prop_assert!(ledger.merged.len() <= MERGED && ledger.spends.len() <= WHOLE);
    }
}
