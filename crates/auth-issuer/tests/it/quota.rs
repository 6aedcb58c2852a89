//! The budget of token requests.

use std::time::Duration;

use auth_issuer::{Issuer, ManualClock, Quota, Refusal, Window};
use serde_json::json;

use crate::http::{Call, good};

async fn status(issuer: &Issuer) -> u16 {
    Call::good_token(issuer).send(issuer).await.unwrap().status
}

#[tokio::test]
async fn ten_a_day_and_each_unit_is_back_a_day_after_it_was_spent() {
    let clock = ManualClock::new();
    let issuer = Issuer::builder().clock(clock.clone()).start().await.unwrap();
    for _ in 0..10 {
        assert_eq!(status(&issuer).await, 200);
        clock.advance(Duration::from_secs(60));
    }
    let refused = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!(refused.error(), (429, "too_many_requests".into()));
    assert!(refused.json()["error_description"].is_string());
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, 86_400 - 600);

    clock.advance(Duration::from_secs(wait - 1));
    assert_eq!(status(&issuer).await, 429);
    clock.advance(Duration::from_secs(1));
    assert_eq!(status(&issuer).await, 200);
    assert_eq!(status(&issuer).await, 429);

    let counters = issuer.counters();
    assert_eq!((counters.issued, counters.over_quota, counters.token_requests), (11, 3, 14));
    assert_eq!(issuer.token_requests(), 14);
}

#[tokio::test]
async fn retry_after_is_never_too_short() {
    let clock = ManualClock::new();
    let builder = Issuer::builder().clock(clock.clone()).quota(1);
    let issuer = builder.quota_window(Duration::from_millis(1500)).start().await.unwrap();
    assert_eq!(status(&issuer).await, 200);
    let refused = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!(refused.header("retry-after"), Some("2"));
    clock.advance(Duration::from_millis(1500));
    assert_eq!(status(&issuer).await, 200);
}

#[tokio::test]
async fn every_client_has_a_quota_of_its_own() {
    let builder = Issuer::builder().client("one", "1").client("two", "2").quota(1);
    let issuer = builder.start().await.unwrap();
    let call = |id: &str, secret: &str| {
        let mut body = good(&issuer);
        body["client_id"] = id.into();
        body["client_secret"] = secret.into();
        Call::token("application/json", body.to_string())
    };
    assert_eq!(call("one", "1").send(&issuer).await.unwrap().status, 200);
    assert_eq!(call("one", "1").send(&issuer).await.unwrap().status, 429);
    assert_eq!(call("two", "2").send(&issuer).await.unwrap().status, 200);
    // Nobody's quota is spent on behalf of a stranger.
    for _ in 0..3 {
        assert_eq!(call("three", "3").send(&issuer).await.unwrap().status, 401);
    }
}

#[tokio::test]
async fn a_refused_request_of_a_known_client_costs_a_unit() {
    for (name, value) in [
        ("client_secret", json!("wrong")),
        ("grant_type", json!("password")),
        ("grant_type", json!("")),
        ("audience", json!("https://elsewhere")),
    ] {
        let issuer = Issuer::builder().quota(1).start().await.unwrap();
        let mut body = good(&issuer);
        body[name] = value;
        let call = Call::token("application/json", body.to_string());
        assert_ne!(call.send(&issuer).await.unwrap().status, 429);
        assert_eq!(status(&issuer).await, 429, "{name}");
    }
    // The header names the client, whatever the body is.
    let issuer = Issuer::builder().client("app", "secret").quota(1).start().await.unwrap();
    let call = Call::token("text/plain", "?").header("Authorization", "Basic YXBwOnNlY3JldA==");
    assert_eq!(call.send(&issuer).await.unwrap().status, 415);
    assert_eq!(status(&issuer).await, 429);
}

#[tokio::test]
async fn a_request_over_the_quota_costs_none() {
    let clock = ManualClock::new();
    let issuer = Issuer::builder().clock(clock.clone()).quota(2).start().await.unwrap();
    let expected = [200, 200, 429, 429, 429];
    for expected in expected {
        assert_eq!(status(&issuer).await, expected);
    }
    clock.advance(Duration::from_secs(86_400));
    for expected in expected {
        assert_eq!(status(&issuer).await, expected);
    }
}

#[tokio::test]
async fn a_quota_can_be_unlimited_or_nil() {
    let issuer = Issuer::builder().unlimited_quota().start().await.unwrap();
    for _ in 0..30 {
        assert_eq!(status(&issuer).await, 200);
    }
    let issuer = Issuer::builder().quota(0).start().await.unwrap();
    let refused = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("86400")));
}

#[tokio::test]
async fn a_herd_gets_no_more_than_the_quota() {
    let issuer = Issuer::start().await.unwrap();
    let call = Call::good_token(&issuer);
    let herd: tokio::task::JoinSet<_> = (0..50)
        .map(|_| {
            let (call, address) = (call.clone(), issuer.address());
            async move { call.send_to(address).await.unwrap().status }
        })
        .collect();
    let statuses = herd.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 40);
    assert_eq!((issuer.token_requests(), issuer.counters().over_quota), (50, 40));
}

const DAY: Duration = Duration::from_secs(86_400);

/// A clock that stands at noon of a leap day.
fn noon() -> ManualClock {
    ManualClock::at(httpdate::parse_http_date("Tue, 29 Feb 2028 12:00:00 GMT").unwrap())
}

async fn with(quota: Quota, clock: &ManualClock) -> Issuer {
    Issuer::builder().quotas(quota).clock(clock.clone()).start().await.unwrap()
}

#[tokio::test]
async fn auth0s_headers_come_with_tokens_and_with_refusals() {
    let clock = noon();
    let quota = Quota::unlimited()
        .and(Window::utc_hour(2))
        .and(Window::utc_day(50))
        .refusal(Refusal::Auth0Headers);
    let issuer = with(quota, &clock).await;
    let ask = async || Call::good_token(&issuer).send(&issuer).await.unwrap();
    let header = "auth0-client-quota-limit";
    clock.advance(Duration::from_secs(60));

    let first = ask().await;
    let left = "b=per_hour;q=2;r=1;t=3540,b=per_day;q=50;r=49;t=43140";
    assert_eq!((first.status, first.header(header)), (200, Some(left)));
    assert_eq!(first.header("retry-after"), None);
    assert_eq!(ask().await.status, 200);
    let refused = ask().await;
    let left = "b=per_hour;q=2;r=0;t=3540,b=per_day;q=50;r=48;t=43140";
    assert_eq!(refused.error(), (429, "too_many_requests".into()));
    assert_eq!(refused.header(header), Some(left));
    assert_eq!(refused.header("retry-after"), Some("3540"));

    clock.advance(Duration::from_secs(3540));
    let next = ask().await;
    let left = "b=per_hour;q=2;r=1;t=3600,b=per_day;q=50;r=47;t=39600";
    assert_eq!((next.status, next.header(header)), (200, Some(left)));
    let told = issuer.quota_left(issuer.client_id()).unwrap();
    assert_eq!((told[0].left, told[1].left), (1, 47));
    assert_eq!(issuer.quota_left("nobody"), None);
}

#[tokio::test]
async fn a_refusal_can_say_nothing_or_look_like_a_mistake() {
    let issuer = with(Quota::per_day(0).refusal(Refusal::Bare), &noon()).await;
    let bare = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((bare.status, bare.body.len(), bare.header("retry-after")), (429, 0, None));

    let words = "rate limit: \"too many\" tokens";
    let quota = Quota::per_day(0).refusal(Refusal::BadRequest(words.to_owned()));
    let issuer = with(quota, &noon()).await;
    let odd = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!(odd.error(), (400, "invalid_request".into()));
    assert_eq!(odd.json()["error_description"], words);
    assert_eq!(odd.header("retry-after"), None);
    assert_eq!(issuer.counters().over_quota, 1);
}

#[tokio::test]
async fn a_vendor_can_spare_failures() {
    let spared = Quota::per_day(1).count_failures(false);
    let issuer = with(spared, &noon()).await;
    let mut body = good(&issuer);
    body["client_secret"] = "wrong".into();
    let wrong = Call::token("application/json", body.to_string());
    let malformed = Call::token("application/json", "{");
    for _ in 0..3 {
        assert_eq!(wrong.send(&issuer).await.unwrap().status, 401);
        assert_eq!(malformed.send(&issuer).await.unwrap().status, 400);
    }
    assert_eq!(status(&issuer).await, 200);
    assert_eq!(status(&issuer).await, 429);
    // Not even then is a failure taken for one more request.
    assert_eq!(wrong.send(&issuer).await.unwrap().status, 401);
}

#[tokio::test]
async fn a_burst_within_the_lag_gets_through() {
    let clock = noon();
    let issuer = with(Quota::per_day(2).lag(Duration::from_secs(5)), &clock).await;
    for _ in 0..7 {
        assert_eq!(status(&issuer).await, 200);
    }
    clock.advance(Duration::from_secs(5));
    let refused = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("86395")));
    clock.advance(DAY - Duration::from_secs(5));
    assert_eq!(status(&issuer).await, 200);
}

#[tokio::test]
async fn a_day_of_the_calendar_begins_at_midnight_and_never_twice() {
    let clock = noon();
    let start = auth_issuer::Clock::now(&clock);
    let issuer = with(Quota::unlimited().and(Window::utc_day(1)), &clock).await;
    assert_eq!(status(&issuer).await, 200);
    clock.set(start - DAY);
    assert_eq!(status(&issuer).await, 429);
    clock.set(start + DAY / 2 - Duration::from_nanos(1));
    assert_eq!(status(&issuer).await, 429);
    clock.set(start + DAY / 2);
    assert_eq!(status(&issuer).await, 200);
}

#[tokio::test]
async fn the_last_of_the_settings_of_a_quota_counts() {
    let one = Quota::per_day(1);
    let issuer = Issuer::builder().quotas(one.clone()).quota(2).start().await.unwrap();
    assert_eq!(
        [status(&issuer).await, status(&issuer).await, status(&issuer).await],
        [200, 200, 429]
    );
    let issuer = Issuer::builder().quota(2).quotas(one).start().await.unwrap();
    assert_eq!([status(&issuer).await, status(&issuer).await], [200, 429]);
}
