//! The durable store: what it keeps, and what it refuses.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use auth_core::{
    Authenticator, BoxFuture, FileStore, LedgerKey, MemoryStore, Store, StoreError, Stored,
    Version, VersionedCell, Written, conformance,
};
use tempfile::TempDir;

use crate::kill::{bound, command};
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_keep_the_contract_of_a_store() {
    let directory = TempDir::new().unwrap();
    conformance(Arc::new(FileStore::new(directory.path()).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_the_contract_of_a_store() {
    conformance(Arc::new(MemoryStore::new())).await;
}

/// A store that only says that it has replaced a record.
#[derive(Debug, Default)]
struct Pretending(Plain);

impl VersionedCell for Pretending {
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.0.read(key)
    }

    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        self.0.write(key, expected, record)
    }

    fn replace<'a>(
        &'a self,
        _: &'a LedgerKey,
        _: Vec<u8>,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        Box::pin(async { Ok("0f".repeat(16).parse().unwrap()) })
    }

    fn is_durable(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_store_need_not_be_able_to_replace_a_record() {
    conformance(Arc::new(Plain::default())).await;
}

#[tokio::test]
#[should_panic(expected = "what replaced a record is there")]
async fn a_store_that_only_says_that_it_replaced_a_record_is_found_out() {
    conformance(Arc::new(Pretending::default())).await;
}

#[tokio::test]
async fn a_restart_finds_the_token_and_the_budget() {
    let directory = TempDir::new().unwrap();
    let (issuer, clock) = (Issuer::new([]), SharedClock::new());
    for _ in 0..20 {
        let restarted = process(directory.path(), &issuer, &clock);
        assert_eq!(text(&restarted.authorization().await.unwrap()), "Bearer token-1");
        let status = restarted.status().await;
        assert_eq!((status.windows[0].spent, status.kept_over_restarts), (1, true));
    }
    assert_eq!(issuer.requests(), 1);
}

// torture: C22
#[tokio::test]
async fn another_secret_neither_reads_nor_takes_the_token() {
    let directory = TempDir::new().unwrap();
    let (issuer, clock) = (Issuer::new([]), SharedClock::new());
    process(directory.path(), &issuer, &clock).authorization().await.unwrap();
    let rotated = auth_core::ClientCredentials::new("client", "another-secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example");
    let rotated = Authenticator::builder(rotated)
        .store(Store::file(directory.path()).unwrap())
        .transport(issuer.clone())
        .clock(clock)
        .build()
        .unwrap();
    assert_eq!(text(&rotated.authorization().await.unwrap()), "Bearer token-2");
    assert_eq!(
        rotated.status().await.windows[0].spent,
        2,
        "one ledger: the issuer counts the client"
    );
}

// torture: E45
#[tokio::test]
async fn files_are_the_owners_alone_and_hold_no_secret() {
    let directory = TempDir::new().unwrap();
    let (issuer, clock) = (Issuer::new([]), SharedClock::new());
    let named = directory.path().join("state/of/this/program");
    process(&named, &issuer, &clock).authorization().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let record = record(&named);
    assert_eq!(
        (mode(&record), mode(record.parent().unwrap()), mode(&named)),
        (0o600, 0o700, 0o700)
    );
    let text = fs::read_to_string(&record).unwrap();
    assert!(
        text.contains("sealed") && !text.contains("token-1") && !text.contains(SECRET),
        "{text}"
    );
}

// torture: E45
#[test]
fn files_are_the_owners_alone_whatever_the_umask() {
    for umask in ["000", "077", "277", "777"] {
        let directory = TempDir::new().unwrap();
        for start in 1..=2 {
            let mut program = Command::new("sh");
            program.args(["-c", "umask \"$0\" && exec \"$@\"", umask]);
            program.arg(std::env::current_exe().unwrap());
            command(&mut program, directory.path(), "scope", 10);
            if !bound(&mut program, directory.path()) {
                return;
            }
            assert_eq!(program.status().unwrap().code(), Some(0), "umask {umask}, start {start}");
        }
        let state = directory.path().join("state");
        let record = record(&state);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&record), mode(record.parent().unwrap()), mode(&state)),
            (0o600, 0o700, 0o700),
            "umask {umask}"
        );
    }
}

/// Nothing is spent, and the error names `problem`.
async fn refuses(directory: &Path, problem: &str) {
    let (issuer, clock) = (Issuer::new([]), SharedClock::new());
    let error = match Store::file(directory) {
        Err(error) => error.to_string(),
        Ok(_) => {
            let error = process(directory, &issuer, &clock).authorization().await.unwrap_err();
            assert!(error.is_store(), "{error}");
            error.to_string()
        }
    };
    assert!(error.contains(problem) && error.contains(&*directory.to_string_lossy()), "{error}");
    assert_eq!(issuer.requests(), 0);
}

// torture: E45
#[tokio::test]
async fn what_cannot_be_trusted_is_refused_with_what_to_do() {
    let scratch = TempDir::new().unwrap();
    let directory = |name: &str| {
        let path = scratch.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let filled = |name: &'static str| {
        let path = directory(name);
        async move {
            process(&path, &Issuer::new([]), &SharedClock::new()).authorization().await.unwrap();
            let record = record(&path);
            (path, record)
        }
    };

    let open = directory("open");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    refuses(&open, "chmod go-w").await;
    let link = scratch.path().join("link");
    symlink(directory("target"), &link).unwrap();
    refuses(&link, "symbolic link").await;
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    refuses(&file, "cannot be made").await;

    let (path, record) = filled("linked-record").await;
    fs::rename(&record, record.with_extension("moved")).unwrap();
    symlink(record.with_extension("moved"), &record).unwrap();
    refuses(&path, "symbolic link").await;
    let (path, record) = filled("hard-linked-record").await;
    fs::hard_link(&record, scratch.path().join("second-name")).unwrap();
    refuses(&path, "plain file").await;
    let (path, record) = filled("fifo").await;
    fs::remove_file(&record).unwrap();
    assert!(Command::new("mkfifo").arg(&record).status().unwrap().success());
    fs::set_permissions(&record, Permissions::from_mode(0o600)).unwrap();
    refuses(&path, "plain file").await;
    let (path, record) = filled("readable-record").await;
    fs::set_permissions(&record, Permissions::from_mode(0o644)).unwrap();
    refuses(&path, "chmod 0600").await;
    let (path, record) = filled("open-subdirectory").await;
    fs::set_permissions(record.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    refuses(&path, "chmod 0700").await;
}

// torture: C23, F52
#[tokio::test]
async fn a_damaged_or_lost_record_is_no_fresh_budget() {
    for (name, damage) in [
        ("truncated", (|text: &str| text[..text.len() / 2].to_owned()) as fn(&str) -> String),
        ("empty", |_| String::new()),
        ("garbage", |_| "garbage".to_owned()),
        ("newer", |text| text.replace("\"schema\":1", "\"schema\":99")),
        ("foreign", |text| text.replace("issuer.example", "other.example")),
    ] {
        let directory = TempDir::new().unwrap();
        let (issuer, clock) = (Issuer::new([]), SharedClock::new());
        let running = process(directory.path(), &issuer, &clock);
        running.authorization().await.unwrap();
        let record = record(directory.path());
        fs::write(&record, damage(&fs::read_to_string(&record).unwrap())).unwrap();

        let restarted = process(directory.path(), &issuer, &clock);
        let error = restarted.authorization().await.unwrap_err();
        assert!(error.is_store(), "{name}: {error}");
        assert_eq!(
            text(&running.authorization().await.unwrap()),
            "Bearer token-1",
            "{name}: served on"
        );
        assert_eq!(issuer.requests(), 1, "{name}");
    }

    let directory = TempDir::new().unwrap();
    process(directory.path(), &Issuer::new([]), &SharedClock::new()).authorization().await.unwrap();
    fs::remove_file(record(directory.path())).unwrap();
    refuses(directory.path(), "record is gone").await;
}

#[tokio::test]
async fn a_record_that_is_deleted_or_restored_under_a_running_process_fails_closed() {
    let directory = TempDir::new().unwrap();
    let (issuer, clock) = (Issuer::new((0..9).map(|_| Step::Token(60))), SharedClock::new());
    let running = process(directory.path(), &issuer, &clock);
    running.authorization().await.unwrap();
    let path = record(directory.path());
    let backup = fs::read(&path).unwrap();
    clock.0.suspend(Duration::from_secs(60));
    running.authorization().await.unwrap();
    assert_eq!(issuer.requests(), 2);

    fs::write(&path, backup).unwrap();
    clock.0.suspend(Duration::from_secs(60));
    let error = running.authorization().await.unwrap_err();
    assert!(error.is_store() && error.to_string().contains("old copy"), "{error}");
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    clock.0.suspend(Duration::from_secs(2));
    let error = running.authorization().await.unwrap_err();
    assert!(error.is_store() && error.to_string().contains("gone"), "{error}");
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn what_a_crashed_writer_left_behind_is_in_nobodys_way() {
    let directory = TempDir::new().unwrap();
    let (issuer, clock) = (Issuer::new([]), SharedClock::new());
    process(directory.path(), &issuer, &clock).authorization().await.unwrap();
    let left = record(directory.path()).with_extension("json.next");
    fs::write(&left, "half a rec").unwrap();
    clock.0.suspend(DAY);
    process(directory.path(), &issuer, &clock).authorization().await.unwrap();
    assert!(!left.exists());
}
