//! Clocks that jump, and machines that sleep.

use std::time::Duration;

use crate::support::*;

// torture: G61
#[tokio::test(start_paused = true)]
async fn after_a_suspend_no_stale_token_is_sent() {
    let issuer = Issuer::new([]);
    let (auth, clock) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    clock.0.suspend(DAY);
    assert!(auth.try_authorization().is_none());
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-2");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_forward_costs_no_token() {
    let issuer = Issuer::new([]);
    let (auth, clock) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    clock.0.jump_wall(48 * 3_600_000);
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-1");
    assert_eq!(issuer.requests(), 1);
    let left = auth.status().await.token.unwrap().expires_in;
    assert!(left > DAY - Duration::from_secs(120) && left <= DAY, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_forward_opens_no_slot() {
    let issuer = Issuer::new([]);
    issuer.always(Some(400));
    let (builder, clock) = builder(&issuer);
    let auth = builder.quota(auth_core::Quota::per_day(1)).build().unwrap();
    auth.authorization().await.unwrap_err();
    for _ in 0..10 {
        clock.0.jump_wall(48 * 3_600_000);
        tokio::time::advance(Duration::from_secs(2)).await;
        auth.authorization().await.unwrap_err();
    }
    assert_eq!(issuer.requests(), 1);
}
