//! What it costs that a ledger outlives its process, in a directory of the file system that the build directory is on.
//!
//! - `spend`: a token request, from the call of `renew` to the moment at which its first byte may leave, and to the token. The
//!   issuer answers at once. The baseline is one file of the same size, written, synced, renamed, and its directory synced.
//! - `adopt`: a fresh authenticator takes the token that another process left, from its builder to the `Authorization`. The
//!   baseline reads the same file.
//! - `full`: the same, `status`, and a spend, over a file with as many spends in it as a quota can have in a day, which were
//!   made at even intervals over the day before.
//!
//! Read the ratios: the times are those of one disk. How many syncs the write of a record takes is the kernel's to say; the last
//! lines print how many writes there were, and a fresh directory has syncs of its own:
//! `strace -f -c -e trace=fsync,fdatasync target/release/deps/durable-… --bench spend`
//!
//! `cargo bench -p benches --bench durable`, and with `-- full` one of the cases. Without `--bench`, as `cargo test --benches`
//! runs it, each case runs a few times only.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use auth_core::{
    Authenticator, BootId, BootTime, BoxFuture, Builder, Clock, FileStore, MemoryStore, Now, Quota,
    Store, SystemClock, Timestamp, Transport, TransportError, VersionedCell, Written,
};
use benches::clock::now;
use benches::credential::{self, Issuer};
use benches::stats;
use benches::store::Seen;
use bytes::Bytes;
use http::{Request, Response};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const DAY: Duration = Duration::from_secs(86_400);
/// The largest quota that there is.
const LIMIT: u32 = 10_000;
/// Before each directory is left for a fresh one, as a day's quota of the issuer's may be.
const SPENDS: usize = 10;
/// Filling a ledger takes no longer than this, and says how far it came.
const FILLING: Duration = Duration::from_secs(120);

/// How often the cases run.
struct Scale {
    directories: usize,
    openings: usize,
    spends: u32,
}

const WHOLE: Scale = Scale { directories: 50, openings: 200, spends: LIMIT };
const QUICK: Scale = Scale { directories: 1, openings: 2, spends: 30 };

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let scale = if arguments.iter().any(|argument| argument == "--bench") { WHOLE } else { QUICK };
    let named = arguments.iter().find(|argument| !argument.starts_with('-'));
    let bench = Bench::new();
    println!("in {PLACE}");
    for (name, case) in [
        ("spend", Bench::spend as fn(&Bench, &Scale)),
        ("adopt", Bench::adopt),
        ("full", Bench::full),
    ] {
        if named.is_none_or(|named| named == name) {
            case(&bench, &scale);
        }
    }
    println!("writes of a record: {}", bench.writes.load(Relaxed));
    println!("writes of the baseline, of two syncs each: {}", bench.plain_writes.load(Relaxed));
}

/// Not the system's directory for temporary files, which is often memory.
const PLACE: &str = env!("CARGO_TARGET_TMPDIR");

struct Bench {
    runtime: Runtime,
    asked: Asked,
    writes: Arc<AtomicUsize>,
    plain_writes: AtomicUsize,
}

impl Bench {
    fn new() -> Self {
        Self {
            runtime: credential::runtime(),
            asked: Asked { issuer: Issuer::new(), at: Arc::default() },
            writes: Arc::default(),
            plain_writes: AtomicUsize::new(0),
        }
    }

    fn spend(&self, scale: &Scale) {
        let (mut sent, mut done, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..scale.directories {
            let directory = directory_of_its_own();
            self.spends(directory.path(), &mut sent, &mut done, &mut plain);
        }
        print("spend, to the first byte", &sent, "a plain write", &plain);
        print("spend, to the token", &done, "a plain write", &plain);
    }

    /// Some spends by one authenticator, and as many writes of a file that is as large as the record then is.
    fn spends(
        &self,
        directory: &Path,
        sent: &mut Vec<Duration>,
        done: &mut Vec<Duration>,
        plain: &mut Vec<Duration>,
    ) {
        let authenticator = self.authenticator(directory);
        // The first token of a process may be another's.
        self.runtime.block_on(authenticator.authorization()).expect("a token");
        for _ in 0..SPENDS {
            let requests = self.asked.issuer.requests();
            let (_, length) = timed(|| {
                let started = now();
                self.runtime.block_on(authenticator.renew()).expect("a token");
                sent.push(self.asked.at() - started);
            });
            done.push(length);
            assert_eq!(self.asked.issuer.requests(), requests + 1);
        }
        let bytes = fs::read(record(directory)).expect("a record");
        let other = directory_of_its_own();
        for _ in 0..SPENDS {
            let ((), length) = timed(|| plain_write(other.path(), &bytes));
            plain.push(length);
            self.plain_writes.fetch_add(1, Relaxed);
        }
    }

    fn adopt(&self, scale: &Scale) {
        let directory = directory_of_its_own();
        self.runtime.block_on(self.authenticator(directory.path()).renew()).expect("a token");
        self.open("adopt", directory.path(), scale);
    }

    fn full(&self, scale: &Scale) {
        let directory = directory_of_its_own();
        let room = u32::try_from(SPENDS).expect("a few");
        self.fill(directory.path(), scale.spends - room);
        let status = self.runtime.block_on(self.authenticator(directory.path()).status());
        let bytes = fs::metadata(record(directory.path())).expect("a record").len();
        println!("full: {} spends, {bytes} bytes", status.windows[0].spent);
        self.open("full, adopt", directory.path(), scale);

        let mut statuses = Vec::new();
        for _ in 0..scale.openings {
            let authenticator = self.authenticator(directory.path());
            let (status, length) = timed(|| self.runtime.block_on(authenticator.status()));
            assert!(status.store_error.is_none() && status.windows[0].spent > 0, "{status}");
            statuses.push(length);
        }
        print_alone("full, first status", &statuses);
        let (mut sent, mut done, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        self.spends(directory.path(), &mut sent, &mut done, &mut plain);
        print("full, spend, to the first byte", &sent, "a plain write", &plain);
        print("full, spend, to the token", &done, "a plain write", &plain);
    }

    /// Fresh authenticators that find a token.
    fn open(&self, name: &str, directory: &Path, scale: &Scale) {
        let (mut adopted, mut plain) = (Vec::new(), Vec::new());
        let requests = self.asked.issuer.requests();
        for _ in 0..scale.openings {
            let (_, length) = timed(|| {
                let authenticator = self.authenticator(directory);
                self.runtime.block_on(authenticator.authorization()).expect("a token")
            });
            adopted.push(length);
            let record = record(directory);
            let (_, length) = timed(|| fs::read(record).expect("a record"));
            plain.push(length);
        }
        assert_eq!(self.asked.issuer.requests(), requests, "all are adopted");
        print(name, &adopted, "a plain read", &plain);
    }

    /// Spends of the last day, which were made in memory, and then put down.
    fn fill(&self, directory: &Path, spends: u32) {
        let (memory, clock) = (Seen::new(MemoryStore::new(), Arc::default()), Behind::default());
        let builder = self.builder().store(Store::new(memory.clone())).clock(clock.clone());
        let authenticator = builder.build().expect("the settings are good");
        let mut filling = Duration::ZERO;
        for spend in 0..spends {
            if filling > FILLING {
                println!("full: filled for {} s, and not to the end", FILLING.as_secs());
                break;
            }
            clock.set(DAY / spends * (spends - 1 - spend));
            let (renewed, length) = timed(|| self.runtime.block_on(authenticator.renew()));
            renewed.expect("a token");
            filling += length;
        }
        let (key, _) = memory.last().expect("it was asked");
        let stored = self.runtime.block_on(memory.read(&key)).expect("memory does not fail");
        let record = stored.expect("it was written").record;
        let files = FileStore::new(directory).expect("a directory");
        let written = self.runtime.block_on(files.write(&key, None, record)).expect("a write");
        assert!(matches!(written, Written::Written(_)));
    }

    fn authenticator(&self, directory: &Path) -> Authenticator {
        let files = FileStore::new(directory).expect("a directory");
        let store = Store::new(Seen::new(files, self.writes.clone()));
        self.builder().store(store).build().expect("the settings are good")
    }

    fn builder(&self) -> Builder {
        let builder = credential::builder(&self.asked.issuer).transport(self.asked.clone());
        builder.quota(Quota::per_day(LIMIT))
    }
}

fn directory_of_its_own() -> TempDir {
    TempDir::new_in(PLACE).expect("a directory")
}

/// The only record in a state directory.
fn record(directory: &Path) -> PathBuf {
    let client = fs::read_dir(directory).expect("a directory").next().expect("a client");
    client.expect("a client").path().join("record.json")
}

fn plain_write(directory: &Path, bytes: &[u8]) {
    let next = directory.join("plain.next");
    let mut file = File::create(&next).expect("a file");
    file.write_all(bytes).expect("a write");
    file.sync_all().expect("a sync");
    fs::rename(next, directory.join("plain")).expect("a rename");
    File::open(directory).expect("a directory").sync_all().expect("a sync");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = now();
    let result = work();
    (result, started.elapsed())
}

/// In milliseconds.
fn quantile(lengths: &[Duration], share: f64) -> f64 {
    let millis: Vec<_> = lengths.iter().map(|length| length.as_secs_f64() * 1000.0).collect();
    stats::quantile(&millis, share)
}

fn print_alone(name: &str, lengths: &[Duration]) {
    println!(
        "{name}: p50 {:.3} ms, p99 {:.3} ms, {} times",
        quantile(lengths, 0.5),
        quantile(lengths, 0.99),
        lengths.len()
    );
}

fn print(name: &str, lengths: &[Duration], baseline: &str, plain: &[Duration]) {
    print_alone(name, lengths);
    println!(
        "  ratio to {baseline}: p50 {:.2}, p99 {:.2} ({:.3} ms, {:.3} ms)",
        quantile(lengths, 0.5) / quantile(plain, 0.5),
        quantile(lengths, 0.99) / quantile(plain, 0.99),
        quantile(plain, 0.5),
        quantile(plain, 0.99)
    );
}

/// The issuer of this process, and when it was asked last.
#[derive(Clone, Debug)]
struct Asked {
    issuer: Arc<Issuer>,
    at: Arc<Mutex<Option<Instant>>>,
}

impl Asked {
    fn at(&self) -> Instant {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).expect("it was asked")
    }
}

impl Transport for Asked {
    fn send(
        &self,
        request: Request<Bytes>,
        within: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now());
        self.issuer.send(request, within)
    }
}

/// The clocks of an earlier boot, as far behind as they were last set.
#[derive(Clone, Debug)]
struct Behind {
    boot: BootId,
    millis: Arc<AtomicI64>,
}

impl Default for Behind {
    fn default() -> Self {
        Self { boot: BootId::random(), millis: Arc::default() }
    }
}

impl Behind {
    fn set(&self, length: Duration) {
        self.millis.store(i64::try_from(length.as_millis()).expect("a day at most"), Relaxed);
    }
}

impl Clock for Behind {
    fn coarse(&self) -> Timestamp {
        Timestamp::from_millis(
            SystemClock::default().coarse().as_millis() - self.millis.load(Relaxed),
        )
    }

    fn now(&self) -> Now {
        let wall = self.coarse();
        // Some clock that runs as the wall clock does.
        let boot = BootTime { id: self.boot, millis: wall.as_millis().unsigned_abs() };
        Now { wall, boot }
    }
}
