//! Random schedules of the core's own code. A lost wake-up is a deadlock, which shuttle reports with the schedule that leads
//! there; `SCHEDULES` says how many of them each kind of run tries (1,000,000 over all of them take minutes).

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use auth_core::{MemoryStore, Quota, Store};
use auth_core_under_shuttle as auth_core;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};

use self::support::*;

#[allow(dead_code, reason = "shared with the other model")]
#[path = "../../support.rs"]
mod support;

async fn pause() {
    yield_now().await;
}

/// For each test and each kind of scheduler.
fn schedules() -> usize {
    std::env::var("SCHEDULES").map_or(2_000, |count| count.parse().expect("SCHEDULES is a number"))
}

/// Tries one `run` under many schedules: half of them at random, half with few preemptions in unlikely places.
fn explore(run: impl Fn() + Send + Sync + 'static) {
    explore_printing(FailurePersistence::Print, run);
}

fn explore_printing(failures: FailurePersistence, run: impl Fn() + Send + Sync + 'static) {
    let count = schedules().max(1);
    let tried = Arc::new(AtomicUsize::new(0));
    let run = Arc::new(run);
    let with = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.failure_persistence = failures.clone();
        let (run, tried) = (run.clone(), tried.clone());
        Runner::new(scheduler, config).run(move || {
            run();
            tried.fetch_add(1, SeqCst);
        });
    };
    with(Box::new(RandomScheduler::new(count)));
    with(Box::new(PctScheduler::new(3, count)));
    assert_eq!(tried.load(SeqCst), 2 * count);
    println!("{} schedules", 2 * count);
}

// torture: A1
#[test]
fn callers_without_a_token_share_one_request() {
    explore(|| {
        let (issuer, clock) = (Issuer::new([]), Still::default());
        let auth = alone(&issuer, &clock);
        for generation in 1..=2 {
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let auth = auth.clone();
                    spawn(async move { whole(&auth.authorization().await.unwrap()) })
                })
                .collect();
            for caller in callers {
                assert_eq!(block_on(caller).unwrap(), generation);
            }
            assert_eq!(issuer.requests() as u64, generation);
            // All of them are at the end of the first token, then.
            clock.forward(LIFETIME);
        }
    });
}

// torture: A2
#[test]
fn a_caller_that_goes_takes_nothing_along() {
    explore(|| {
        let (issuer, clock) = (Issuer::new([]), Still::default());
        let auth = alone(&issuer, &clock);
        let going: Vec<_> = (0..2)
            .map(|_| {
                let auth = auth.clone();
                spawn(async move {
                    // Whoever comes first starts the flight.
                    let _ = once(pin!(auth.authorization()));
                })
            })
            .collect();
        let staying = spawn({
            let auth = auth.clone();
            async move { whole(&auth.authorization().await.unwrap()) }
        });
        for caller in going {
            block_on(caller).unwrap();
        }
        assert_eq!(block_on(staying).unwrap(), 1);
        assert_eq!(whole(&block_on(auth.authorization()).unwrap()), 1);
        assert_eq!(issuer.requests(), 1);
    });
}

// torture: A4
#[test]
fn a_panic_is_an_error_for_all_and_the_next_flight_is_possible() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(PLANTED) {
            usual(info);
        }
    }));
    // What panics here is caught, so that no schedule fails by it.
    explore_printing(FailurePersistence::None, || {
        let (issuer, clock) = (Issuer::new([Answer::Panic]), Still::default());
        let auth = alone(&issuer, &clock);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let auth = auth.clone();
                spawn(async move { auth.authorization().await.map(|token| whole(&token)) })
            })
            .collect();
        for caller in callers {
            let error = block_on(caller).unwrap().unwrap_err();
            assert!(error.to_string().contains("panicked"), "{error}");
        }
        assert_eq!(issuer.requests(), 1, "one failure for all of them");
        clock.forward(Duration::from_secs(3600));
        assert_eq!(text(&block_on(auth.authorization()).unwrap()), "token-2");
        assert_eq!(issuer.requests(), 2);
    });
}

/// What the request came to is not known, so its unit is spent.
#[test]
fn a_task_that_is_dropped_is_noticed_by_all_and_by_the_ledger() {
    explore(|| {
        let (issuer, clock) = (Issuer::new([Answer::Gone]), Still::default());
        let auth = alone(&issuer, &clock);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let auth = auth.clone();
                spawn(async move { text(&auth.authorization().await.unwrap()).to_owned() })
            })
            .collect();
        for caller in callers {
            assert_eq!(block_on(caller).unwrap(), "token-2");
        }
        assert_eq!(issuer.requests(), 2);
        assert_eq!(block_on(auth.status()).windows[0].spent, 2);
    });
}

// torture: A7
#[test]
fn nobody_waits_while_a_token_is_valid() {
    explore(|| {
        let (issuer, clock) = (Issuer::new([]), Still::default());
        let auth = alone(&issuer, &clock);
        let first = block_on(auth.authorization()).unwrap().generation();
        // Past the time of its renewal, and valid.
        clock.forward(LIFETIME.mul_f64(0.95));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let auth = auth.clone();
                spawn(async move {
                    let first = whole(&at_once(&auth));
                    yield_now().await;
                    let second = whole(&at_once(&auth));
                    assert!(first <= second, "{first} then {second}");
                    whole(&auth.try_authorization().expect("there is a token"))
                })
            })
            .collect();
        for caller in callers {
            assert!(block_on(caller).unwrap() <= 2);
        }
        // The first of them has started the renewal, and nobody else.
        assert_eq!(whole(&block_on(auth.replacement(first)).unwrap()), 2);
        assert_eq!(issuer.requests(), 2);
    });
}

// torture: A8
#[test]
fn no_token_is_torn_and_no_generation_runs_backwards() {
    explore(|| {
        let (issuer, clock) = (Issuer::new([]), Still::default());
        let auth = alone(&issuer, &clock);
        block_on(auth.authorization()).unwrap();
        let renewing = spawn({
            let auth = auth.clone();
            async move {
                for expected in 2..=3 {
                    assert_eq!(whole(&auth.renew().await.unwrap()), expected);
                }
            }
        });
        let refusing = spawn({
            let auth = auth.clone();
            async move {
                // By the time that this is said, it may be another.
                let seen = auth.try_authorization().unwrap().generation();
                yield_now().await;
                auth.refuse(seen);
            }
        });
        let reading: Vec<_> = (0..2)
            .map(|_| {
                let auth = auth.clone();
                spawn(async move {
                    let mut last = 0;
                    for _ in 0..4 {
                        let generation = whole(&at_once(&auth));
                        assert!(last <= generation, "{last} then {generation}");
                        last = generation;
                        yield_now().await;
                    }
                })
            })
            .collect();
        for reader in reading {
            block_on(reader).unwrap();
        }
        block_on(refusing).unwrap();
        block_on(renewing).unwrap();
    });
}

// torture: B12
#[test]
fn late_refusals_of_an_older_token_cost_nothing() {
    explore(|| {
        let (issuer, clock) = (Issuer::new([]), Still::default());
        let auth = alone(&issuer, &clock);
        let first = block_on(auth.authorization()).unwrap().generation();
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let auth = auth.clone();
                spawn(async move {
                    if number == 0 {
                        auth.refuse(first);
                        whole(&at_once(&auth))
                    } else {
                        whole(&auth.replacement(first).await.unwrap())
                    }
                })
            })
            .collect();
        let served: Vec<_> = callers.into_iter().map(|caller| block_on(caller).unwrap()).collect();
        assert!(served[0] <= 2 && served[1] == 2 && served[2] == 2, "{served:?}");
        auth.refuse(first);
        assert_eq!(whole(&at_once(&auth)), 2);
        assert_eq!(issuer.requests(), 2);
    });
}

// torture: B12
#[test]
fn a_refused_token_that_cannot_be_renewed_is_served_on() {
    explore(|| {
        let issuer = Issuer::new([Answer::Token, Answer::Unavailable]);
        let clock = Still::default();
        let auth = alone(&issuer, &clock);
        let first = block_on(auth.authorization()).unwrap().generation();
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let auth = auth.clone();
                spawn(async move {
                    if number == 0 {
                        assert_eq!(whole(&at_once(&auth)), 1);
                    } else {
                        auth.replacement(first).await.unwrap_err();
                    }
                    assert_eq!(whole(&at_once(&auth)), 1);
                })
            })
            .collect();
        for caller in callers {
            block_on(caller).unwrap();
        }
        assert_eq!(issuer.requests(), 2);
    });
}

/// Two processes, of which each has its own authenticator, and a store in common.
#[test]
fn processes_never_spend_a_unit_twice() {
    explore(|| {
        let (issuer, clock) = (Issuer::new([]), Still::default());
        let store = Store::new(MemoryStore::new());
        let processes: Vec<_> = (0..2)
            .map(|_| {
                let auth = process(&issuer, &store, &clock, Quota::per_day(1));
                spawn(async move { text(&auth.authorization().await.unwrap()).to_owned() })
            })
            .collect();
        for process in processes {
            assert_eq!(block_on(process).unwrap(), "token-1");
        }
        assert_eq!(issuer.requests(), 1);
    });
}

/// What is the last unit for one of them is none for the other.
#[test]
fn processes_that_fail_do_not_overspend() {
    explore(|| {
        let issuer = Issuer::new([Answer::Unavailable; 8]);
        let clock = Still::default();
        let store = Store::new(MemoryStore::new());
        let processes: Vec<_> = (0..2)
            .map(|_| {
                let auth = process(&issuer, &store, &clock, Quota::per_day(2).with_reserve(0));
                spawn(async move {
                    auth.authorization().await.unwrap_err();
                    auth.renew().await.unwrap_err();
                })
            })
            .collect();
        for process in processes {
            block_on(process).unwrap();
        }
        assert!((1..=2).contains(&issuer.requests()), "{}", issuer.requests());
    });
}
