//! The revocation endpoint (RFC 7009).

use auth_issuer::Issuer;
use serde_json::{Value, json};

use crate::holder::Holder;
use crate::http::{Answer, Call, shipments, token};

async fn revoke(issuer: &Issuer, body: &Value) -> Answer {
    let call = Call::post("/oauth/revoke").header("Content-Type", "application/json");
    call.body(body.to_string()).send(issuer).await.unwrap()
}

fn body(id: &str, secret: &str, token: &str) -> Value {
    json!({"client_id": id, "client_secret": secret, "token": token})
}

#[tokio::test]
async fn a_client_gives_its_own_token_back_and_spends_nothing() {
    let issuer = Issuer::builder().client("app", "secret").quota(2).start().await.unwrap();
    let (first, second) = (token(&issuer).await, token(&issuer).await);
    for _ in 0..2 {
        let answer = revoke(&issuer, &body("app", "secret", &first)).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    }
    assert_eq!(shipments(&issuer, &first).await, 401);
    assert_eq!(shipments(&issuer, &second).await, 200);
    assert_eq!(issuer.counters().token_requests, 2);

    let form = format!("client_id=app&client_secret=secret&token_type_hint=x&token={second}");
    let call =
        Call::post("/oauth/revoke").header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(call.body(form).send(&issuer).await.unwrap().status, 200);
    assert_eq!(shipments(&issuer, &second).await, 401);
}

#[tokio::test]
async fn another_clients_token_stays() {
    let issuer = Issuer::builder().client("app", "secret").client("b", "b").start().await.unwrap();
    let token = token(&issuer).await;
    let answer = revoke(&issuer, &body("b", "b", &token)).await;
    assert_eq!(answer.error(), (400, "invalid_grant".into()));
    assert_eq!(shipments(&issuer, &token).await, 200);
}

#[tokio::test]
async fn what_is_no_token_is_as_good_as_revoked() {
    let issuer = Issuer::builder().client("app", "secret").start().await.unwrap();
    let foreign = token(&Issuer::start().await.unwrap()).await;
    for unknown in ["x", "a.b.c", &foreign] {
        assert_eq!(revoke(&issuer, &body("app", "secret", unknown)).await.status, 200);
    }
}

#[tokio::test]
async fn only_a_client_that_shows_who_it_is_revokes() {
    let issuer = Issuer::builder().client("app", "secret").start().await.unwrap();
    let token = token(&issuer).await;
    for (body, status, error) in [
        (body("app", "wrong", &token), 401, "invalid_client"),
        (body("other", "secret", &token), 401, "invalid_client"),
        (json!({"token": token}), 401, "invalid_client"),
        (body("app", "secret", ""), 400, "invalid_request"),
        (json!([]), 400, "invalid_request"),
    ] {
        assert_eq!(revoke(&issuer, &body).await.error(), (status, error.into()), "{body}");
    }
    assert_eq!(shipments(&issuer, &token).await, 200);
}

#[tokio::test]
async fn an_assertion_is_as_good_as_a_secret_and_good_once_at_both_endpoints() {
    let holder = Holder::es256();
    let builder = Issuer::builder().client_key("app", &holder.jwk().to_string());
    let clock = auth_issuer::ManualClock::new();
    let issuer = builder.clock(clock.clone()).start().await.unwrap();
    let now = auth_issuer::Clock::now(&clock).duration_since(std::time::UNIX_EPOCH).unwrap();
    let claims = json!({
        "iss": "app", "sub": "app", "aud": issuer.url(), "exp": now.as_secs() + 60, "jti": "1",
    });
    let token = token(&issuer).await;
    let body = json!({
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": holder.sign(&json!({"alg": "ES256"}), &claims),
        "token": token,
    });
    assert_eq!(revoke(&issuer, &body).await.status, 200);
    assert_eq!(shipments(&issuer, &token).await, 401);
    assert_eq!(revoke(&issuer, &body).await.error(), (401, "invalid_client".into()));
    let answer = Call::token("application/json", body.to_string()).send(&issuer).await.unwrap();
    assert_eq!(answer.error(), (401, "invalid_client".into()));
}
