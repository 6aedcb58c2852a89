//! The lock that is a file, on whatever system the tests run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::RwLock;

use super::*;
use crate::store::file::FileStore;
use crate::store::file::cells::Cells;
use crate::store::{LedgerKey, VersionedCell, Written, conformance};

fn root(directory: &Path) -> Root {
    Root::new(directory, false).unwrap().with_lock_on(LockOn::FileInIt)
}

fn store(directory: &Path) -> FileStore {
    FileStore { cells: Arc::new(Cells::new(root(directory))) }
}

#[test]
fn one_has_it_at_a_time() {
    let directory = TempDir::new().unwrap();
    for lock_on in [LockOn::Directory, LockOn::FileInIt] {
        let root = root(directory.path()).with_lock_on(lock_on);
        let (one, other) = (root.open().unwrap(), root.open().unwrap());
        let lock = Lock::take(&root, &one).unwrap().unwrap();
        assert!(Lock::take(&root, &other).unwrap().is_none(), "{lock_on:?}");
        assert!(lock.is_met(&root, &one).unwrap());
        drop(lock);
        assert!(Lock::take(&root, &other).unwrap().is_some(), "{lock_on:?}");
    }
}

// torture: F52
#[test]
fn a_lock_that_was_swept_away_locks_nothing_and_is_noticed() {
    let directory = TempDir::new().unwrap();
    let root = root(directory.path());
    let opened = root.open().unwrap();
    let file = open(&root, &opened).unwrap().unwrap();
    fs::remove_file(directory.path().join(NAME)).unwrap();
    assert!(Lock::lock_file(&root, &opened, file).unwrap().is_none(), "swept before it was locked");

    let lock = Lock::take(&root, &opened).unwrap().unwrap();
    fs::remove_file(directory.path().join(NAME)).unwrap();
    assert!(!lock.is_met(&root, &opened).unwrap(), "swept while it was held");
    let next = Lock::take(&root, &opened).unwrap().unwrap();
    assert!(next.is_met(&root, &opened).unwrap() && !lock.is_met(&root, &opened).unwrap());
}

// torture: E45
#[test]
fn it_is_the_owners_alone_and_something_else_in_its_place_is_refused() {
    let directory = TempDir::new().unwrap();
    let (root, path) = (root(directory.path()), directory.path().join(NAME));
    let opened = root.open().unwrap();
    let refused = |problem: &str| {
        let error = Lock::take(&root, &opened).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    };
    drop(Lock::take(&root, &opened).unwrap().unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    refused("chmod 0600");
    fs::remove_file(&path).unwrap();
    symlink(directory.path().join("elsewhere"), &path).unwrap();
    refused("symbolic link");
    assert!(!directory.path().join("elsewhere").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_it_files_keep_the_contract_of_a_store() {
    let directory = TempDir::new().unwrap();
    conformance(Arc::new(store(directory.path()))).await;
}

// torture: F52
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cleaner_that_sweeps_it_away_between_increments_loses_none() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 15;
    let directory = TempDir::new().unwrap();
    let key = LedgerKey::new("https://issuer.example/oauth/token", "client");
    let between = Arc::new(RwLock::new(()));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        // Stores of their own, as processes have them.
        let (store, key, between) = (store(directory.path()), key.clone(), between.clone());
        let path = directory.path().to_owned();
        tasks.spawn(async move {
            let (mut done, mut swept) = (0, 0);
            while done < EACH {
                let increment = between.read().await;
                let stored = store.read(&key).await.unwrap();
                let number = |record: Vec<u8>| serde_json::from_slice::<u64>(&record).unwrap();
                let next = stored.clone().map_or(0, |stored| number(stored.record)) + 1;
                let expected = stored.map(|stored| stored.version);
                let written = store.write(&key, expected, next.to_string().into_bytes()).await;
                done += u64::from(matches!(written.unwrap(), Written::Written(_)));
                drop(increment);
                let _nobody_writes = between.write().await;
                for client in fs::read_dir(&path).unwrap() {
                    swept += u64::from(fs::remove_file(client.unwrap().path().join(NAME)).is_ok());
                }
            }
            swept
        });
    }
    let swept: u64 = tasks.join_all().await.into_iter().sum();
    assert!(swept >= EACH, "the cleaner swept {swept} times");
    let stored = store(directory.path()).read(&key).await.unwrap().unwrap();
    assert_eq!(stored.record, (WRITERS * EACH).to_string().into_bytes());
}
