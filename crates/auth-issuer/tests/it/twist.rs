//! Faults that befall a token, and an answer that is slow but arrives.

use std::time::{Duration, UNIX_EPOCH};

use auth_issuer::{Fault, Issuer, ManualClock, Place, Script, When};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::http::{Call, Wire, shipments, token};

const START: u64 = 1_000_000;

async fn issuer(clock: &ManualClock) -> Issuer {
    Issuer::builder().clock(clock.clone()).unlimited_quota().start().await.unwrap()
}

fn clock() -> ManualClock {
    ManualClock::at(UNIX_EPOCH + Duration::from_secs(START))
}

/// The header or the claims of a token.
fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_tokens_times_can_be_by_a_wrong_clock() {
    let issuer = issuer(&clock()).await;
    let minute = Duration::from_secs(60);
    issuer.fail_next(1, Fault::clock_ahead(minute));
    issuer.fail_next(1, Fault::clock_behind(minute));
    issuer.fail_next(1, Fault::clock_behind(Duration::from_secs(86_400)));
    for (iat, status) in [(START + 60, 200), (START - 60, 200), (START - 86_400, 401), (START, 200)]
    {
        let token = token(&issuer).await;
        let claims = part(&token, 1);
        assert_eq!((&claims["iat"], &claims["exp"]), (&iat.into(), &(iat + 86_400).into()));
        assert_eq!(shipments(&issuer, &token).await, status, "{iat}");
    }
    assert_eq!(issuer.counters().issued, 4);
}

#[tokio::test]
async fn a_token_can_be_revoked_before_it_arrives_or_a_while_after() {
    let clock = clock();
    let issuer = issuer(&clock).await;
    issuer.fail_next(1, Fault::early_revocation(Duration::ZERO));
    issuer.fail_next(2, Fault::early_revocation(Duration::from_secs(300)));
    let (dead, first) = (token(&issuer).await, token(&issuer).await);
    clock.advance(Duration::from_secs(100));
    let (second, good) = (token(&issuer).await, token(&issuer).await);
    for (wait, expected) in [
        (0, [401, 200, 200, 200]),
        (199, [401, 200, 200, 200]),
        (1, [401, 401, 200, 200]),
        (100, [401, 401, 401, 200]),
    ] {
        clock.advance(Duration::from_secs(wait));
        for (token, status) in [&dead, &first, &second, &good].into_iter().zip(expected) {
            assert_eq!(shipments(&issuer, token).await, status);
            assert_eq!(issuer.is_valid(token), status == 200);
        }
    }
}

#[tokio::test]
async fn a_key_can_be_replaced_before_a_token_is_signed() {
    let issuer = issuer(&clock()).await;
    let first = token(&issuer).await;
    issuer.fail_next(1, Fault::key_rotation());
    let (second, third) = (token(&issuer).await, token(&issuer).await);
    let kid = |token: &str| part(token, 0)["kid"].clone();
    assert_ne!(kid(&first), kid(&second));
    assert_eq!(kid(&second), kid(&third));
    let keys = Call::get("/.well-known/jwks.json").send(&issuer).await.unwrap().json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    for token in [&first, &second, &third] {
        assert_eq!(shipments(&issuer, token).await, 200);
    }
}

#[tokio::test]
async fn they_come_for_the_next_by_chance_and_for_a_span_from_code_and_from_a_file() {
    let script = Script::from_toml(
        "[[fault]]\nkind = 'early-revocation'\nprobability = 0.5\nseed = 1\n\
         [[fault]]\nkind = 'clock'\noffset = '-2d'\nfrom = '1h'\nto = '2h'",
    );
    let mut runs = Vec::new();
    for _ in 0..2 {
        let clock = clock();
        let builder = Issuer::builder().clock(clock.clone()).unlimited_quota();
        let issuer = builder.script(script.clone().unwrap()).start().await.unwrap();
        let mut run = Vec::new();
        for _ in 0..16 {
            run.push(shipments(&issuer, &token(&issuer).await).await);
        }
        assert!(run.contains(&200) && run.contains(&401), "{run:?}");
        runs.push(run);
        clock.advance(Duration::from_secs(3600));
        for _ in 0..4 {
            assert_eq!(shipments(&issuer, &token(&issuer).await).await, 401);
        }
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_arrives_whole_a_byte_at_a_time() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_next(1, Fault::slow(Duration::from_secs(1)));
    let mut wire = Wire::to(&issuer).await.unwrap();
    let start = tokio::time::Instant::now();
    wire.write(&Call::good_token(&issuer)).await.unwrap();
    let head = wire.head().await.unwrap();
    let length: usize = head.header("content-length").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    wire.0.read_exact(&mut body).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(length as u64 - 1), "{:?}", start.elapsed());
    let token: Value = serde_json::from_slice(&body).unwrap();
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(shipments(&issuer, token).await, 200);
    assert_eq!((issuer.counters().issued, issuer.counters().faulted), (1, 0));
    // The connection is as good as before.
    wire.write(&Call::get("/v2/shipments").bearer(token)).await.unwrap();
    assert_eq!(wire.head().await.unwrap().status, 200);

    issuer.fault(Place::Api, When::next(1), Fault::slow(Duration::from_secs(1)));
    assert_eq!(shipments(&issuer, token).await, 200);
}
