//! What a health endpoint can show.

use std::time::Duration;

use auth_core::Store;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn it_shows_the_token_the_budget_and_what_is_not_kept() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let cold = auth.status().await;
    assert!(cold.token.is_none() && cold.last_error.is_none() && cold.held_until.is_none());
    assert_eq!((cold.windows[0].spent, cold.windows[0].left), (0, 10));
    assert!(!cold.kept_over_restarts);

    auth.authorization().await.unwrap();
    tokio::time::advance(Duration::from_secs(3600)).await;
    let warm = auth.status().await;
    let token = warm.token.unwrap();
    assert_eq!(token.generation.get(), 1);
    assert_eq!(token.expires_in, DAY - HOUR - Duration::from_secs(60));
    assert!(
        token.renew_in >= DAY * 8 / 10 - HOUR && token.renew_in <= DAY * 9 / 10 - HOUR,
        "{:?}",
        token.renew_in
    );
    assert_eq!((warm.windows[0].spent, warm.windows[0].left), (1, 9));
    assert!(warm.windows[0].next_slot.is_some());
    let text = warm.to_string();
    assert!(
        text.contains("not kept over restarts") && text.contains("1 of 10 per 24 h spent, 9 left"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_durable_store_is_said_to_keep() {
    let issuer = Issuer::new([]);
    let (builder, _) = builder(&issuer);
    let auth = builder.store(Store::new(Moody::default())).build().unwrap();
    assert!(auth.status().await.kept_over_restarts);
}

#[tokio::test(start_paused = true)]
async fn after_a_success_the_last_error_is_gone() {
    let issuer = Issuer::new([refusal(500, "server_error")]);
    let (auth, clock) = authenticator(&issuer);
    let error = auth.authorization().await.unwrap_err();
    assert!(auth.status().await.last_error.is_some());
    tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    auth.authorization().await.unwrap();
    let status = auth.status().await;
    assert!(status.last_error.is_none() && status.held_until.is_none(), "{status}");
}

#[test]
fn outside_of_a_runtime_it_says_that_the_store_was_not_read() {
    let (auth, _) = authenticator(&Issuer::new([]));
    let mut status = tokio_test::task::spawn(auth.status());
    let status = tokio_test::assert_ready!(status.poll());
    assert!(status.store_error.is_some_and(|error| error.to_string().contains("runtime")));
}

// torture: G62
#[tokio::test(start_paused = true)]
async fn a_lifetime_that_the_quota_cannot_cover_is_warned_of_at_the_first_token_and_once() {
    let log = crate::log::Log::listen();
    let issuer = Issuer::new((0..3).map(|_| Step::Token(3600)));
    let (auth, _) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    let warned = || log.text().matches("the quota cannot cover the tokens' lifetime").count();
    assert_eq!(warned(), 1);
    auth.renew().await.unwrap();
    assert_eq!(warned(), 1);
}
