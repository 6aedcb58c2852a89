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

/// A request that waited for its connection while the machine slept would arrive after its unit has left the window.
#[tokio::test(start_paused = true)]
async fn after_a_suspend_no_stale_token_request_is_sent() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone()), Step::Token(86_400)]);
    let (auth, clock) = authenticator(&issuer);
    let caller = caller(&auth);
    issuer.arrivals(1).await;
    clock.0.suspend(Duration::from_secs(26 * 3600));
    gate.notify_one();
    assert!(caller.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(issuer.tokens(), 0, "the transport was not polled again");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_holds_nobody_for_longer() {
    let issuer = Issuer::new([Step::NotSent]);
    let (auth, clock) = authenticator(&issuer);
    clock.0.jump_wall(365 * 86_400_000);
    auth.authorization().await.unwrap_err();
    clock.0.jump_wall(-365 * 86_400_000);
    tokio::time::advance(Duration::from_secs(2)).await;
    auth.authorization().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_revives_no_dead_token() {
    let issuer = Issuer::new([]);
    let (auth, clock) = authenticator(&issuer);
    clock.0.jump_wall(10 * 86_400_000);
    auth.authorization().await.unwrap();
    clock.0.jump_wall(-10 * 86_400_000);
    // Alive by the clock that does not jump: kept.
    tokio::time::advance(DAY / 2).await;
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-1");
    settle().await;
    assert_eq!(issuer.requests(), 1);
    tokio::time::advance(DAY).await;
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-2");
}

// torture: D30
#[tokio::test(start_paused = true)]
async fn the_lifetime_counts_from_when_the_request_was_sent() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone()), Step::Token(3600)]);
    let (auth, _) = authenticator(&issuer);
    let caller = caller(&auth);
    issuer.arrivals(1).await;
    tokio::time::advance(Duration::from_secs(9)).await;
    gate.notify_one();
    caller.await.unwrap().unwrap();
    let left = auth.status().await.token.unwrap().expires_in;
    assert_eq!(left, Duration::from_secs(3600 - 60 - 9));
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_forward_while_a_renewal_hangs_lets_nobody_wait() {
    let issuer = Issuer::new([Step::Token(86_400), Step::Hang]);
    let (auth, clock) = authenticator(&issuer);
    auth.authorization().await.unwrap();
    tokio::time::advance(DAY * 91 / 100).await;
    auth.authorization().await.unwrap();
    settle().await;
    assert_eq!(issuer.requests(), 2);
    clock.0.jump_wall(6 * 3_600_000);
    let mut caller = tokio_test::task::spawn(auth.authorization());
    assert_eq!(text(&tokio_test::assert_ready!(caller.poll()).unwrap()), "Bearer token-1");
}

/// Such a clock sees no difference between a suspended machine and a wall clock that was set forward.
#[tokio::test(start_paused = true)]
async fn by_a_boot_clock_that_stops_while_suspended_no_dead_token_is_kept() {
    #[derive(Debug)]
    struct Stopping(SharedClock);
    impl auth_core::Clock for Stopping {
        fn coarse(&self) -> auth_core::Timestamp {
            self.0.coarse()
        }

        fn now(&self) -> auth_core::Now {
            self.0.now()
        }

        fn counts_suspended_time(&self) -> bool {
            false
        }
    }

    let issuer = Issuer::new([]);
    let (builder, clock) = builder(&issuer);
    let auth = builder.clock(Stopping(clock.clone())).build().unwrap();
    auth.authorization().await.unwrap();
    clock.0.jump_wall(25 * 3_600_000);
    assert_eq!(text(&auth.authorization().await.unwrap()), "Bearer token-2");
}
