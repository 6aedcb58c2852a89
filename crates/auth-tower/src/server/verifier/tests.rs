use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use auth_core::TokioClock;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::server::testing::{
    AUDIENCE, Does, Endpoint, ISSUER, Pair, claims, claims_but, message, set,
};

mod doubt;
mod forged;
mod rotation;

const URL: &str = "https://issuer.example/jwks";

/// A clock, and settings that take the tokens of the tests.
fn settings(jwks: Jwks) -> (Arc<TokioClock>, VerifierSettings) {
    let clock = Arc::new(TokioClock::new());
    let mut settings = VerifierSettings::new(jwks);
    settings.issuers = vec![ISSUER.to_owned()];
    settings.audiences = vec!["https://other.example".to_owned(), AUDIENCE.to_owned()];
    settings.algorithms = vec![Algorithm::Es256, Algorithm::Rs256];
    settings.clock = clock.clone();
    (clock, settings)
}

fn of(keys: &[Value]) -> (Arc<TokioClock>, Verifier) {
    crate::server::testing::provider();
    let (clock, settings) = settings(Jwks::from_json(&set(keys)));
    (clock, Verifier::new(settings).unwrap())
}

fn over(endpoint: &Endpoint) -> (Arc<TokioClock>, Verifier) {
    crate::server::testing::provider();
    let (clock, settings) = settings(Jwks::url(URL, endpoint.clone()));
    (clock, Verifier::new(settings).unwrap())
}

#[track_caller]
fn reason(verifier: &Verifier, token: &str) -> Reason {
    match verifier.cached(token) {
        Some(Err(invalid)) => invalid.reason(),
        Some(Ok(_)) => panic!("it is good"),
        None => panic!("other keys may be had"),
    }
}

fn rejected(result: Result<Claims, Rejected>) -> Reason {
    match result {
        Err(Rejected::Invalid(invalid)) => invalid.reason(),
        other => panic!("{other:?}"),
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn now() -> i64 {
    TokioClock::START.as_millis() / 1000
}

#[tokio::test(start_paused = true)]
async fn a_good_token_is_let_through_and_remembered() {
    let pair = Pair::p256();
    let (_, verifier) = of(&[pair.named("k")]);
    let token = pair.sign(&json!({ "kid": "k", "typ": "JWT" }), &claims());
    for _ in 0..3 {
        let claims = verifier.cached(&token).unwrap().unwrap();
        assert_eq!((claims.issuer(), claims.client_id()), (ISSUER, Some("c")));
    }
    assert_eq!(verifier.verify(&token).await.unwrap().subject(), Some("c@clients"));
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_at_its_expiry_and_the_leeway_whether_remembered_or_not() {
    let pair = Pair::p256();
    for remembered in [0, 4096] {
        let (clock, mut settings) = settings(Jwks::from_json(&set(&[pair.named("k")])));
        settings.remembered = remembered;
        let verifier = Verifier::new(settings).unwrap();
        let token = pair.sign(&json!({ "kid": "k" }), &claims_but(json!({ "exp": now() + 100 })));
        clock.suspend(Duration::from_millis(159_999));
        assert!(verifier.cached(&token).unwrap().is_ok());
        clock.suspend(Duration::from_millis(1));
        assert_eq!(reason(&verifier, &token), Reason::Expired);
        // A clock that is set back makes it good again, and one set forward does not make it better.
        clock.jump_wall(-1);
        assert!(verifier.cached(&token).unwrap().is_ok());
        clock.jump_wall(i64::from(u32::MAX));
        assert_eq!(reason(&verifier, &token), Reason::Expired);
    }
}

// torture: D30
#[tokio::test(start_paused = true)]
async fn a_token_from_the_future_waits_for_its_time_within_the_leeway() {
    let pair = Pair::p256();
    let (clock, verifier) = of(&[pair.named("k")]);
    for name in ["nbf", "iat"] {
        let from = |seconds: i64| {
            pair.sign(&json!({ "kid": "k" }), &claims_but(json!({ name: now() + seconds })))
        };
        let (good, early) = (from(60), from(61));
        assert!(verifier.cached(&good).unwrap().is_ok(), "{name}");
        assert_eq!(reason(&verifier, &early), Reason::NotYetValid, "{name}");
        // Remembered, and then the clock is set back.
        clock.jump_wall(-1);
        assert_eq!(reason(&verifier, &good), Reason::NotYetValid, "{name}");
        clock.jump_wall(1001);
        assert!(verifier.cached(&early).unwrap().is_ok(), "{name}");
        clock.jump_wall(-1000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_for_this_api_and_from_its_issuer() {
    let pair = Pair::p256();
    let (_, verifier) = of(&[pair.named("k")]);
    let with = |members: Value| pair.sign(&json!({ "kid": "k" }), &claims_but(members));
    for aud in [json!(AUDIENCE), json!(["x", AUDIENCE]), json!(["https://other.example"])] {
        assert!(verifier.cached(&with(json!({ "aud": aud }))).unwrap().is_ok(), "{aud}");
    }
    for aud in
        [json!([]), json!(""), json!("https://api.example/"), json!(["x"]), json!([[AUDIENCE]])]
    {
        let refused = reason(&verifier, &with(json!({ "aud": aud })));
        let malformed = aud == json!([[AUDIENCE]]);
        assert_eq!(refused, if malformed { Reason::Malformed } else { Reason::Audience }, "{aud}");
    }
    for iss in ["", "https://issuer.example", "HTTPS://ISSUER.EXAMPLE/", "https://issuer.example/x"]
    {
        assert_eq!(reason(&verifier, &with(json!({ "iss": iss }))), Reason::Issuer);
    }
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        reason(&verifier, &pair.sign(&json!({ "kid": "k" }), &claims))
    };
    assert_eq!(
        ["iss", "aud", "exp"].map(without),
        [Reason::Issuer, Reason::Audience, Reason::Malformed]
    );
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_opens_nothing_though_it_is_remembered() {
    let pair = Pair::p256();
    let (_, mut settings) = settings(Jwks::from_json(&set(&[pair.named("k")])));
    let (revoked, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_revoked, count) = (revoked.clone(), asked.clone());
    settings.revoked = Some(Arc::new(move |claims: &Claims| {
        count.fetch_add(1, SeqCst);
        claims.client_id() == Some("c") && is_revoked.load(SeqCst)
    }));
    let verifier = Verifier::new(settings).unwrap();
    let token = pair.sign(&json!({ "kid": "k" }), &claims());
    assert!(verifier.cached(&token).unwrap().is_ok());
    revoked.store(true, SeqCst);
    assert_eq!(reason(&verifier, &token), Reason::Revoked);
    revoked.store(false, SeqCst);
    assert!(verifier.cached(&token).unwrap().is_ok());
    assert_eq!(asked.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hit_allocates_nothing() {
    let pair = Pair::p256();
    let (_, verifier) = of(&[pair.named("k")]);
    let token = pair.sign(&json!({ "kid": "k" }), &claims());
    let mut counts = Vec::new();
    for _ in 0..20 {
        // On whichever CPU this runs now, it is remembered now; it may be moved in between.
        assert!(verifier.cached(&token).unwrap().is_ok());
        let info =
            allocation_counter::measure(|| assert!(verifier.cached(&token).unwrap().is_ok()));
        counts.push(info.count_total);
    }
    assert!(counts.iter().filter(|count| **count == 0).count() > 10, "{counts:?}");
}

#[test]
fn settings_without_a_check_are_refused() {
    crate::server::testing::provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let field = |change: fn(&mut VerifierSettings)| {
        let (_, mut settings) = settings(Jwks::from_json(&set(&[Pair::p256().named("k")])));
        change(&mut settings);
        Verifier::new(settings).map_err(|error| error.field()).err()
    };
    assert_eq!(field(|_| {}), None);
    assert_eq!(field(|settings| settings.issuers.clear()), Some("issuers"));
    assert_eq!(field(|settings| settings.issuers.push(String::new())), Some("issuers"));
    assert_eq!(field(|settings| settings.audiences.clear()), Some("audiences"));
    assert_eq!(field(|settings| settings.algorithms.clear()), Some("algorithms"));
    assert_eq!(field(|settings| settings.jwks = Jwks::from_json("{}")), Some("jwks"));
}

// torture: E43
#[tokio::test(start_paused = true)]
async fn debug_shows_neither_keys_nor_tokens() {
    let pair = Pair::p256();
    let (_, verifier) = of(&[pair.named("k")]);
    let token = pair.sign(&json!({ "kid": "k" }), &claims_but(json!({ "jti": "canary" })));
    let claims = verifier.cached(&token).unwrap();
    let shown = format!("{verifier:?} {claims:?} {:?}", verifier.cache);
    let x = pair.jwk["x"].as_str().unwrap();
    assert!(!shown.contains(x) && !shown.contains("canary"), "{shown}");
    assert!(token.split('.').all(|part| !shown.contains(part)), "{shown}");
}
