//! Introspection and revocation: calls of the user's own, under the client's authentication, that cost and refund nothing.

use auth_core::{Authenticator, ClientAuth, MemoryStore, Store};

use crate::support::*;

fn build(issuer: &Issuer, store: &Store, clock: &SharedClock) -> Authenticator {
    let credentials = credentials()
        .client_auth(ClientAuth::PostJson)
        .introspection_endpoint("https://issuer.example/introspect")
        .revocation_endpoint("https://issuer.example/revoke");
    Authenticator::builder(credentials)
        .store(store.clone())
        .transport(issuer.clone())
        .clock(clock.clone())
        .build()
        .unwrap()
}

fn said(status: u16, body: &str) -> Step {
    Step::Answer(answer(status, "application/json", body))
}

#[tokio::test(start_paused = true)]
async fn the_issuer_is_asked_in_a_form_and_its_answer_is_typed() {
    let issuer = Issuer::new([]);
    let auth = build(&issuer, &Store::new(MemoryStore::new()), &SharedClock::new());
    assert!(auth.introspect().await.unwrap_err().is_tool(), "there is no token yet");
    assert_eq!(issuer.requests(), 0);
    auth.authorization().await.unwrap();
    issuer.then([
        said(200, r#"{"active":true,"scope":"read","client_id":"client","exp":1900000000}"#),
        said(200, r#"{"active":false}"#),
        said(401, r#"{"error":"invalid_client"}"#),
        said(200, "<html>"),
    ]);
    let introspection = auth.introspect().await.unwrap();
    assert!(introspection.active);
    assert_eq!(introspection.scope.as_deref(), Some("read"));
    let sent = issuer.sent().pop().unwrap();
    assert_eq!(sent.uri(), "https://issuer.example/introspect");
    assert_eq!(sent.headers()["content-type"], "application/x-www-form-urlencoded");
    for (name, value) in [("token", "token-1"), ("client_id", "client"), ("client_secret", SECRET)]
    {
        assert_eq!(issuer.last_field(name).as_deref(), Some(value));
    }
    assert!(!auth.introspect().await.unwrap().active);
    for _ in 0..2 {
        let error = auth.introspect().await.unwrap_err();
        assert!(error.is_tool() && error.to_string().contains("introspection endpoint"), "{error}");
        assert!(!error.to_string().contains("token-1"));
    }
    // What the issuer says of the token changes nothing here.
    assert!(auth.try_authorization().is_some());
    assert_eq!(auth.status().await.windows[0].spent, 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_revoked_is_served_and_adopted_no_more_and_its_unit_is_gone() {
    let issuer = Issuer::new([]);
    let (store, clock) = (Store::new(MemoryStore::new()), SharedClock::new());
    let auth = build(&issuer, &store, &clock);
    auth.authorization().await.unwrap();
    issuer.then([said(503, ""), said(200, "")]);
    assert!(auth.revoke().await.unwrap_err().is_tool());
    assert_eq!(text(&auth.try_authorization().unwrap()), "Bearer token-1", "it was not revoked");
    auth.revoke().await.unwrap();
    assert_eq!(issuer.last_field("token").as_deref(), Some("token-1"));
    assert!(auth.try_authorization().is_none());
    assert_eq!(auth.status().await.windows[0].spent, 1);
    // Another process of the same client does not find it any more.
    let other = build(&issuer, &store, &clock);
    assert_eq!(text(&other.authorization().await.unwrap()), "Bearer token-2");
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-2");
    assert_eq!(auth.status().await.windows[0].spent, 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_revoked_when_the_last_handle_goes() {
    let issuer = Issuer::new([]);
    let auth = build(&issuer, &Store::new(MemoryStore::new()), &SharedClock::new());
    auth.authorization().await.unwrap();
    drop(auth);
    settle().await;
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_an_endpoint_the_error_says_what_to_set() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    let error = auth.revoke().await.unwrap_err();
    assert!(error.is_tool() && error.to_string().contains("`revocation_endpoint`"), "{error}");
    assert!(auth.try_authorization().is_some());
}

#[test]
fn outside_of_a_runtime_the_issuer_is_not_asked() {
    let (auth, _) = authenticator(&Issuer::new([]));
    let mut asked = tokio_test::task::spawn(auth.introspect());
    assert!(tokio_test::assert_ready!(asked.poll()).is_err());
}
