//! Real processes over one state directory: they race for the last unit, and one is killed at every system call in turn.
//!
//! The processes are this test binary, run again for the one test [`child`]. Their issuer is a file: a request is one byte
//! appended to it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use auth_core::{Authenticator, BoxFuture, Quota, Store, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use tempfile::TempDir;

use crate::support::*;

/// Where a child finds its directory; without it, `child` is an empty test.
const DIRECTORY: &str = "KILL_TEST_DIRECTORY";
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

fn authenticator(directory: &Path, scope: &str, quota: u32) -> Authenticator {
    Authenticator::builder(credentials().scope(scope))
        .store(Store::file(directory.join("state")).unwrap())
        .transport(Appending(directory.join("issuer")))
        .quota(Quota::per_day(quota))
        .build()
        .unwrap()
}

/// Not a test of its own: what the processes of the others run.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let scope = std::env::var(SCOPE).unwrap();
    let quota = std::env::var(QUOTA).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result =
        runtime.block_on(authenticator(Path::new(&directory), &scope, quota).authorization());
    // Exit codes are all that the parent reads.
    std::process::exit(match result {
        Ok(_) => 0,
        Err(error) if error.is_quota_exhausted() => 3,
        Err(_) => 4,
    });
}

fn command(program: &mut Command, directory: &Path, scope: &str, quota: u32) {
    program
        .args(["--exact", "kill::child", "--nocapture", "--test-threads", "1"])
        .env(DIRECTORY, directory)
        .env(SCOPE, scope)
        .env(QUOTA, quota.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}

/// Requests that reached the issuer.
fn sent(directory: &Path) -> usize {
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
    if !Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("SKIPPED: the kill sweep needs strace");
        return;
    }
    // Once without a kill, to learn what the client's subdirectory is called.
    let whole = TempDir::new().unwrap();
    let mut program = Command::new(std::env::current_exe().unwrap());
    command(&mut program, whole.path(), "scope", 10);
    assert!(program.status().unwrap().success());
    let client =
        fs::read_dir(whole.path().join("state")).unwrap().next().unwrap().unwrap().file_name();
    let client = client.into_string().unwrap();

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
            let state = directory.path().join("state");
            let record = state.join(client).join("record.json");
            let next = state.join(client).join("record.json.next");
            // As they stand in the calls, and as the descriptors resolve.
            for path in [Path::new("record.json"), Path::new("record.json.next"), Path::new(client)]
            {
                program.arg("-P").arg(path);
            }
            for path in
                [&state, &state.join(client), &record, &next, &directory.path().join("issuer")]
            {
                program.arg("-P").arg(path);
            }
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
