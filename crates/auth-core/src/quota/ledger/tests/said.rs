//! What the issuer says lowers what is left, and never raises it.

use proptest::prelude::*;

use super::super::super::said::Bucket;
use super::*;

fn bucket(limit: Option<u32>, left: u32, resets: u64) -> Bucket {
    Bucket { name: "day".to_owned(), limit, left, resets_in: Duration::from_secs(resets) }
}

fn says(ledger: &mut Ledger, spend: &Spend, bucket: Bucket, quota: &Quota, now: Now) {
    let said = Said { date: None, buckets: vec![bucket] };
    ledger.heed(spend.id, &said, false, quota, now);
}

/// A ledger with one spend, whose answer said this.
fn told(quota: &Quota, bucket: Bucket) -> Ledger {
    let mut ledger = Ledger::default();
    let spend = spend(now(0), Cause::Start);
    ledger.append(spend.clone(), quota, now(0));
    says(&mut ledger, &spend, bucket, quota, now(0));
    ledger
}

#[test]
fn when_the_issuer_has_none_left_nothing_is_spent_until_it_counts_anew() {
    let quota = Quota::per_day(10);
    let ledger = told(&quota, bucket(Some(10), 0, 3600));
    let refusal = ledger.decide(&quota, Cause::Start, now(0)).unwrap_err();
    assert_eq!(refusal.retry_at, now(3_600_000).wall);
    assert!(refusal.to_string().contains("the issuer says that 0 token requests are left"));
    assert!(ledger.decide(&quota, Cause::Start, now(3_599_999)).is_err());
    assert_eq!(ledger.decide(&quota, Cause::Start, now(3_600_000)), Ok(()));
    assert!(ledger.elsewhere().is_some(), "nine should be left: somebody else spends");
}

#[test]
fn later_requests_count_against_the_issuers_word_and_renewals_leave_its_reserve() {
    let quota = Quota::per_day(10);
    let mut ledger = told(&quota, bucket(Some(10), 5, 3600));
    assert_eq!(ledger.decide(&quota, Cause::Expiring, now(1)), Ok(()));
    for at in [2, 3] {
        ledger.append(spend(now(at), Cause::Start), &quota, now(at));
    }
    assert_eq!(ledger.said_left(now(4)), Some(3));
    assert!(ledger.decide(&quota, Cause::Expiring, now(4)).is_err());
    for at in [5, 6, 7] {
        assert_eq!(ledger.decide(&quota, Cause::Start, now(at)), Ok(()));
        ledger.append(spend(now(at), Cause::Start), &quota, now(at));
    }
    assert!(ledger.decide(&quota, Cause::Start, now(8)).is_err());
}

#[test]
fn an_answer_that_comes_late_does_not_undo_the_word_on_a_later_request() {
    let quota = Quota::per_day(10);
    let mut ledger = Ledger::default();
    let (first, second) = (spend(now(0), Cause::Start), spend(now(10), Cause::Start));
    ledger.append(first.clone(), &quota, now(0));
    ledger.append(second.clone(), &quota, now(10));
    says(&mut ledger, &second, bucket(None, 0, 3600), &quota, now(20));
    says(&mut ledger, &first, bucket(None, 9, 3600), &quota, now(30));
    assert!(ledger.decide(&quota, Cause::Start, now(40)).is_err());
}

#[test]
fn of_two_words_on_one_bucket_the_lower_stands_unless_the_higher_is_on_a_later_request() {
    let quota = Quota::per_day(10);
    let mut ledger = Ledger::default();
    let (first, second) = (spend(now(0), Cause::Start), spend(now(10), Cause::Start));
    ledger.append(first.clone(), &quota, now(0));
    ledger.append(second.clone(), &quota, now(10));
    says(&mut ledger, &second, bucket(None, 1, 3600), &quota, now(20));
    says(&mut ledger, &first, bucket(None, 0, 3600), &quota, now(30));
    assert!(ledger.decide(&quota, Cause::Start, now(40)).is_err());
    let third = spend(now(50), Cause::Start);
    ledger.append(third.clone(), &quota, now(50));
    says(&mut ledger, &third, bucket(None, 5, 3600), &quota, now(60));
    assert_eq!(ledger.decide(&quota, Cause::Start, now(70)), Ok(()));
    // Twice in one answer.
    let said = Said { date: None, buckets: vec![bucket(None, 0, 3600), bucket(None, 9, 3600)] };
    ledger.heed(third.id, &said, false, &quota, now(80));
    assert!(ledger.decide(&quota, Cause::Start, now(90)).is_err());
}

#[test]
fn a_word_by_a_clock_that_ran_ahead_ends_when_its_time_has_passed() {
    let quota = Quota::per_day(10);
    let mut ledger = Ledger::default();
    let ahead = Now { wall: now(365 * DAY_MS).wall, ..now(0) };
    let spend = spend(ahead, Cause::Start);
    ledger.append(spend.clone(), &quota, ahead);
    says(&mut ledger, &spend, bucket(None, 0, 43_200), &quota, ahead);
    let refusal = ledger.decide(&quota, Cause::Start, now(3_600_000)).unwrap_err();
    assert_eq!(refusal.retry_at, now(43_200_000).wall);
    assert_eq!(ledger.decide(&quota, Cause::Start, now(43_200_000)), Ok(()));
}

#[test]
fn a_word_that_agrees_with_the_ledger_accuses_nobody() {
    let quota = Quota::per_day(10);
    assert_eq!(told(&quota, bucket(Some(10), 9, 3600)).elsewhere(), None);
    assert_eq!(told(&quota, bucket(Some(3), 2, 60)).elsewhere(), None, "another rule than ours");
}

#[test]
fn a_reset_in_the_far_future_is_bounded() {
    let quota = Quota::per_hour(10);
    let ledger = told(&quota, bucket(None, 0, u64::from(u32::MAX)));
    let refusal = ledger.decide(&quota, Cause::Start, now(0)).unwrap_err();
    assert_eq!(refusal.retry_at, now(25 * 3_600_000).wall);
}

proptest! {
    /// Whatever it says, nothing is allowed that the ledger alone refuses.
    #[test]
    fn no_word_raises_what_is_left(
        limit in 1u32..5, left in any::<u32>(), resets in any::<u32>(), quota in proptest::option::of(any::<u32>()),
        ask in causes(), at in 0i64..DAY_MS,
    ) {
        let rule = Quota::per_day(limit);
        let told = told(&rule, bucket(quota, left, resets.into()));
        let mut untold = told.clone();
        untold.said = Words::default();
        if untold.decide(&rule, ask, now(at)).is_err() {
            prop_assert!(told.decide(&rule, ask, now(at)).is_err());
        }
    }
}
