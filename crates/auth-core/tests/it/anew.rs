//! The way out of a record that cannot be used any more.

use std::fs;
use std::path::Path;
use std::time::Duration;

use auth_core::{Authenticator, MemoryStore, Store};
use tempfile::TempDir;

use crate::support::*;

// torture: F52
#[tokio::test]
async fn a_new_record_counts_the_whole_quota_and_carries_the_token_on() {
    for damage in [
        (|record| fs::write(record, "garbage").unwrap()) as fn(&Path),
        |record| fs::remove_file(record).unwrap(),
        |record| fs::remove_dir_all(record.parent().unwrap()).unwrap(),
    ] {
        let directory = TempDir::new().unwrap();
        let (issuer, clock) = (Issuer::new([Step::Token(3600)]), SharedClock::new());
        let (running, other) = (
            process(directory.path(), &issuer, &clock),
            process(directory.path(), &issuer, &clock),
        );
        running.authorization().await.unwrap();
        other.authorization().await.unwrap();
        damage(&record(directory.path()));
        assert!(running.status().await.store_error.is_some());

        running.start_new_record().await.unwrap();
        let status = running.status().await;
        assert!(status.store_error.is_none(), "{status}");
        assert_eq!((status.windows[0].spent, status.windows[0].left), (3, 0));
        let restarted = process(directory.path(), &issuer, &clock);
        assert_eq!(text(&restarted.authorization().await.unwrap()), "Bearer token-1");
        assert_eq!(issuer.requests(), 1);

        // Nobody gets a token until the window has passed, whatever it had seen of the old record.
        clock.0.suspend(HOUR);
        for process in [&running, &other, &restarted] {
            let error = process.authorization().await.unwrap_err();
            assert!(error.is_quota_exhausted(), "{error}");
            let wait = clock.until(error.retry_at().unwrap());
            assert!(wait > 24 * HOUR && wait <= 24 * HOUR + Duration::from_secs(60), "{wait:?}");
        }
        clock.0.suspend(24 * HOUR + Duration::from_secs(60));
        other.authorization().await.unwrap();
        assert_eq!(issuer.requests(), 2);
    }
}

#[tokio::test]
async fn whoever_knows_what_was_spent_may_say_so() {
    let directory = TempDir::new().unwrap();
    let (issuer, clock) = (Issuer::new([]), SharedClock::new());
    process(directory.path(), &issuer, &clock).authorization().await.unwrap();
    fs::write(record(directory.path()), "").unwrap();
    let restarted = process(directory.path(), &issuer, &clock);
    assert!(restarted.authorization().await.unwrap_err().is_store());
    restarted.start_new_record_after(1).await.unwrap();
    assert_eq!(restarted.status().await.windows[0].left, 2);
    restarted.authorization().await.unwrap();
    assert_eq!(issuer.requests(), 2);
}

/// A token that an API refused is not handed on.
#[tokio::test(start_paused = true)]
async fn a_refused_token_does_not_go_into_a_new_record() {
    let issuer = Issuer::new([Step::Token(86_400), Step::Hang]);
    let store = Store::new(MemoryStore::new());
    let (builder, clock) = builder(&issuer);
    let auth = builder.store(store.clone()).build().unwrap();
    let refused = auth.authorization().await.unwrap();
    auth.refuse(refused.generation());
    issuer.arrivals(2).await;
    auth.start_new_record_after(0).await.unwrap();
    let other = Authenticator::builder(credentials())
        .store(store)
        .transport(Issuer::new([]))
        .clock(clock)
        .build()
        .unwrap();
    assert_eq!(text(&other.authorization().await.unwrap()), "Bearer token-1", "of its own issuer");
    assert_eq!(other.status().await.windows[0].spent, 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_replace_says_so() {
    let (builder, _) = builder(&Issuer::new([]));
    let auth = builder.store(Store::new(Plain::default())).build().unwrap();
    let error = auth.start_new_record().await.unwrap_err();
    assert!(error.is_store() && error.to_string().contains("cannot replace"), "{error}");
    tokio::time::advance(Duration::from_secs(1)).await;
    auth.authorization().await.unwrap();
}
