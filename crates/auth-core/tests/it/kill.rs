//! Real processes over one state directory: they race for the last unit, and one is killed at every system call in turn.
//!
//! The processes are this test binary, run again for the one test [`child`]. Their issuer is a file: a request is one byte
//! appended to it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use auth_core::{Authenticator, BoxFuture, Quota, Store, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use tempfile::TempDir;

use crate::support::*;

/// Where a child finds its directory; without it, `child` is an empty test.
pub(crate) const DIRECTORY: &str = "KILL_TEST_DIRECTORY";
const SCOPE: &str = "KILL_TEST_SCOPE";
const QUOTA: &str = "KILL_TEST_QUOTA";

/// An issuer whose every request leaves a byte that no kill takes back.
struct Appending(PathBuf);

impl Transport for Appending {
    fn send(
        &self,
        _: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.0).unwrap();
        file.write_all(b".").unwrap();
        let body = r#"{"access_token":"abc","token_type":"Bearer","expires_in":86400}"#;
        Box::pin(async move { Ok(answer(200, "application/json", body)) })
    }
}

pub(crate) fn authenticator(directory: &Path, scope: &str, quota: u32) -> Authenticator {
    over(Store::file(directory.join("state")).unwrap(), directory, scope, quota)
}

fn over(store: Store, directory: &Path, scope: &str, quota: u32) -> Authenticator {
    Authenticator::builder(credentials().scope(scope))
        .store(store)
        .transport(Appending(directory.join("issuer")))
        .quota(Quota::per_day(quota))
        .build()
        .unwrap()
}

/// Not a test of its own: what the processes of the others run.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let scope = std::env::var(SCOPE).unwrap();
    let quota = std::env::var(QUOTA).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::file(directory.join("state")).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(4)
    });
    let result = runtime.block_on(over(store, &directory, &scope, quota).authorization());
    std::process::exit(match result {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("{error}");
            match (error.is_quota_exhausted(), error.is_store()) {
                (true, _) => 3,
                (_, true) => 4,
                _ => 5,
            }
        }
    });
}

pub(crate) fn command(program: &mut Command, directory: &Path, scope: &str, quota: u32) {
    program
        .args(["--exact", "kill::child", "--nocapture", "--test-threads", "1"])
        .env(DIRECTORY, directory)
        .env(SCOPE, scope)
        .env(QUOTA, quota.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}

/// Has the process run as a user whom permissions bind. Says so if there is none.
pub(crate) fn bound(program: &mut Command, directory: &Path) -> bool {
    const NOBODY: u32 = 65_534;
    let user = fs::metadata(directory).unwrap().uid();
    if user != 0 && user != NOBODY {
        return true;
    }
    let is_theirs = chown(directory, Some(NOBODY), Some(NOBODY)).is_ok();
    program.uid(NOBODY).gid(NOBODY);
    let mut probe = Command::new(std::env::current_exe().unwrap());
    probe.arg("--list").stdout(Stdio::null()).stderr(Stdio::null()).uid(NOBODY).gid(NOBODY);
    let can_run = is_theirs && probe.status().is_ok_and(|status| status.success());
    if !can_run {
        eprintln!("SKIPPED: permissions do not bind this user, and another cannot run this test");
    }
    can_run
}

/// Requests that reached the issuer.
pub(crate) fn sent(directory: &Path) -> usize {
    fs::read(directory.join("issuer")).map_or(0, |bytes| bytes.len())
}

// torture: F50
#[test]
fn sixty_four_processes_race_for_the_last_unit_and_one_gets_it() {
    let directory = TempDir::new().unwrap();
    let processes: Vec<_> = (0..64)
        .map(|number| {
            let mut program = Command::new(std::env::current_exe().unwrap());
            // A request of its own for each, so that none waits for another's flight.
            command(&mut program, directory.path(), &format!("scope-{number}"), 1);
            program.spawn().unwrap()
        })
        .collect();
    let codes: Vec<_> =
        processes.into_iter().map(|mut process| process.wait().unwrap().code()).collect();
    let with = |code| codes.iter().filter(|ended| **ended == Some(code)).count();
    assert_eq!((with(0), with(3)), (1, 63), "{codes:?}");
    assert_eq!(sent(directory.path()), 1);
}

/// Says so if it is missing.
pub(crate) fn has_strace() -> bool {
    let version = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    let has_strace = version.is_ok_and(|status| status.success());
    if !has_strace {
        eprintln!("SKIPPED: kills and faults at system calls need strace");
    }
    has_strace
}

/// What the client's subdirectory is called: learnt from a process that comes to no harm.
pub(crate) fn client() -> String {
    let whole = TempDir::new().unwrap();
    let mut program = Command::new(std::env::current_exe().unwrap());
    command(&mut program, whole.path(), "scope", 10);
    assert!(program.status().unwrap().success());
    let client =
        fs::read_dir(whole.path().join("state")).unwrap().next().unwrap().unwrap().file_name();
    client.into_string().unwrap()
}

/// Has strace meet only the calls on the store's paths, and on the issuer's.
pub(crate) fn on_paths(strace: &mut Command, directory: &Path, client: &str, issuer: bool) {
    let state = directory.join("state");
    // As they stand in the calls, and as the descriptors resolve.
    let mut paths = vec![state.clone()];
    for client in [client.to_owned(), format!(".{client}.new")] {
        paths.push(PathBuf::from(&client));
        paths.push(state.join(&client));
        paths.extend(FILES.map(|file| state.join(&client).join(file)));
    }
    paths.extend(FILES.map(PathBuf::from));
    paths.extend(issuer.then(|| directory.join("issuer")));
    for path in paths {
        strace.arg("-P").arg(path);
    }
}

const FILES: [&str; 2] = ["record.json", "record.json.next"];

/// The system calls of a spend that can leave something half done.
const CALLS: [&str; 12] = [
    "openat",
    "mkdir",
    "mkdirat",
    "write",
    "fsync",
    "rename",
    "renameat",
    "renameat2",
    "unlinkat",
    "flock",
    "fstat",
    "close",
];

// torture: F47
#[test]
fn killed_at_every_system_call_of_a_spend_the_ledger_counts_no_less_than_was_sent() {
    if !has_strace() {
        return;
    }
    let client = client();

    let (mut points, mut in_doubt) = (0, 0);
    // strace counts a call for each thread, and the main thread makes many before the store's threads make their first. So
    // all calls once, which reaches those that only the store makes, and then those on the store's and the issuer's paths.
    for on_paths in [false, true] {
        for call in CALLS {
            let (killed, doubt) = sweep(call, on_paths.then_some(&*client));
            points += killed;
            in_doubt += doubt;
        }
    }
    assert!(points > 80, "only {points} points: the sweep did not reach the store");
    println!("kill sweep: {points} points, {in_doubt} units lost to doubt, 0 uncounted");
}

/// Kills a process at the first, second, … of these calls, until one lives; how many were killed, and how many units the
/// ledger counts that were not sent.
fn sweep(call: &str, client: Option<&str>) -> (usize, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut in_doubt = 0;
    for occurrence in 1.. {
        let directory = TempDir::new().unwrap();
        let mut program = Command::new("strace");
        program.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
        program.arg(format!("inject={call}:signal=SIGKILL:when={occurrence}"));
        if let Some(client) = client {
            on_paths(&mut program, directory.path(), client, true);
        }
        program.arg(std::env::current_exe().unwrap());
        command(&mut program, directory.path(), "scope", 10);
        let status = program.status().unwrap();
        if status.signal() != Some(9) && status.code() != Some(128 + 9) {
            assert_eq!(status.code(), Some(0), "{call} {occurrence}: strace can trace here");
            return (occurrence - 1, in_doubt);
        }
        let sent = sent(directory.path());
        let next = authenticator(directory.path(), "scope", 10);
        let status = runtime.block_on(next.status());
        assert!(status.store_error.is_none(), "{call} {occurrence}: {status}");
        let spent = status.windows[0].spent as usize;
        assert!(spent >= sent, "{call} {occurrence}: {sent} sent, {spent} spent");
        in_doubt += spent - sent;
    }
    unreachable!("a process makes no end of calls")
}
