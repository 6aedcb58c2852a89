use super::*;
use crate::clock::BootTime;
use crate::id::BootId;

mod size;

const HOUR: u64 = 3600;

fn at(secs: u64) -> Now {
    let boot = BootTime { id: BootId::fixed(1), millis: secs * 1000 };
    Now { wall: Timestamp::from_secs(1_800_000_000 + secs.cast_signed()), boot }
}

fn identity(request: &str) -> Identity {
    Identity {
        request: Fingerprint::of(request.as_bytes()),
        credential: Fingerprint::of(b"credential"),
    }
}

/// A record and the time, for one request and a quota of ten a day.
struct World {
    record: Record,
    quota: Quota,
    identity: Identity,
}

impl World {
    fn new() -> Self {
        Self { record: Record::new(), quota: Quota::per_day(10), identity: identity("request") }
    }

    fn begin(&mut self, secs: u64, cause: Cause) -> FlightId {
        let spend = Spend::new(FlightId::random(), cause, self.identity.request, at(secs));
        let id = spend.id;
        self.record.begin(spend, Duration::from_secs(12), &self.quota);
        id
    }

    fn fails(&mut self, secs: u64, cause: Cause, kind: FailureKind, end: Option<u64>) -> u64 {
        let flight = self.begin(secs, cause);
        let terms = Terms {
            identity: self.identity,
            quota: &self.quota,
            expires_at: end.map(|end| at(end).wall),
            now: at(secs),
        };
        let until = self.record.settle_failure(flight, &Failure::new(kind, "x"), &terms).unwrap();
        until.saturating_since(at(secs).wall).as_secs()
    }

    fn brings(&mut self, flight: FlightId, now: u64, token: StoredToken) {
        let terms =
            Terms { identity: self.identity, quota: &self.quota, expires_at: None, now: at(now) };
        self.record.settle_token(flight, token, &terms);
    }

    fn is_held(&self, secs: u64, cause: Cause) -> bool {
        self.record.hold(self.identity, cause, at(secs)).is_some()
    }
}

fn token(sent: u64, lifetime: u64) -> StoredToken {
    StoredToken {
        id: TokenId::random(),
        sent: at(sent).wall,
        lifetime_ms: lifetime * 1000,
        cause: Cause::Start,
        sealed: String::new(),
    }
}

#[test]
fn the_gaps_of_a_streak_grow_until_its_units_have_lasted_the_window() {
    let mut world = World::new();
    let mut now = 0;
    let mut gaps = Vec::new();
    for _ in 0..10 {
        let gap = world.fails(now, Cause::Expired, FailureKind::Unavailable, None);
        gaps.push(gap);
        now += gap;
    }
    assert_eq!(gaps[0], 30);
    let ratio = |i: usize| gaps[i + 1] as f64 / gaps[i] as f64;
    assert!((0..9).all(|i| (2.0..2.4).contains(&ratio(i))), "{gaps:?}");
    assert!(now.abs_diff(25 * HOUR + 60) < 20, "ten units last the window: {now} s");
}

#[test]
fn expiry_begins_a_streak_of_its_own_with_one_attempt_at_once() {
    let mut world = World::new();
    let mut last = 0;
    for secs in [0, 600, 1800, 3600] {
        last = world.fails(secs, Cause::Expiring, FailureKind::Unavailable, Some(8 * HOUR));
    }
    assert!(last > 600, "{last}");
    assert!(world.is_held(3601, Cause::Expiring));
    assert!(
        !world.is_held(3601, Cause::Expired),
        "a caller without a token is not held by the pace of renewals"
    );
    assert_eq!(world.fails(3601, Cause::Expired, FailureKind::Unavailable, None), 30);
    assert!(world.is_held(3602, Cause::Expired) && world.is_held(3602, Cause::Expiring));
    assert!(!world.is_held(3602, Cause::Manual));
}

#[test]
fn the_issuers_word_to_a_renewal_stops_everybody() {
    let mut world = World::new();
    let flight = world.begin(0, Cause::Expiring);
    let failure = Failure {
        retry_after: Some(Duration::from_secs(7200)),
        ..Failure::new(FailureKind::OverQuota, "x")
    };
    let terms = Terms {
        identity: world.identity,
        quota: &world.quota,
        expires_at: Some(at(HOUR).wall),
        now: at(0),
    };
    let until = world.record.settle_failure(flight, &failure, &terms);
    assert_eq!(until, Some(at(7200).wall));
    assert!(world.is_held(7199, Cause::Expired) && !world.is_held(7200, Cause::Expired));
}

#[test]
fn an_older_spend_does_not_replace_a_newer_ones_token() {
    let mut world = World::new();
    let older = world.begin(0, Cause::Start);
    let newer = world.begin(1, Cause::Start);
    let (first, second) = (token(0, 86_400), token(1, 86_400));
    world.brings(newer, 2, second.clone());
    world.brings(older, 3, first);
    assert_eq!(world.record.tokens[&world.identity.request].id, second.id);
}

#[test]
fn settling_touches_only_its_own_flight() {
    let mut world = World::new();
    let older = world.begin(0, Cause::Start);
    let newer = world.begin(1, Cause::Start);
    world.brings(older, 2, token(0, 86_400));
    assert_eq!(world.record.flights[&world.identity.request].id, newer);
}

#[test]
fn what_never_left_is_given_back_and_waits_longer_each_time() {
    let mut world = World::new();
    let gaps: Vec<_> =
        (0..4).map(|i| world.fails(i * 60, Cause::Start, FailureKind::NotSent, None)).collect();
    assert_eq!(gaps, [1, 2, 4, 8]);
    assert!(world.record.ledger.spends().is_empty());
    assert_eq!(
        world.fails(HOUR, Cause::Start, FailureKind::NotSent, None),
        1,
        "an hour later it is not in a row"
    );
}

#[test]
fn tokens_that_the_quota_cannot_keep_up_with_are_used_and_paced() {
    let mut world = World::new();
    let flight = world.begin(0, Cause::Start);
    world.brings(flight, 0, token(0, 1));
    assert!(world.record.tokens.contains_key(&world.identity.request));
    assert!(world.is_held(29, Cause::Expired) && !world.is_held(30, Cause::Expired));

    world.quota = Quota::unlimited();
    world.record = Record::new();
    let flight = world.begin(0, Cause::Start);
    world.brings(flight, 0, token(0, 1));
    assert!(!world.is_held(1, Cause::Expired));
}

#[test]
fn the_record_forgets_secrets_and_scopes_that_nobody_asks_for_any_more() {
    let mut world = World::new();
    for i in 0..100 {
        world.identity = identity(&i.to_string());
        world.fails(i, Cause::Start, FailureKind::Rejected, None);
    }
    world.identity = identity("last");
    world.begin(10 * 86_400, Cause::Start);
    let json = String::from_utf8(world.record.encode()).unwrap();
    assert!(json.len() < 2000, "{json}");
    assert_eq!(world.record.flights.len(), 1);
}

#[test]
fn it_survives_its_encoding_and_keeps_what_it_does_not_know() {
    let mut world = World::new();
    world.fails(0, Cause::Start, FailureKind::InvalidClient, None);
    let flight = world.begin(1, Cause::Manual);
    world.brings(flight, 2, token(1, 3600));
    world.begin(3, Cause::Expired);
    let mut json: serde_json::Value = serde_json::from_slice(&world.record.encode()).unwrap();
    assert_eq!(Record::decode(&world.record.encode()).unwrap(), world.record);
    json["from_the_future"] = "kept".into();
    let again = Record::decode(json.to_string().as_bytes()).unwrap().encode();
    assert!(String::from_utf8(again).unwrap().contains(r#""from_the_future":"kept""#));
}

#[test]
fn what_cannot_be_trusted_is_an_error_and_never_an_empty_record() {
    let good = Record::new().encode();
    for bad in [&b""[..], b"{}", b"null", b"[]", b"{\"schema\":1}", &good[..good.len() - 1]] {
        assert!(Record::decode(bad).is_err(), "{}", String::from_utf8_lossy(bad));
    }
    let newer = String::from_utf8(good).unwrap().replace("\"schema\":1", "\"schema\":2");
    assert_eq!(Record::decode(newer.as_bytes()), Err(RecordError::NewerSchema(2)));
}

#[test]
fn what_a_newer_version_wrote_down_survives_this_one() {
    let mut world = World::new();
    world.fails(0, Cause::Start, FailureKind::Unavailable, None);
    let mut json: serde_json::Value = serde_json::from_slice(&world.record.encode()).unwrap();
    json["quarantine"] = serde_json::json!({ "until": [1, 2] });
    json["ledger"]["forecast"] = serde_json::json!("fair");
    let mut record = Record::decode(json.to_string().as_bytes()).unwrap();
    let spend = Spend::new(FlightId::random(), Cause::Start, world.identity.request, at(60));
    record.begin(spend, Duration::from_secs(12), &world.quota);
    let written: serde_json::Value = serde_json::from_slice(&record.encode()).unwrap();
    assert_eq!(written["quarantine"]["until"][1], 2);
    assert_eq!(written["ledger"]["forecast"], "fair");
    assert_eq!(written["ledger"]["spends"].as_array().unwrap().len(), 2);
}

#[test]
fn a_flight_that_was_given_up_and_brings_a_token_leaves_no_hold() {
    let mut world = World { quota: Quota::per_day(1), ..World::new() };
    let flight = world.begin(0, Cause::Start);
    let terms =
        Terms { identity: world.identity, quota: &world.quota, expires_at: None, now: at(12) };
    world.record.bury(flight, false, &terms);
    assert!(world.is_held(13, Cause::Start));
    world.brings(flight, 14, token(1, 3600));
    assert!(!world.is_held(15, Cause::Start));
}

#[test]
fn a_token_whose_spend_a_new_record_does_not_know_is_kept_for_others() {
    let mut world = World::new();
    let flight = world.begin(0, Cause::Start);
    world.record = Record::new();
    world.brings(flight, 2, token(1, 3600));
    assert_eq!(world.record.tokens.len(), 1);
    assert!(world.record.flights.is_empty());
}

#[test]
fn a_nonce_that_is_asked_for_costs_its_unit_and_holds_nobody_back() {
    let mut world = World::new();
    let flight = world.begin(0, Cause::Start);
    let terms =
        Terms { identity: world.identity, quota: &world.quota, expires_at: None, now: at(1) };
    let failure = Failure::new(FailureKind::NonceRequired, "x");
    assert_eq!(world.record.settle_failure(flight, &failure, &terms), None);
    for cause in [Cause::Start, Cause::Expiring] {
        assert!(!world.is_held(1, cause));
    }
    assert_eq!(world.record.ledger.usage(&world.quota, at(1))[0].spent, 1);
    assert!(world.record.flights.is_empty());
}
