//! Clocks that jump, and machines that sleep.

use std::cell::Cell;
use std::time::Duration;

use auth_core::{Authenticator, BootId, BootTime, Clock, MemoryStore, Now, Store, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

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
    impl Clock for Stopping {
        fn coarse(&self) -> Timestamp {
            self.0.coarse()
        }

        fn now(&self) -> Now {
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

/// The clocks of a boot of its own, with a wall clock that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Booted {
    right: SharedClock,
    boot: BootId,
    ahead_millis: i64,
}

impl Booted {
    pub(crate) fn new(right: &SharedClock, ahead_millis: i64) -> Self {
        Self { right: right.clone(), boot: BootId::random(), ahead_millis }
    }
}

impl Clock for Booted {
    fn coarse(&self) -> Timestamp {
        Timestamp::from_millis(self.right.coarse().as_millis() + self.ahead_millis)
    }

    fn now(&self) -> Now {
        let boot = BootTime { id: self.boot, ..self.right.now().boot };
        Now { wall: self.coarse(), boot }
    }
}

/// How often each of the things happened that a property is about.
#[derive(Default)]
struct Seen {
    adopted: Cell<u32>,
    left_alone: Cell<u32>,
    adopted_by_right_clocks: Cell<u32>,
}

/// A process buys a token that lives `lifetime` seconds; another one starts on another boot, `later` seconds after that. Each
/// has a wall clock that is so many milliseconds ahead.
async fn handed_over(
    lifetime: u64,
    later: u64,
    ahead_millis: (i64, i64),
    seen: &Seen,
) -> Result<(), TestCaseError> {
    let issuer = Issuer::new([Step::Token(lifetime)]);
    let (right, store) = (SharedClock::new(), Store::new(MemoryStore::new()));
    let start = |ahead_millis| {
        let builder = Authenticator::builder(credentials()).store(store.clone());
        let clock = Booted::new(&right, ahead_millis);
        builder.transport(issuer.clone()).clock(clock).build().unwrap()
    };
    let first = start(ahead_millis.0).authorization().await.unwrap();
    prop_assert_eq!(text(&first), "Bearer token-1");
    tokio::time::advance(Duration::from_secs(later)).await;

    let next = start(ahead_millis.1);
    let began = tokio::time::Instant::now();
    let adopted = text(&next.authorization().await.unwrap()) == "Bearer token-1";
    // A minute, or a tenth of a short life, is taken off the end.
    let margin = 60.min(lifetime / 10 + 1);
    if ahead_millis == (0, 0) && later + margin < lifetime {
        prop_assert!(adopted && issuer.requests() == 1, "alive by right clocks");
        seen.adopted_by_right_clocks.set(seen.adopted_by_right_clocks.get() + 1);
    }
    let count = if adopted { &seen.adopted } else { &seen.left_alone };
    count.set(count.get() + 1);
    let whole = Duration::from_secs(lifetime);
    while next.authorization().await.is_ok_and(|token| text(&token) == "Bearer token-1") {
        prop_assert!(began.elapsed() < whole, "in use for {:?}", began.elapsed());
        tokio::time::advance(whole / 16).await;
    }
    Ok(())
}

// torture: C24
#[test]
fn a_token_of_another_boot_and_a_wrong_clock_outlives_its_lifetime_nowhere() {
    const TWO_DAYS: i64 = 2 * 86_400_000;
    let wrong = || prop_oneof![1 => Just(0), 2 => -TWO_DAYS..TWO_DAYS];
    let seen = Seen::default();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let cases = (60u64..48 * 3600, 0u64..72 * 3600, (wrong(), wrong()));
    let result = runner.run(&cases, |(lifetime, later, ahead_millis)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(handed_over(lifetime, later, ahead_millis, &seen))
    });
    result.unwrap();
    let counts = [&seen.adopted, &seen.left_alone, &seen.adopted_by_right_clocks].map(Cell::get);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_wrong_clock_dated_ahead_does_not_outlive_its_successor() {
    let issuer = Issuer::new([Step::Token(3600)]);
    let (right, store) = (SharedClock::new(), Store::new(MemoryStore::new()));
    let start = |ahead_millis| {
        let builder = Authenticator::builder(credentials()).store(store.clone());
        let clock = Booted::new(&right, ahead_millis);
        builder.transport(issuer.clone()).clock(clock).build().unwrap()
    };
    start(2 * 86_400_000).authorization().await.unwrap();
    tokio::time::advance(HOUR + Duration::from_secs(60)).await;
    let next = start(0);
    let dead = next.authorization().await.unwrap();
    assert_eq!(text(&next.replacement(dead.generation()).await.unwrap()), "Bearer token-2");
    assert_eq!(
        text(&start(0).authorization().await.unwrap()),
        "Bearer token-2",
        "not the dead one again"
    );
}
