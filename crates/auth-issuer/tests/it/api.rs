//! The API and its guard.

use std::time::Duration;

use auth_issuer::{Issuer, ManualClock};

use crate::http::{Call, shipments, token};

const INVALID: Option<&str> = Some(r#"Bearer error="invalid_token""#);

#[tokio::test]
async fn shipments_are_listed_in_the_vendors_wrapper() {
    let issuer = Issuer::start().await.unwrap();
    let call = Call::get("/v2/shipments").bearer(&token(&issuer).await);
    let (first, second) = (call.send(&issuer).await.unwrap(), call.send(&issuer).await.unwrap());
    assert_eq!(first.status, 200);
    assert_eq!(first.body, second.body);
    let body = first.json();
    assert_eq!(body["_object"], "/api/response");
    assert_eq!(body["version"], 2);
    assert!(body["error"].is_null());
    assert_eq!(body["data"]["data"].as_array().unwrap().len(), 3);
    assert_eq!(body["data"]["data"][0]["_object"], "/shipment");
}

#[tokio::test]
async fn bookings_give_the_body_back() {
    let issuer = Issuer::start().await.unwrap();
    let token = token(&issuer).await;
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for (content_type, body) in
        [("application/json", br#"{"name":"a"}"#.to_vec()), ("application/octet-stream", bytes)]
    {
        let call = Call::post("/v2/bookings").bearer(&token).header("Content-Type", content_type);
        let answer = call.body(body.clone()).send(&issuer).await.unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert!(answer.body == body);
    }
}

#[tokio::test]
async fn without_a_credential_the_challenge_is_bare() {
    let issuer = Issuer::start().await.unwrap();
    let none = Call::get("/v2/shipments");
    let basic = Call::get("/v2/shipments").header("Authorization", "Basic YTpi");
    let empty = Call::get("/v2/shipments").bearer("");
    for call in [none, basic, empty, Call::post("/v2/bookings").body("x")] {
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(answer.json()["error"]["code"], "no_token");
    }
    let two = Call::get("/v2/shipments").bearer("a").bearer("b").send(&issuer).await.unwrap();
    assert_eq!((two.status, &two.json()["error"]["code"]), (400, &"invalid_request".into()));
    assert_eq!(two.header("www-authenticate"), Some(r#"Bearer error="invalid_request""#));
}

#[tokio::test]
async fn what_is_not_this_issuers_token_is_invalid() {
    let issuer = Issuer::start().await.unwrap();
    let other = Issuer::start().await.unwrap();
    let good = token(&issuer).await;
    let (head, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{head}.{flipped}{}", &signature[1..]);
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
    let elsewhere = token(&other).await;
    for bad in ["x", "a.b.c", head, &forged, &unsigned, &elsewhere] {
        let answer = Call::get("/v2/shipments").bearer(bad).send(&issuer).await.unwrap();
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, INVALID), "{bad}");
    }
    // The scheme is case-insensitive (RFC 9110 §11.1).
    let call = Call::get("/v2/shipments").header("Authorization", &format!("bearer {good}"));
    assert_eq!(call.send(&issuer).await.unwrap().status, 200);
    // Which of the two would count?
    let call = Call::get("/v2/shipments").bearer(&good).bearer(&good);
    assert_eq!(call.send(&issuer).await.unwrap().status, 400);
}

#[tokio::test]
async fn a_token_of_another_audience_is_invalid() {
    let issuer = Issuer::builder().audience("https://api").start().await.unwrap();
    let good = token(&issuer).await;
    let address = issuer.address();
    issuer.shutdown().await.unwrap();
    // The same URL, and so the same `iss`, with another audience.
    let issuer = Issuer::builder().audience("https://else").bind(address).start().await.unwrap();
    assert_eq!(shipments(&issuer, &good).await, 401);
}

#[tokio::test]
async fn a_token_expires_by_the_issuers_clock() {
    let clock = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let issuer = Issuer::builder().clock(clock.clone()).start().await.unwrap();
    let token = token(&issuer).await;
    clock.advance(Duration::from_secs(86_399));
    assert_eq!(shipments(&issuer, &token).await, 200);
    clock.advance(Duration::from_secs(1));
    let answer = Call::get("/v2/shipments").bearer(&token).send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, INVALID));
}

#[tokio::test]
async fn revoked_tokens_are_invalid_and_later_ones_are_not() {
    let issuer = Issuer::start().await.unwrap();
    let (first, second) = (token(&issuer).await, token(&issuer).await);
    assert_eq!(shipments(&issuer, &first).await, 200);
    assert!(issuer.revoke(&first));
    assert!(!issuer.revoke("not a token"));
    let answer = Call::get("/v2/shipments").bearer(&first).send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, INVALID));
    assert_eq!(shipments(&issuer, &second).await, 200);

    issuer.revoke_all();
    assert_eq!(shipments(&issuer, &first).await, 401);
    assert_eq!(shipments(&issuer, &second).await, 401);
    let third = token(&issuer).await;
    assert_eq!(shipments(&issuer, &third).await, 200);
}

#[tokio::test]
async fn a_server_of_ones_own_can_ask_whether_a_token_is_valid() {
    let clock = ManualClock::new();
    let issuer = Issuer::builder().clock(clock.clone()).start().await.unwrap();
    let other = Issuer::start().await.unwrap();
    let token = token(&issuer).await;
    assert!(issuer.is_valid(&token));
    assert!(!issuer.is_valid("not a token"));
    assert!(!other.is_valid(&token));
    clock.advance(Duration::from_secs(86_400));
    assert!(!issuer.is_valid(&token));
    let fresh = self::token(&issuer).await;
    issuer.revoke_all();
    assert!(!issuer.is_valid(&fresh));
}

#[tokio::test]
async fn the_api_can_be_made_to_answer_a_status_to_everything() {
    let issuer = Issuer::start().await.unwrap();
    let token = token(&issuer).await;
    let call = Call::get("/v2/shipments").bearer(&token);
    issuer.api_status(Some(401));
    assert_eq!(Call::get("/v2/nothing").send(&issuer).await.unwrap().status, 401);
    let answer = call.send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, INVALID));
    issuer.api_status(Some(403));
    let answer = call.send(&issuer).await.unwrap();
    let challenge = Some(r#"Bearer error="insufficient_scope""#);
    assert_eq!((answer.status, answer.header("www-authenticate")), (403, challenge));
    issuer.api_status(Some(503));
    assert_eq!(call.send(&issuer).await.unwrap().status, 503);
    issuer.api_status(None);
    assert_eq!(call.send(&issuer).await.unwrap().status, 200);

    let counters = issuer.counters();
    assert_eq!(counters.api_total(), 4);
    assert_eq!([200, 401, 403, 503, 404].map(|status| counters.api(status)), [1, 1, 1, 1, 0]);
    assert_eq!(counters.token_requests, 1);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let issuer = Issuer::start().await.unwrap();
    let call = Call::post("/v2/bookings").bearer("bad").body(vec![b'x'; 8 << 20]);
    assert_eq!(call.send(&issuer).await.unwrap().status, 401);
}

#[tokio::test]
async fn whoever_names_the_version_must_name_this_one() {
    let issuer = Issuer::start().await.unwrap();
    let token = token(&issuer).await;
    let call =
        |version| Call::get("/v2/shipments").bearer(&token).header("Flexport-Version", version);
    assert_eq!(call("2").send(&issuer).await.unwrap().status, 200);
    for wrong in ["1", "3", "", "2.0"] {
        let answer = call(wrong).send(&issuer).await.unwrap();
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &"bad_version".into()),
            "{wrong}"
        );
    }
}
