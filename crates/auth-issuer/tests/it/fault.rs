//! Faults to order.

use std::io::ErrorKind;
use std::time::Duration;

use auth_issuer::{Fault, Gate, Issuer};
use tokio::io::AsyncReadExt;

use crate::http::{Call, Wire};

async fn status(issuer: &Issuer) -> u16 {
    Call::good_token(issuer).send(issuer).await.unwrap().status
}

#[tokio::test]
async fn faults_befall_the_next_requests_in_order() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(2, Fault::status(503));
    issuer.fail_next(0, Fault::status(500));
    issuer.fail_next(1, Fault::status(502));
    for expected in [503, 503, 502, 200] {
        assert_eq!(status(&issuer).await, expected);
    }
    let counters = issuer.counters();
    assert_eq!((counters.token_requests, counters.faulted, counters.issued), (4, 3, 1));
}

#[tokio::test]
async fn a_lasting_fault_lasts_until_it_is_healed() {
    let issuer = Issuer::builder().quota(20).start().await.unwrap();
    issuer.fail_all(Fault::status(503));
    issuer.fail_next(1, Fault::status(500));
    for expected in [500, 503, 503, 503] {
        assert_eq!(status(&issuer).await, expected);
    }
    issuer.fail_next(5, Fault::status(500));
    issuer.heal();
    assert_eq!(status(&issuer).await, 200);
}

#[tokio::test]
async fn statuses_and_bodies_are_sent_as_ordered() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::status(503).retry_after(Duration::from_secs(30)));
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")));
    assert!(answer.body.is_empty());

    issuer.fail_next(1, Fault::status(429).header("Retry-After", "soon"));
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("soon")));

    issuer.fail_next(1, Fault::body(200, "text/html", "<html>"));
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html")));
    assert_eq!(answer.body, b"<html>");

    issuer.fail_next(1, Fault::oauth_error(200, "server_error"));
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!(answer.error(), (200, "server_error".into()));

    let huge = vec![0xff; 4 << 20];
    issuer.fail_next(1, Fault::body(200, "application/json", huge.clone()));
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert!(answer.body == huge);

    issuer.fail_next(1, Fault::redirect(307, "http://127.0.0.1:1/elsewhere"));
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), Some("http://127.0.0.1:1/elsewhere"));
}

#[tokio::test]
async fn a_dropped_connection_carries_no_byte_of_an_answer() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::drop_connection());
    let mut wire = Wire::to(&issuer).await.unwrap();
    wire.write(&Call::good_token(&issuer)).await.unwrap();
    let mut bytes = Vec::new();
    wire.0.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.is_empty());
    assert_eq!(issuer.counters().faulted, 1);
    assert_eq!(status(&issuer).await, 200);
}

#[tokio::test]
async fn a_truncated_body_is_shorter_than_announced() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::truncate());
    let mut wire = Wire::to(&issuer).await.unwrap();
    wire.write(&Call::good_token(&issuer)).await.unwrap();
    let head = wire.head().await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("1024")));
    let mut body = Vec::new();
    wire.0.read_to_end(&mut body).await.unwrap();
    assert_eq!(body, br#"{"access_token":"ey"#);

    issuer.fail_next(1, Fault::truncate());
    let error = Call::good_token(&issuer).send(&issuer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_request_is_counted_and_never_answered() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::hang());
    let mut wire = Wire::to(&issuer).await.unwrap();
    wire.write(&Call::good_token(&issuer)).await.unwrap();
    issuer.until_token_requests(1).await;
    let answer = tokio::time::timeout(Duration::from_secs(3600), wire.head()).await;
    assert!(answer.is_err());
    assert_eq!(issuer.counters().faulted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_can_come_without_its_body() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::hang_after_headers());
    let mut wire = Wire::to(&issuer).await.unwrap();
    wire.write(&Call::good_token(&issuer)).await.unwrap();
    assert_eq!(wire.head().await.unwrap().status, 200);
    let body = tokio::time::timeout(Duration::from_secs(3600), wire.0.read_u8()).await;
    assert!(body.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_body_can_trickle() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::trickle(Duration::from_secs(1)));
    let mut wire = Wire::to(&issuer).await.unwrap();
    wire.write(&Call::good_token(&issuer)).await.unwrap();
    assert_eq!(wire.head().await.unwrap().status, 200);
    let mut chunks = vec![0; 50 * b"1\r\n \r\n".len()];
    wire.0.read_exact(&mut chunks).await.unwrap();
    assert_eq!(chunks, b"1\r\n \r\n".repeat(50));
}

#[tokio::test(start_paused = true)]
async fn a_delay_ends_in_the_normal_answer() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::delay(Duration::from_secs(3600)));
    let start = tokio::time::Instant::now();
    assert_eq!(status(&issuer).await, 200);
    assert!(start.elapsed() >= Duration::from_secs(3600));
    let counters = issuer.counters();
    assert_eq!((counters.faulted, counters.issued), (0, 1));

    issuer.fail_next(1, Fault::status(503).after(Duration::from_secs(3600)));
    assert_eq!(status(&issuer).await, 503);
    assert!(start.elapsed() >= Duration::from_secs(7200));
}

#[tokio::test]
async fn a_gate_holds_requests_until_it_is_opened() {
    let issuer = Issuer::builder().quota(1).start().await.unwrap();
    let gate = Gate::new();
    issuer.fail_next(1, Fault::until(&gate));
    let mut held = Wire::to(&issuer).await.unwrap();
    held.write(&Call::good_token(&issuer)).await.unwrap();
    issuer.until_token_requests(1).await;
    assert_eq!(issuer.token_requests(), 1);
    assert_eq!(issuer.counters().issued, 0);
    // The held request has spent the unit already.
    assert_eq!(status(&issuer).await, 429);
    gate.open();
    assert_eq!(held.head().await.unwrap().status, 200);

    issuer.fail_next(1, Fault::status(500).after_gate(&gate));
    assert_eq!(status(&issuer).await, 500);
}

#[tokio::test]
async fn a_client_that_leaves_has_spent_its_unit() {
    let issuer = Issuer::builder().quota(1).start().await.unwrap();
    issuer.fail_next(1, Fault::until(&Gate::new()));
    let mut wire = Wire::to(&issuer).await.unwrap();
    wire.write(&Call::good_token(&issuer)).await.unwrap();
    issuer.until_token_requests(1).await;
    drop(wire);
    assert_eq!(status(&issuer).await, 429);
    assert_eq!(issuer.token_requests(), 2);
}

#[tokio::test]
async fn faulted_requests_spend_the_quota_unless_told_otherwise() {
    for (spend, expected) in [(true, 429), (false, 200)] {
        let builder = Issuer::builder().quota(2).faults_spend_quota(spend);
        let issuer = builder.start().await.unwrap();
        // Beyond the quota the fault still happens, as an outage in front of the issuer would.
        issuer.fail_next(3, Fault::status(503));
        for _ in 0..3 {
            assert_eq!(status(&issuer).await, 503);
        }
        assert_eq!(status(&issuer).await, expected);
        assert_eq!(issuer.token_requests(), 4);
    }
    let builder = Issuer::builder().quota(1).faults_spend_quota(false);
    let issuer = builder.start().await.unwrap();
    issuer.fail_next(1, Fault::delay(Duration::ZERO));
    assert_eq!(status(&issuer).await, 200);
    assert_eq!(status(&issuer).await, 429);
}

#[test]
fn what_cannot_be_sent_is_not_a_fault() {
    for make in [
        || Fault::status(100),
        || Fault::status(1000),
        || Fault::status(500).header("a b", "c"),
        || Fault::redirect(302, "\n"),
    ] {
        assert!(std::panic::catch_unwind(make).is_err());
    }
}

#[tokio::test]
async fn credentials_that_are_deleted_or_disabled_while_a_request_waits_get_no_token() {
    for (is_deleted, error) in
        [(false, (400, "unauthorized_client")), (true, (401, "invalid_client"))]
    {
        let issuer = Issuer::builder().client("app", "secret").start().await.unwrap();
        let gate = Gate::new();
        issuer.fail_next(1, Fault::until(&gate));
        let (call, address) = (Call::good_token(&issuer), issuer.address());
        let waiting = tokio::spawn(async move { call.send_to(address).await.unwrap() });
        issuer.until_token_requests(1).await;
        match is_deleted {
            true => issuer.delete_credentials("app").unwrap(),
            false => issuer.set_enabled("app", false).unwrap(),
        }
        gate.open();
        let answer = waiting.await.unwrap();
        assert_eq!(answer.error(), (error.0, error.1.to_owned()));
        assert_eq!(issuer.counters().issued, 0);
    }
}
