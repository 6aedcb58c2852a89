//! Faults and events that are scripted: where, and when.

use std::time::Duration;

use auth_issuer::{Event, Fault, Issuer, ManualClock, Place, Script, When};

use crate::http::{Call, shipments, token};

async fn status(issuer: &Issuer) -> u16 {
    Call::good_token(issuer).send(issuer).await.unwrap().status
}

/// What comes of a token request, or that nothing does.
async fn outcome(issuer: &Issuer) -> Option<u16> {
    Call::good_token(issuer).send(issuer).await.ok().map(|answer| answer.status)
}

#[tokio::test]
async fn a_lost_answer_is_made_and_counted_and_a_drop_before_the_count_costs_nothing() {
    let issuer = Issuer::builder().quota(2).start().await.unwrap();
    issuer.fail_next(3, Fault::drop_connection().uncounted());
    issuer.fail_next(1, Fault::down());
    issuer.fail_next(1, Fault::lose_answer());
    for _ in 0..5 {
        assert_eq!(outcome(&issuer).await, None);
    }
    let counters = issuer.counters();
    assert_eq!((counters.token_requests, counters.faulted, counters.issued), (5, 4, 1));
    assert_eq!(outcome(&issuer).await, Some(200));
    assert_eq!(outcome(&issuer).await, Some(429));

    // A drop behind the count costs a unit, as the answer of a quota that is exhausted gets lost too.
    let issuer = Issuer::builder().quota(1).start().await.unwrap();
    issuer.fail_next(1, Fault::drop_connection());
    issuer.fail_next(1, Fault::lose_answer());
    issuer.fail_next(1, Fault::delay(Duration::ZERO).uncounted());
    assert_eq!([outcome(&issuer).await, outcome(&issuer).await], [None, None]);
    assert_eq!(issuer.counters().over_quota, 1);
    assert_eq!([outcome(&issuer).await, outcome(&issuer).await], [Some(200), Some(429)]);

    // A lost answer is no fault in front of the issuer: it is counted whatever those are.
    let issuer = Issuer::builder().quota(1).faults_spend_quota(false).start().await.unwrap();
    issuer.fail_next(1, Fault::lose_answer());
    assert_eq!([outcome(&issuer).await, outcome(&issuer).await], [None, Some(429)]);
}

#[tokio::test]
async fn junk_and_pages_say_200() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::junk());
    issuer.fail_next(1, Fault::html());
    let junk = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((junk.status, junk.header("content-type")), (200, Some("application/json")));
    assert!(serde_json::from_slice::<serde_json::Value>(&junk.body).is_err());
    let page = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.starts_with(b"<!DOCTYPE html>"));
}

#[tokio::test]
async fn spans_of_time_are_on_the_issuers_clock() {
    let clock = ManualClock::new();
    let secs = Duration::from_secs;
    let script =
        Script::new().fault(Place::Token, When::between(secs(10), secs(20)), Fault::status(502));
    let builder = Issuer::builder().clock(clock.clone()).unlimited_quota().script(script);
    let issuer = builder.start().await.unwrap();
    assert_eq!(status(&issuer).await, 200);
    clock.advance(secs(10));
    assert_eq!(status(&issuer).await, 502);
    clock.advance(secs(10));
    assert_eq!(status(&issuer).await, 200);
    issuer.fault(Place::Token, When::during(secs(5)), Fault::status(503));
    // The script's own times are on the right clock, however wrong the other is.
    issuer.happen(Event::ClockAhead(secs(3600)));
    clock.advance(secs(4));
    assert_eq!(status(&issuer).await, 503);
    clock.advance(secs(1));
    assert_eq!(status(&issuer).await, 200);
    issuer.fault(Place::Token, When::always(), Fault::status(504));
    issuer.heal();
    assert_eq!(status(&issuer).await, 200);
}

#[tokio::test]
async fn the_same_seed_fails_the_same_requests() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let script =
            Script::new().fault(Place::Token, When::probability(0.5, 3), Fault::status(503));
        let issuer = Issuer::builder().unlimited_quota().script(script).start().await.unwrap();
        let mut run = Vec::new();
        for _ in 0..20 {
            run.push(status(&issuer).await);
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&200) && runs[0].contains(&503));
}

#[tokio::test]
async fn the_api_has_faults_of_its_own() {
    let issuer = Issuer::start().await.unwrap();
    let token = token(&issuer).await;
    issuer.fault(Place::Api, When::next(1), Fault::status(503).retry_after(Duration::from_secs(9)));
    issuer.fault(Place::Keys, When::always(), Fault::status(500));
    issuer.fault(Place::Everywhere, When::next(2), Fault::down());
    let booking = Call::post("/v2/bookings").bearer(&token).body(vec![b' '; 1 << 20]);
    let answer = booking.send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("9")));
    assert!(booking.send(&issuer).await.is_err());
    assert_eq!(outcome(&issuer).await, None);
    assert_eq!(shipments(&issuer, &token).await, 200);
    issuer.fault(Place::Api, When::next(1), Fault::lose_answer());
    assert!(booking.send(&issuer).await.is_err());
    // What is never answered has no status.
    let counters = issuer.counters();
    assert_eq!((counters.api_total(), counters.api(503), counters.api(200)), (2, 1, 1));
}

#[tokio::test]
async fn the_events_of_a_file_happen_when_their_time_has_come() {
    let clock = ManualClock::new();
    let script = Script::from_toml(
        r#"
        [[fault]]
        kind = "drop"
        counted = false
        place = "everywhere"
        from = "50s"
        to = "60s"

        [[event]]
        at = "40s"
        action = "api-normal"
        [[event]]
        at = "30s"
        action = "api-status"
        status = 401
        [[event]]
        at = "20s"
        action = "revoke-all"
        [[event]]
        at = "10s"
        action = "rotate-keys"
        "#,
    );
    let builder = Issuer::builder().clock(clock.clone()).quota(3).script(script.unwrap());
    let issuer = builder.start().await.unwrap();
    let kid = |token: &str| token.split('.').next().unwrap().to_owned();
    let first = token(&issuer).await;
    assert_eq!(shipments(&issuer, &first).await, 200);

    clock.advance(Duration::from_secs(10));
    let second = token(&issuer).await;
    assert_ne!(kid(&first), kid(&second), "it is signed with another key");
    assert_eq!([shipments(&issuer, &first).await, shipments(&issuer, &second).await], [200, 200]);

    clock.advance(Duration::from_secs(10));
    // Nobody has asked the issuer since: it is told by its clock all the same.
    assert!(!issuer.is_valid(&second));
    assert_eq!(shipments(&issuer, &second).await, 401);
    let third = token(&issuer).await;
    assert_eq!(kid(&second), kid(&third), "there is no other key than before");
    assert_eq!(shipments(&issuer, &third).await, 200);

    clock.advance(Duration::from_secs(10));
    assert_eq!(shipments(&issuer, &third).await, 401);
    clock.advance(Duration::from_secs(10));
    assert_eq!(shipments(&issuer, &third).await, 200);

    clock.advance(Duration::from_secs(10));
    assert_eq!(outcome(&issuer).await, None);
    assert!(Call::get("/v2/shipments").bearer(&third).send(&issuer).await.is_err());
    clock.advance(Duration::from_secs(10));
    assert_eq!(shipments(&issuer, &third).await, 200);
    assert_eq!(issuer.quota_left(issuer.client_id()).unwrap()[0].left, 0);
}

#[tokio::test]
async fn a_wrong_clock_dates_tokens_and_answers_and_gives_no_unit_back() {
    let noon = httpdate::parse_http_date("Tue, 29 Feb 2028 12:00:00 GMT").unwrap();
    let clock = ManualClock::at(noon);
    let issuer = Issuer::builder().clock(clock).quota(2).start().await.unwrap();
    issuer.happen(Event::ClockBehind(Duration::from_secs(3600)));
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!(answer.header("date"), Some("Tue, 29 Feb 2028 11:00:00 GMT"));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(shipments(&issuer, &token).await, 200);
    // Its day is over for the wrong clock, and not for the quota.
    issuer.happen(Event::ClockAhead(Duration::from_secs(86_400)));
    assert_eq!(shipments(&issuer, &token).await, 401);
    assert_eq!(status(&issuer).await, 200);
    assert_eq!(status(&issuer).await, 429);
    issuer.happen(Event::ClockAhead(Duration::ZERO));
    assert_eq!(shipments(&issuer, &token).await, 200);
}

#[test]
fn what_is_no_status_of_an_answer_is_no_event() {
    let event = Event::ApiStatus(Some(100));
    assert!(std::panic::catch_unwind(|| Script::new().event(Duration::ZERO, event)).is_err());
}
