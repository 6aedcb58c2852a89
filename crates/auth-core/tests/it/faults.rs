//! Real processes whose store fails: strace answers their system calls with errors.
//!
//! The processes are this test binary, run again: [`kill::child`](crate::kill::child) for one that starts, and [`holder`] for
//! one that has a token when the faults begin.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::kill::{DIRECTORY, authenticator, bound, client, command, has_strace, on_paths, sent};

/// Which errors each call of the store's is answered with.
const FAULTS: [(&str, &[&str]); 8] = [
    ("openat", &["EIO", "EMFILE", "EROFS", "ENOSPC"]),
    ("read", &["EIO"]),
    ("write", &["EIO", "ENOSPC", "EROFS"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("renameat", &["EIO", "ENOSPC", "EROFS"]),
    ("mkdirat", &["EIO", "ENOSPC", "EROFS"]),
    ("flock", &["EIO", "ENOLCK"]),
    ("unlinkat", &["EIO", "EROFS"]),
];

/// One start of a process whose system calls fail.
struct Started {
    directory: TempDir,
    output: Output,
    injected: usize,
}

impl Started {
    fn new(client: &str, call: &str, error: &str, when: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let log = directory.path().join("log");
        let mut program = Command::new("strace");
        program.args(["-f", "-qq", "-o"]).arg(&log).arg("-e");
        program.arg(format!("inject={call}:error={error}:when={when}"));
        on_paths(&mut program, directory.path(), client, false);
        program.arg(std::env::current_exe().unwrap());
        command(&mut program, directory.path(), "scope", 10);
        let output = program.stderr(Stdio::piped()).output().unwrap();
        let log = fs::read_to_string(log).unwrap();
        let injected = log.lines().filter(|line| line.contains("(INJECTED)")).count();
        Self { directory, output, injected }
    }

    /// What a write leaves if it ends half way.
    fn next(&self, client: &str) -> PathBuf {
        self.directory.path().join("state").join(client).join("record.json.next")
    }

    fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    fn message(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// How many requests were sent, after the next process has found no fewer of them in the ledger.
    fn sent(&self, what: &str) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sent = sent(self.directory.path());
        let next = authenticator(self.directory.path(), "scope", 10);
        let status = runtime.block_on(next.status());
        assert!(status.store_error.is_none(), "{what}: a fault damages nothing: {status}");
        let spent = status.windows[0].spent as usize;
        assert!(spent >= sent, "{what}: {sent} sent, {spent} spent");
        sent
    }
}

// torture: F49
#[test]
fn whichever_call_of_the_store_fails_the_ledger_counts_no_less_than_was_sent() {
    if !has_strace() {
        return;
    }
    let client = client();
    let (mut faults, mut stopped) = (0, 0);
    for (call, errors) in FAULTS {
        for error in errors {
            let mut points = 0;
            loop {
                let what = format!("{call} {error} {}", points + 1);
                let started = Started::new(&client, call, error, &(points + 1).to_string());
                if started.injected == 0 {
                    assert_eq!(started.code(), Some(0), "{what}: {}", started.message());
                    break;
                }
                points += 1;
                let sent = started.sent(&what);
                match started.code() {
                    Some(0) => assert_eq!(sent, 1, "{what}"),
                    Some(4) => {
                        let message = started.message();
                        assert_eq!(sent, 0, "{what}: {message}");
                        assert!(message.contains("the state directory"), "{what}: {message}");
                        assert!(
                            call == "unlinkat" || !started.next(&client).exists(),
                            "{what}: the space is given back"
                        );
                        stopped += 1;
                    }
                    code => panic!("{what}: {code:?}: {}", started.message()),
                }
            }
            assert!(points > 0, "{call} {error}: no call of the store's was reached");
            faults += points;
        }
    }
    println!("fault sweep: {faults} faults, {stopped} of them stopped the process, 0 uncounted");
    assert!(faults > 60 && stopped > 30, "{faults} faults, {stopped} stops");
}

// torture: F49
#[test]
fn while_a_call_of_the_store_fails_for_good_nothing_is_sent() {
    if !has_strace() {
        return;
    }
    let client = client();
    for (call, errors) in FAULTS {
        for error in errors {
            let what = format!("{call} {error}");
            let started = Started::new(&client, call, error, "1+");
            assert!(started.injected > 0, "{what}");
            let sent = started.sent(&what);
            if call == "unlinkat" {
                // Where nothing is to be removed, nothing fails.
                continue;
            }
            let message = started.message();
            assert_eq!((started.code(), sent), (Some(4), 0), "{what}: {message}");
            assert!(message.contains("the state directory"), "{what}: {message}");
        }
    }
}

#[test]
fn a_call_that_is_interrupted_is_made_again() {
    if !has_strace() {
        return;
    }
    let client = client();
    for call in ["openat", "read", "write", "fsync"] {
        let mut points = 0;
        loop {
            let when = (points + 1).to_string();
            let started = Started::new(&client, call, "EINTR", &when);
            let what = format!("{call} {when}: {}", started.message());
            assert_eq!((started.code(), started.sent(&what)), (Some(0), 1), "{what}");
            if started.injected == 0 {
                break;
            }
            points += 1;
        }
        assert!(points > 0, "{call}");
    }
}

// torture: F49, F52
#[test]
fn in_a_directory_that_is_read_only_nothing_is_sent_and_the_token_is_adopted() {
    let directory = TempDir::new().unwrap();
    let run = |scope: &str| {
        let mut program = Command::new(std::env::current_exe().unwrap());
        command(&mut program, directory.path(), scope, 10);
        let runs = bound(&mut program, directory.path());
        runs.then(|| program.stderr(Stdio::piped()).output().unwrap())
    };
    let Some(first) = run("scope") else { return };
    assert_eq!((first.status.code(), sent(directory.path())), (Some(0), 1));
    let state = directory.path().join("state");
    let client = fs::read_dir(&state).unwrap().next().unwrap().unwrap().path();
    let path = directory.path();
    for read_only in [&client, &state, path] {
        fs::set_permissions(read_only, Permissions::from_mode(0o500)).unwrap();
        assert_eq!(run("scope").unwrap().status.code(), Some(0), "{}", read_only.display());
    }
    let other = run("other").unwrap();
    let message = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!((other.status.code(), sent(directory.path())), (Some(4), 1), "{message}");
    assert!(message.contains("cannot be written to"), "{message}");
    for writable in [path, &state, &client] {
        fs::set_permissions(writable, Permissions::from_mode(0o700)).unwrap();
    }
}

/// Not a test of its own: a process that gets a token, waits for a line, and goes on.
#[test]
fn holder() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let holder = authenticator(Path::new(&directory), "scope", 10);
    runtime.block_on(holder.authorization()).unwrap();
    println!("HOLDS");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    runtime.block_on(async {
        for _ in 0..100 {
            holder.authorization().await.unwrap();
        }
        // One that has to be fetched spends nothing.
        let error = holder.renew().await.unwrap_err();
        assert!(error.is_store(), "{error}");
        eprintln!("{error}");
        for _ in 0..100 {
            holder.authorization().await.unwrap();
        }
    });
    std::process::exit(0);
}

// torture: F49
#[test]
fn a_token_is_served_on_while_the_store_fails() {
    if !has_strace() {
        return;
    }
    let client = client();
    for (call, error) in
        [("openat", "EMFILE"), ("write", "ENOSPC"), ("renameat", "EROFS"), ("fsync", "EIO")]
    {
        let what = format!("{call} {error}");
        let directory = TempDir::new().unwrap();
        let mut holder = Command::new(std::env::current_exe().unwrap());
        holder.args(["--exact", "faults::holder", "--nocapture", "--test-threads", "1"]);
        holder.env(DIRECTORY, directory.path());
        holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("HOLDS")), "{what}");

        let mut tracer = Command::new("strace");
        tracer.args(["-f", "-o", "/dev/null", "-e"]);
        tracer.arg(format!("inject={call}:error={error}"));
        on_paths(&mut tracer, directory.path(), &client, false);
        tracer.arg("-p").arg(holder.id().to_string());
        tracer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut tracer = tracer.spawn().unwrap();
        let mut said = String::new();
        let mut tracer_says = BufReader::new(tracer.stderr.take().unwrap());
        tracer_says.read_line(&mut said).unwrap();
        if !said.contains("attached") {
            eprintln!("SKIPPED: a process that holds a token needs strace to attach: {said}");
            holder.kill().unwrap();
            holder.wait().unwrap();
            tracer.wait().unwrap();
            return;
        }
        holder.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        let mut message = String::new();
        holder.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        assert_eq!(holder.wait().unwrap().code(), Some(0), "{what}: {message}");
        tracer.wait().unwrap();
        assert!(message.contains("the state directory"), "{what}: {message}");
        assert_eq!(sent(directory.path()), 1, "{what}");
    }
}
