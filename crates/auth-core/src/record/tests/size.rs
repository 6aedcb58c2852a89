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
            let retry_after = Some(Duration::from_secs(24 * HOUR));
            let failure = Failure { retry_after, ..failure };
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

/// What an issuer may say of each of its refusals, at its longest and with everything to escape.
#[test]
fn the_words_of_the_holds_are_cut_before_a_record_is_too_long() {
    let quota = Quota::per_day(10_000);
    let mut record = Record::new();
    let detail = format!("the issuer answered 400 (\"{}\")", "\\\"é".repeat(200));
    for n in 0..1000u64 {
        let now = at(n);
        let identity = identity_of(n);
        let cause = if n % 4 < 2 { Cause::Start } else { Cause::Expiring };
        let spend = Spend::new(FlightId::random(), cause, identity.request, now);
        let flight = spend.id;
        record.begin(spend, Duration::from_secs(12), &quota);
        let terms = Terms { identity, quota: &quota, expires_at: None, now };
        let kind = if n % 2 == 0 { FailureKind::Rejected } else { FailureKind::InvalidClient };
        let failure = Failure::new(kind, detail.clone());
        let retry_after = Some(Duration::from_secs(24 * HOUR));
        let failure = Failure { retry_after, ..failure };
        record.settle_failure(flight, &failure, &terms);
    }
    let now = at(1000);
    record.holds.prune(now);
    record.tokens.insert(
        identity("a").request,
        StoredToken { sealed: "x".repeat(22_000), ..token(1000, 86_400) },
    );
    let long = serde_json::to_vec(&record).unwrap().len();
    let cut = record.encode().len();
    assert!(long > LONGEST_RECORD && cut <= LONGEST_RECORD, "{long} bytes, and {cut}");
    assert!(!record.tokens.is_empty(), "words are no reason to drop a token");
    let (hold, _) = record.hold(identity_of(997), Cause::Start, now).unwrap();
    assert!(hold.detail.starts_with("the issuer answered 400") && hold.detail.ends_with('…'));
}

fn identity_of(n: u64) -> Identity {
    Identity { credential: Fingerprint::of(&n.to_be_bytes()), ..identity(&n.to_string()) }
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
