//! What is written of a change, and what is made of a disk that takes nothing.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use super::*;

impl Registry {
    /// As if a line could not be written: from then on every write tries a snapshot.
    pub(crate) fn break_journal(&self) {
        let Place::Directory(directory) = &mut self.inner().place else { return };
        directory.break_journal();
    }
}

fn open(path: &Path) -> Registry {
    Registry::open(Quota::per_day(10), path).unwrap()
}

fn with_client(id: &str) -> (TempDir, Registry) {
    let scratch = tempfile::tempdir().unwrap();
    let registry = open(scratch.path());
    registry.register(id, Some("x"), None, UNIX_EPOCH).unwrap();
    (scratch, registry)
}

fn begin(registry: &Registry, id: &str) -> Result<(), Uncharged> {
    registry.begin(id, "api", true, true, || UNIX_EPOCH).spent.map(|_| ())
}

/// The snapshot's bytes, and the journal's.
fn written(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let journal = fs::read_dir(path).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|ending| ending == "jsonl").then_some(path)
    });
    (fs::read(path.join("state.json")).unwrap(), fs::read(journal.unwrap()).unwrap())
}

#[test]
fn a_revocation_is_a_line_and_one_that_is_known_is_nothing() {
    let (scratch, registry) = with_client("app");
    let (snapshot, journal) = written(scratch.path());
    let now = UNIX_EPOCH + Duration::from_secs(7);
    registry.revoke(11, 1_000, now).unwrap();
    registry.revoke(11, 1_000, now).unwrap();
    let (same, one) = written(scratch.path());
    assert!(same == snapshot, "no snapshot is written for it");
    assert_eq!(one.len() - journal.len(), one.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    registry.revoke_below(5).unwrap();
    assert!(written(scratch.path()).0 == snapshot);
    // In the journal, and in the snapshot that the next start makes of it.
    drop(registry);
    for _ in 0..2 {
        let registry = open(scratch.path());
        let revoked: Vec<u64> = (0..20).filter(|number| registry.is_revoked(*number)).collect();
        assert_eq!(revoked, [0, 1, 2, 3, 4, 11]);
    }
}

#[test]
fn a_line_that_cannot_be_written_is_in_a_snapshot_instead() {
    let (scratch, registry) = with_client("app");
    registry.break_journal();
    begin(&registry, "app").unwrap();
    registry.break_journal();
    registry.revoke(7, 1_000, UNIX_EPOCH).unwrap();
    drop(registry);
    let registry = open(scratch.path());
    assert_eq!((registry.spent(), registry.is_revoked(7)), (1, true));
}

#[test]
fn what_can_be_written_nowhere_is_no_success_however_often_it_is_tried() {
    let (scratch, registry) = with_client("app");
    // In the way of every snapshot.
    let obstacle = scratch.path().join("state.json.new");
    fs::create_dir(&obstacle).unwrap();
    registry.break_journal();
    for _ in 0..2 {
        assert!(matches!(begin(&registry, "app"), Err(Uncharged::NotKept)));
        assert!(registry.revoke(7, 1_000, UNIX_EPOCH).is_err());
        assert!(registry.is_revoked(7));
        assert!(registry.revoke_below(5).is_err());
    }
    fs::remove_dir(&obstacle).unwrap();
    registry.revoke(7, 1_000, UNIX_EPOCH).unwrap();
    drop(registry);
    let registry = open(scratch.path());
    assert!(registry.is_revoked(7) && registry.is_revoked(4));
    assert_eq!(registry.spent(), 2, "they were counted, though refused");
}

#[test]
fn what_is_in_the_journal_is_kept_though_no_snapshot_can_be_made_of_it_and_that_is_tried_at_times()
{
    // A line of a tenth of what makes a snapshot due.
    let id = "x".repeat(105_000);
    let (scratch, registry) = with_client(&id);
    let before = written(scratch.path()).0;
    let obstacle = scratch.path().join("state.json.new");
    fs::create_dir(&obstacle).unwrap();
    let spend = || registry.begin(&id, "api", true, false, || UNIX_EPOCH).spent.map(|_| ());
    for _ in 0..11 {
        spend().unwrap();
    }
    // The first thing that a snapshot needs is a journal to go on with.
    let tried = scratch.path().join("requests-3.jsonl");
    assert!(tried.exists());
    fs::remove_file(&tried).unwrap();
    for _ in 0..8 {
        spend().unwrap();
        assert!(!tried.exists(), "every request would pay for it");
    }
    assert!(written(scratch.path()).0 == before);
    fs::remove_dir(&obstacle).unwrap();
    for _ in 0..3 {
        spend().unwrap();
    }
    assert!(written(scratch.path()).0 != before);
    drop(registry);
    assert_eq!(open(scratch.path()).credentials()[0].requests.len(), 22);
}
