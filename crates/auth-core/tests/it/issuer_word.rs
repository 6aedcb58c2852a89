//! What the issuer says of its own quota and clock, through the whole way of a token request.

use std::time::Duration;

use auth_core::{Authenticator, Calendar, MemoryStore, Quota, Store};
use bytes::Bytes;
use http::Response;

use crate::support::*;

/// A response with these fields, besides what it would have had.
fn with(mut response: Response<Bytes>, fields: &[(&'static str, &str)]) -> Step {
    for (name, value) in fields {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    Step::Answer(response)
}

fn token(name: &str, seconds: u64) -> Response<Bytes> {
    let body =
        format!(r#"{{"access_token":"{name}","token_type":"Bearer","expires_in":{seconds}}}"#);
    answer(200, "application/json", &body)
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_says_is_left_is_all_that_is_left_for_everybody() {
    let said = [("auth0-client-quota-limit", "b=per_day;q=10;r=1;t=7200, b=per_hour;q=5;r=4;t=60")];
    let issuer = Issuer::new([with(token("a", 60), &said)]);
    let (builder, clock) = builder(&issuer);
    let store = Store::new(MemoryStore::new());
    let auth = builder.store(store.clone()).build().unwrap();
    auth.authorization().await.unwrap();
    let status = auth.status().await;
    assert_eq!((status.windows[0].left, status.left_by_issuer), (9, Some(1)));
    assert!(status.spent_elsewhere.is_some() && status.exhausted_until.is_none(), "{status}");
    assert!(status.to_string().contains("somebody else spends"), "{status}");

    tokio::time::advance(Duration::from_secs(60)).await;
    issuer.then([Step::Token(60)]);
    auth.authorization().await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    // Another process, as far as the store can tell.
    let other = Authenticator::builder(credentials())
        .store(store)
        .transport(issuer.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let error = other.authorization().await.unwrap_err();
    assert!(error.is_quota_exhausted(), "{error}");
    assert!(error.to_string().contains("the issuer says that 0 token requests are left"));
    assert_eq!(clock.until(error.retry_at().unwrap()), Duration::from_secs(7200 - 120));
    assert_eq!(issuer.requests(), 2);
    tokio::time::advance(Duration::from_secs(7200 - 120)).await;
    other.authorization().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn fields_that_cannot_be_read_change_nothing() {
    let said = [("ratelimit", "\"a\";r=-1;t=60, nonsense"), ("auth0-client-quota-limit", "r=;t=")];
    let issuer = Issuer::new([with(token("a", 86_400), &said)]);
    let (auth, _) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    let status = auth.status().await;
    assert_eq!((status.left_by_issuer, status.spent_elsewhere), (None, None));
}

// torture: B15
#[tokio::test(start_paused = true)]
async fn a_quota_refusal_in_other_clothes_is_held_back_and_not_repeated() {
    let body =
        r#"{"error":"invalid_request","error_description":"Token quota for today is used up"}"#;
    let refusal = answer(400, "application/json", body);
    let issuer = Issuer::new([with(refusal, &[("retry-after", "3600")])]);
    let (builder, clock) = builder(&issuer);
    let auth = builder.quota_refusal(400, "quota").build().unwrap();
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_quota_exhausted() && error.is_transient(), "{error}");
    assert_eq!(clock.until(error.retry_at().unwrap()), HOUR);
    for _ in 0..59 {
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(auth.authorization().await.unwrap_err().is_quota_exhausted());
    }
    assert_eq!(issuer.requests(), 1);
    let status = auth.status().await;
    assert!(status.spent_elsewhere.is_some(), "nine are left here: {status}");
}

/// A machine that boots with a clock of the day before, as one without a battery does.
#[tokio::test(start_paused = true)]
async fn the_issuers_date_corrects_what_a_wrong_clock_wrote() {
    let issuer = Issuer::new([]);
    let (builder, clock) = builder(&issuer);
    let auth = builder.quota(Quota::calendar(1, Calendar::Day)).build().unwrap();
    let right = std::time::SystemTime::from(auth_core::Clock::now(&clock).wall);
    clock.0.jump_wall(-i64::try_from(DAY.as_millis()).unwrap());
    let date = httpdate(right);
    issuer.then([with(token("a", 60), &[("date", &date)])]);
    auth.authorization().await.unwrap();
    tokio::time::advance(Duration::from_secs(120)).await;
    clock.0.jump_wall(i64::try_from(DAY.as_millis()).unwrap());
    // By the wall clock alone the request was made yesterday.
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_quota_exhausted(), "{error}");
    assert!(error.to_string().contains("1 of 1 token requests are spent in this day in UTC"));
}

/// An HTTP date (RFC 9110 §5.6.7).
fn httpdate(time: std::time::SystemTime) -> String {
    auth_core::Timestamp::from(time).to_string()
}

#[tokio::test(start_paused = true)]
async fn the_forecast_says_what_is_left_for_whom_and_whether_the_token_lives_until_the_next_slot() {
    let issuer = Issuer::new((0..4).map(|_| Step::Token(3600)));
    let (builder, clock) = builder(&issuer);
    let auth = builder.quota(Quota::per_day(4)).build().unwrap();
    for spent in 1..=4 {
        auth.authorization().await.unwrap();
        let status = auth.status().await;
        let window = &status.windows[0];
        assert_eq!((window.spent, window.left), (spent, 4 - spent));
        assert_eq!(window.left_for_renewals, 3u32.saturating_sub(spent), "the reserve is 1");
        assert_eq!(window.left_for_refusals, u32::from(spent < 4), "their share is 1");
        assert!(status.token.unwrap().outlives_reset || spent == 4);
        let shortfall = status.shortfall.unwrap();
        assert!(shortfall.contains("32 token requests in 25 h"), "{shortfall}");
        if spent < 4 {
            tokio::time::advance(HOUR).await;
        }
    }
    let status = auth.status().await;
    let until = clock.until(status.exhausted_until.unwrap());
    assert_eq!(until, Duration::from_secs((25 - 3) * 3600 + 60));
    assert_eq!(clock.until(status.windows[0].next_slot.unwrap()), until);
    assert!(!status.token.unwrap().outlives_reset);
    let text = status.to_string();
    assert!(text.contains("none to be had before") && text.contains("does not live until then"));
}
