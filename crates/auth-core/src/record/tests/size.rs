//! A record stays small, whatever happens to its client.

use super::*;

/// A client that is asked for thousands of tokens, as long as they can be, and half of the time in vain.
#[test]
fn a_record_stays_below_256_kib_and_loses_tokens_before_it_loses_count() {
    let quota = Quota::per_day(10_000);
    let mut record = Record::new();
    let mut longest = 0;
    for n in 0..3000u64 {
        let now = at(n);
        let identity = identity(&n.to_string());
        let cause = if n % 2 == 0 { Cause::Refused } else { Cause::Expiring };
        let spend = Spend::new(FlightId::random(), cause, identity.request, now);
        let flight = spend.id;
        record.begin(spend, Duration::from_secs(12), &quota);
        let terms = Terms { identity, quota: &quota, expires_at: None, now };
        // By a clock that is years off, so that every spend is dated anew.
        let said = Said { date: Some(Timestamp::from_secs(1_500_000_000)), buckets: Vec::new() };
        record.heed(flight, &said, false, &terms);
        if n % 3 == 0 {
            let detail = "the issuer answered 400 `invalid_scope`: check the credentials and so on";
            let failure = Failure::new(FailureKind::Rejected, detail);
            let failure = failure.with_retry_after(Some(Duration::from_secs(24 * HOUR)));
            record.settle_failure(flight, &failure, &terms);
        } else if n % 3 == 1 {
            let sealed = "x".repeat(22_000);
            record.settle_token(flight, StoredToken { sealed, ..token(n, 86_400) }, &terms);
        }
        if n % 50 == 49 {
            longest = longest.max(record.encode().len());
        }
    }
    assert!(longest <= LONGEST_RECORD && longest > LONGEST_RECORD / 2, "{longest} bytes");
    let decoded = Record::decode(&record.encode()).unwrap();
    assert_eq!(decoded, record);
    assert_eq!(record.ledger.usage(&quota, at(3000))[0].spent, 3000);
    assert!(!record.tokens.is_empty(), "the last tokens are still there");
}

/// An outage of more failures than are kept one by one: the pace must not start anew.
#[test]
fn a_streak_that_is_longer_than_what_is_kept_still_lasts_the_window() {
    let mut world = World { quota: Quota::per_day(1000), ..World::new() };
    let (mut now, mut attempts) = (0, 0);
    while now < 25 * HOUR {
        let decided = world.record.ledger.decide(&world.quota, Cause::Expired, at(now));
        assert!(decided.is_ok(), "exhausted after {now} s and {attempts} attempts");
        now += world.fails(now, Cause::Expired, FailureKind::Unavailable, None);
        attempts += 1;
    }
    assert!(attempts > 256, "{attempts}");
}
