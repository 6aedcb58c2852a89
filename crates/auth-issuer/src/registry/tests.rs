//! The count, whoever asks at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::past::Outcome;
use crate::quota::Window;

#[test]
fn ten_thousand_spends_from_eight_threads_are_counted_exactly() {
    const LIMIT: u32 = 7_000;
    let quota = Quota::per_day(LIMIT).and(Window::utc_month(20_000));
    let scratch = tempfile::tempdir().unwrap();
    let registry = Registry::open(quota.clone(), scratch.path()).unwrap();
    registry.register("app", Some("x"), None, UNIX_EPOCH).unwrap();
    let (registry, granted) = (Arc::new(registry), Arc::new(AtomicU32::new(0)));
    let threads: Vec<_> = (0..8_u32)
        .map(|thread| {
            let (registry, granted) = (Arc::clone(&registry), Arc::clone(&granted));
            std::thread::spawn(move || {
                for i in 0..1_250 {
                    // All in one second, and out of order among the threads.
                    let micros = u64::from(i * 8 + thread) * 100;
                    let now = UNIX_EPOCH + Duration::from_micros(micros);
                    let begun = registry.begin("app", "api", true, true, || now);
                    registry.end("app", begun.number, Outcome::Issued, None);
                    granted.fetch_add(u32::from(begun.spent.is_ok()), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(granted.load(Ordering::Relaxed), LIMIT);
    let count = |registry: &Registry| {
        let left = registry.left("app", UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        (left[0].left, left[1].left, registry.spent())
    };
    assert_eq!(count(&registry), (0, 20_000 - LIMIT, u64::from(LIMIT)));
    // And the next process counts the same.
    drop(registry);
    assert_eq!(count(&Registry::open(quota, scratch.path()).unwrap()), (0, 13_000, 7_000));
}

#[test]
fn a_burst_of_several_threads_within_the_lag_gets_through_since_times_are_taken_in_the_order_of_the_lock()
 {
    let quota = Quota::per_day(1).lag(Duration::from_secs(60));
    let registry = Registry::new(quota);
    registry.register("app", Some("x"), None, UNIX_EPOCH).unwrap();
    let ticks = AtomicU32::new(0);
    let clock = || {
        // Otherwise a thread with an earlier time could come after one with a later time.
        assert!(registry.inner.try_lock().is_err());
        UNIX_EPOCH + Duration::from_micros(ticks.fetch_add(1, Ordering::Relaxed).into())
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let begun = registry.begin("app", "api", true, true, clock);
                    assert!(begun.spent.is_ok());
                }
            });
        }
    });
    assert_eq!(registry.spent(), 400);
}

#[test]
fn what_is_attached_is_as_new_as_the_snapshot_that_it_is_in() {
    let scratch = tempfile::tempdir().unwrap();
    let registry = Registry::open(Quota::unlimited(), scratch.path()).unwrap();
    let value = || {
        // Otherwise another thread could put a newer one before this.
        assert!(registry.inner.try_lock().is_err());
        serde_json::Value::Null
    };
    registry.attach("x", value).unwrap();
    assert_eq!(registry.attached("x"), Some(serde_json::Value::Null));
}

#[test]
fn what_comes_after_the_directory_was_left_is_not_kept_and_the_next_one_can_have_it() {
    let scratch = tempfile::tempdir().unwrap();
    let registry = Registry::open(Quota::unlimited(), scratch.path()).unwrap();
    registry.register("app", Some("x"), None, UNIX_EPOCH).unwrap();
    registry.close();
    let next = Registry::open(Quota::unlimited(), scratch.path()).unwrap();
    let begun = registry.begin("app", "api", true, true, || UNIX_EPOCH);
    assert!(matches!(begun.spent, Err(Uncharged::NotKept)));
    assert!(registry.create_key(UNIX_EPOCH).is_err());
    assert!(registry.attach("x", || serde_json::Value::Null).is_err());
    assert!(registry.is_kept());
    assert_eq!((next.spent(), next.key_created(), next.attached("x")), (0, None, None));
}
