//! The store on a real directory, below what the authenticator sees of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tempfile::TempDir;

use super::directory::name;
use super::*;

fn key() -> LedgerKey {
    LedgerKey::new("https://issuer.example/oauth/token", "client")
}

async fn number(store: &FileStore) -> Option<u64> {
    let stored = store.read(&key()).await.unwrap()?;
    Some(serde_json::from_slice(&stored.record).unwrap())
}

/// Adds one, and says whether nobody came first.
async fn increment(store: &FileStore) -> bool {
    let stored = store.read(&key()).await.unwrap();
    let present: u64 =
        stored.as_ref().map_or(0, |stored| serde_json::from_slice(&stored.record).unwrap());
    let expected = stored.map(|stored| stored.version);
    let written = store.write(&key(), expected, (present + 1).to_string().into_bytes()).await;
    matches!(written.unwrap(), Written::Written(_))
}

/// A store with a record in it, and the client's subdirectory.
async fn filled(directory: &TempDir) -> (FileStore, PathBuf) {
    let store = FileStore::new(directory.path().join("state")).unwrap();
    assert!(increment(&store).await);
    (store, directory.path().join("state").join(name(&key())))
}

// torture: F52
#[tokio::test]
async fn whatever_became_of_a_record_it_can_be_replaced_and_is_kept() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("damaged", |client| fs::write(client.join("record.json"), "{\"half").unwrap()),
        ("empty", |client| fs::write(client.join("record.json"), "").unwrap()),
        ("foreign", |client| {
            let record = fs::read_to_string(client.join("record.json")).unwrap();
            fs::write(client.join("record.json"), record.replace("issuer", "other")).unwrap();
        }),
        ("open to others", |client| {
            let record = client.join("record.json");
            fs::set_permissions(record, Permissions::from_mode(0o644)).unwrap();
        }),
        ("a link", |client| {
            fs::rename(client.join("record.json"), client.join("elsewhere")).unwrap();
            symlink("elsewhere", client.join("record.json")).unwrap();
        }),
        ("gone", |client| fs::remove_file(client.join("record.json")).unwrap()),
        ("gone with its directory", |client| fs::remove_dir_all(client).unwrap()),
    ];
    for (what, damage) in damages {
        let directory = TempDir::new().unwrap();
        let (store, client) = filled(&directory).await;
        damage(&client);
        let before = fs::symlink_metadata(client.join("record.json")).map(|file| file.len()).ok();
        let is_refused = store.read(&key()).await.is_err();
        assert!(is_refused || !client.exists(), "{what}");
        for replacement in [7, 8] {
            let version = store.replace(&key(), replacement.to_string().into_bytes()).await;
            let stored = store.read(&key()).await.unwrap().unwrap();
            assert_eq!(stored.version, version.unwrap(), "{what}");
            assert_eq!(number(&store).await, Some(replacement), "{what}");
            let kept = fs::symlink_metadata(client.join("record.json.replaced")).ok();
            if replacement == 7 && before.is_some() {
                assert_eq!(kept.map(|kept| kept.len()), before, "{what}: it is kept");
            }
        }
        assert!(increment(&store).await, "{what}: the next write is one like any other");
        assert_eq!(number(&store).await, Some(9), "{what}");
        let mut names: Vec<_> =
            fs::read_dir(&client).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name != "elsewhere");
        assert_eq!(names.len(), 2, "{what}: the record and the last that was replaced: {names:?}");
    }
}

// torture: E45
#[tokio::test]
async fn a_replacement_trusts_no_directory_that_a_write_does_not() {
    let directory = TempDir::new().unwrap();
    let (store, client) = filled(&directory).await;
    let refused = |problem: &'static str| {
        let store = store.clone();
        async move {
            let error = store.replace(&key(), b"7".to_vec()).await.unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    };
    fs::set_permissions(&client, Permissions::from_mode(0o755)).unwrap();
    refused("chmod 0700").await;
    fs::set_permissions(&client, Permissions::from_mode(0o700)).unwrap();
    let state = directory.path().join("state");
    fs::set_permissions(&state, Permissions::from_mode(0o777)).unwrap();
    refused("chmod go-w").await;
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    fs::rename(&client, directory.path().join("moved")).unwrap();
    symlink(directory.path().join("moved"), &client).unwrap();
    refused("something else than a directory").await;
    fs::remove_file(&client).unwrap();
    fs::rename(directory.path().join("moved"), &client).unwrap();
    fs::rename(&state, directory.path().join("moved")).unwrap();
    symlink(directory.path().join("moved"), &state).unwrap();
    refused("symbolic link").await;
    fs::remove_file(&state).unwrap();
    fs::rename(directory.path().join("moved"), &state).unwrap();
    assert_eq!(number(&store).await, Some(1));
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_written() {
    let directory = TempDir::new().unwrap();
    let (store, _) = filled(&directory).await;
    let version = store.read(&key()).await.unwrap().map(|stored| stored.version);
    let too_long = format!("\"{}\"", "x".repeat(8 * 1024 * 1024)).into_bytes();
    let too_deep = format!("{}{}", "[".repeat(127), "]".repeat(127)).into_bytes();
    for record in [too_long, too_deep, b"null".to_vec(), b"{".to_vec()] {
        let error = store.write(&key(), version, record).await.unwrap_err();
        assert!(error.to_string().contains("was given a record"), "{error}");
        assert_eq!(number(&store).await, Some(1));
    }
}

/// Who opened a record that is replaced before it is examined finds a file without a name.
#[test]
fn a_read_in_the_middle_of_a_write_sees_the_old_record_or_the_new_one() {
    const WRITES: u64 = 300;
    let directory = TempDir::new().unwrap();
    let disk = Root::new(directory.path(), false).unwrap();
    let runs = AtomicBool::new(true);
    let reads: u64 = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut reads, mut last) = (0, 0);
                    while runs.load(SeqCst) {
                        let stored = protocol::read(&disk, &key());
                        let number = stored
                            .unwrap_or_else(|error| panic!("{error}"))
                            .map_or(0, |stored| serde_json::from_slice(&stored.record).unwrap());
                        assert!(number >= last, "{number} after {last}");
                        (reads, last) = (reads + 1, number);
                    }
                    reads
                })
            })
            .collect();
        let mut expected = None;
        for number in 1..=WRITES {
            let record = number.to_string();
            let attempt = protocol::write(&disk, &key(), expected, record.as_bytes()).unwrap();
            let protocol::Attempt::Done(Written::Written(version)) = attempt else {
                panic!("nobody else writes")
            };
            expected = Some(version);
        }
        runs.store(false, SeqCst);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    assert!(reads > WRITES, "{reads} reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_names_of_one_directory_are_one_store() {
    const EACH: u64 = 20;
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("real")).unwrap();
    symlink("real", directory.path().join("link")).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for name in ["real/state", "link/state", "real/../link/state"] {
        let store = FileStore::new(directory.path().join(name)).unwrap();
        tasks.spawn(async move {
            let mut done = 0;
            while done < EACH {
                done += u64::from(increment(&store).await);
            }
        });
    }
    tasks.join_all().await;
    let store = FileStore::new(directory.path().join("real/state")).unwrap();
    assert_eq!(number(&store).await, Some(3 * EACH));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_make_one_client_all_find_the_same() {
    let directory = TempDir::new().unwrap();
    for round in 0..10 {
        let state = directory.path().join(round.to_string());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = FileStore::new(&state).unwrap();
            tasks.spawn(async move { while !increment(&store).await {} });
        }
        tasks.join_all().await;
        assert_eq!(number(&FileStore::new(&state).unwrap()).await, Some(8));
        let left: Vec<_> = fs::read_dir(&state).unwrap().map(Result::unwrap).collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

#[tokio::test]
async fn what_a_crashed_maker_left_behind_is_taken_over() {
    for left in [&[][..], &["record.json"], &["record.json", ".lock"]] {
        let directory = TempDir::new().unwrap();
        let prepared = directory.path().join(format!(".{}.new", name(&key())));
        fs::create_dir(&prepared).unwrap();
        // As it is before its mode is set, under a umask that takes everything away.
        fs::set_permissions(&prepared, Permissions::from_mode(0o000)).unwrap();
        if !left.is_empty() {
            fs::set_permissions(&prepared, Permissions::from_mode(0o700)).unwrap();
        }
        for name in left {
            fs::write(prepared.join(name), "{\"half").unwrap();
        }
        let store = FileStore::new(directory.path()).unwrap();
        assert!(increment(&store).await);
        assert_eq!(number(&store).await, Some(1));
        assert!(!prepared.exists());
    }
}

/// A child that outlives the write in whose middle it was started would hold its lock, if it had its descriptors.
// torture: F52
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_inherit_nothing_of_the_store() {
    let directory = TempDir::new().unwrap();
    let (store, client) = filled(&directory).await;
    let stops = Arc::new(AtomicBool::new(false));
    let (writer, stopped) = (store.clone(), stops.clone());
    let writes = tokio::spawn(async move {
        let mut writes = 0;
        while !stopped.load(SeqCst) {
            assert!(increment(&writer).await);
            writes += 1;
        }
        writes
    });
    let children = tokio::task::spawn_blocking(|| {
        let child = || Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        (0..50).map(|_| child().unwrap()).collect::<Vec<Child>>()
    });
    let mut children = children.await.unwrap();
    stops.store(true, SeqCst);
    let writes: u64 = writes.await.unwrap();
    assert!(writes > 0);
    #[cfg(target_os = "linux")]
    for child in &children {
        for descriptor in fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap() {
            let leads_to = fs::read_link(descriptor.unwrap().path()).unwrap();
            assert!(!leads_to.starts_with(directory.path()), "{}", leads_to.display());
        }
    }
    assert!(client.exists() && increment(&store).await, "the lock is free");
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
