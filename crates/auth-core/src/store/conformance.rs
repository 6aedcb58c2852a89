//! What every store must do: a battery to run over one of your own.

use std::sync::Arc;

use super::cell::{LedgerKey, Stored, VersionedCell, Written};
use crate::id::{Version, random_bytes};

/// Runs the battery over `cell`, on keys that nobody else has.
///
/// It needs a tokio runtime, best one with several threads. Durability is not part of it: that takes a process that is
/// killed.
///
/// # Panics
///
/// Where the store breaks the contract of [`VersionedCell`]; the message says how.
pub async fn conformance(cell: Arc<dyn VersionedCell>) {
    an_empty_cell_takes_its_first_record(&*cell).await;
    a_write_over_another_version_changes_nothing(&*cell).await;
    keys_do_not_share_a_cell(&*cell).await;
    a_long_record_comes_back_whole(&*cell).await;
    a_record_is_replaced_whatever_was_there(&*cell).await;
    of_many_writers_one_succeeds(cell.clone()).await;
    no_increment_is_lost(cell).await;
}

async fn an_empty_cell_takes_its_first_record(cell: &dyn VersionedCell) {
    let key = key();
    assert!(read(cell, &key).await.is_none(), "a cell that was never written is empty");
    let version =
        written(cell, &key, None, "{\"n\":1}").await.expect("an empty cell takes a record");
    let stored = read(cell, &key).await.expect("a record that was written is there");
    assert_eq!(stored.version, version, "the version is the one that the write was answered with");
    assert_eq!(json(&stored.record), json(b"{\"n\":1}"), "the record is the one that was written");
}

async fn a_write_over_another_version_changes_nothing(cell: &dyn VersionedCell) {
    let key = key();
    let first = written(cell, &key, None, "{\"n\":1}").await.expect("the first write");
    assert_eq!(
        written(cell, &key, None, "{\"n\":2}").await,
        None,
        "a cell with a record is not empty"
    );
    let second = written(cell, &key, Some(first), "{\"n\":3}")
        .await
        .expect("a write over the present version");
    assert_ne!(first, second, "each write has a version of its own");
    for stale in [None, Some(first), Some(Version::random())] {
        assert_eq!(
            written(cell, &key, stale, "{\"n\":4}").await,
            None,
            "a write over {stale:?} is a conflict"
        );
    }
    let stored = read(cell, &key).await.expect("the record is there");
    assert_eq!(
        (stored.version, json(&stored.record)),
        (second, json(b"{\"n\":3}")),
        "conflicts change nothing"
    );
}

async fn keys_do_not_share_a_cell(cell: &dyn VersionedCell) {
    let (one, other) = (key(), key());
    written(cell, &one, None, "{\"n\":1}").await.expect("the first write");
    assert!(read(cell, &other).await.is_none(), "another key has another cell");
}

async fn a_long_record_comes_back_whole(cell: &dyn VersionedCell) {
    let key = key();
    let record = format!("{{\"text\":\"{}\"}}", "x".repeat(256 * 1024));
    written(cell, &key, None, &record).await.expect("a record of 256 KiB is stored");
    let stored = read(cell, &key).await.expect("the record is there");
    assert!(
        json(&stored.record) == json(record.as_bytes()),
        "a record of 256 KiB comes back whole"
    );
}

/// A store need not be able to; one that is not says so, and has changed nothing.
async fn a_record_is_replaced_whatever_was_there(cell: &dyn VersionedCell) {
    let key = key();
    let mut before = None;
    for number in 1..=3 {
        let record = format!("{{\"n\":{number}}}");
        let version = match cell.replace(&key, record.clone().into_bytes()).await {
            Ok(version) => version,
            Err(error) if error.is_unsupported() => {
                let there = read(cell, &key).await.map(|stored| stored.version);
                assert_eq!(there, before, "a store that cannot replace a record changes nothing");
                return;
            }
            Err(error) => panic!("a record is replaced: {error}"),
        };
        assert_ne!(Some(version), before, "what replaces a record has a version of its own");
        let stored = read(cell, &key).await.expect("what replaced a record is there");
        assert_eq!(
            (stored.version, json(&stored.record)),
            (version, json(record.as_bytes())),
            "the record is the one that replaced the other"
        );
        for stale in [None, before] {
            let stale_write = written(cell, &key, stale, "{\"n\":0}").await;
            assert_eq!(stale_write, None, "a write over what was replaced is a conflict");
        }
        before = Some(
            written(cell, &key, Some(version), "{\"n\":10}")
                .await
                .expect("a write over what replaced the record"),
        );
    }
}

async fn of_many_writers_one_succeeds(cell: Arc<dyn VersionedCell>) {
    let key = key();
    let first = written(&*cell, &key, None, "{\"n\":0}").await.expect("the first write");
    let mut writers = Vec::new();
    for number in 1..=64 {
        let (cell, key) = (cell.clone(), key.clone());
        writers.push(tokio::spawn(async move {
            written(&*cell, &key, Some(first), &format!("{{\"n\":{number}}}")).await
        }));
    }
    let mut winners = Vec::new();
    for writer in writers {
        winners.extend(writer.await.expect("a writer does not panic"));
    }
    assert_eq!(winners.len(), 1, "of many writes over one version exactly one succeeds");
    let stored = read(&*cell, &key).await.expect("the record is there");
    assert_eq!(stored.version, winners[0], "the record is the one of the write that succeeded");
}

async fn no_increment_is_lost(cell: Arc<dyn VersionedCell>) {
    const WRITERS: usize = 8;
    const EACH: usize = 10;
    let key = key();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (cell, key) = (cell.clone(), key.clone());
        writers.push(tokio::spawn(async move {
            for _ in 0..EACH {
                loop {
                    let stored = read(&*cell, &key).await;
                    let present = stored.as_ref().map_or(0, |stored| count(&stored.record));
                    let record = format!("{{\"n\":{}}}", present + 1);
                    let expected = stored.map(|stored| stored.version);
                    if written(&*cell, &key, expected, &record).await.is_some() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer does not panic");
    }
    let stored = read(&*cell, &key).await.expect("the record is there");
    assert_eq!(count(&stored.record), WRITERS * EACH, "no increment is lost");
}

async fn read(cell: &dyn VersionedCell, key: &LedgerKey) -> Option<Stored> {
    cell.read(key).await.expect("a read succeeds")
}

/// The new version, or `None` on a conflict. A store that is well does not answer "unknown".
async fn written(
    cell: &dyn VersionedCell,
    key: &LedgerKey,
    expected: Option<Version>,
    record: &str,
) -> Option<Version> {
    match cell.write(key, expected, record.as_bytes().to_vec()).await.expect("a write succeeds") {
        Written::Written(version) => Some(version),
        Written::Conflict => None,
        Written::Unknown => panic!("a write of a store that is well has a known end"),
    }
}

fn key() -> LedgerKey {
    let random = u64::from_le_bytes(random_bytes());
    LedgerKey::new("https://conformance.example/oauth/token", &format!("client-{random:016x}"))
}

fn json(record: &[u8]) -> serde_json::Value {
    serde_json::from_slice(record).expect("a record is JSON")
}

fn count(record: &[u8]) -> usize {
    json(record)["n"]
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
        .expect("a record of this battery")
}
