//! Threads and runtimes of one process: they race for the last unit, they share one token, and they end in the middle.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use auth_core::{
    Authenticator, BoxFuture, Error, FileStore, LedgerKey, MemoryStore, Quota, Store, StoreError,
    Stored, Version, VersionedCell, Written,
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::*;

const THREADS: usize = 8;
/// On each of them.
const CALLERS: usize = 8;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What came of all `callers`, each in a task of its own; every thread has a runtime, and all threads begin at once.
fn at_once(caller: impl Fn(usize, usize) -> Authenticator + Sync) -> Vec<Result<String, Error>> {
    let start = Barrier::new(THREADS);
    let on_thread = |thread| {
        let callers: Vec<_> = (0..CALLERS).map(|number| caller(thread, number)).collect();
        let runtime = runtime();
        start.wait();
        let results = runtime.block_on(async {
            let mut running = JoinSet::new();
            for caller in callers {
                let authorization = async move { caller.authorization().await };
                running
                    .spawn(async move { authorization.await.map(|token| text(&token).to_owned()) });
            }
            running.join_all().await
        });
        // No runtime ends before the others are done: a flight may be on it.
        start.wait();
        results
    };
    thread::scope(|scope| {
        let on_thread = &on_thread;
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || on_thread(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// One racer's way to a store: what is read first is told when everybody has read.
#[derive(Debug)]
struct AllRead<C> {
    cell: Arc<C>,
    readers: Arc<tokio::sync::Barrier>,
    has_read: AtomicBool,
}

impl<C: VersionedCell> VersionedCell for AllRead<C> {
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let stored = self.cell.read(key).await;
            if !self.has_read.swap(true, SeqCst) {
                self.readers.wait().await;
            }
            stored
        })
    }

    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        self.cell.write(key, expected, record)
    }

    fn is_durable(&self) -> bool {
        self.cell.is_durable()
    }
}

/// Two of three units are spent, and everybody wants the third. Each opens the store for itself.
fn race_for_the_last_unit<C: VersionedCell>(open: impl Fn() -> Arc<C> + Sync) {
    let issuer = Issuer::new([]);
    // A request of its own for each, so that none waits for another's flight.
    let with = |scope: String, readers: &Arc<tokio::sync::Barrier>| {
        let (readers, has_read) = (readers.clone(), AtomicBool::new(false));
        Authenticator::builder(credentials().scope(scope))
            .store(Store::new(AllRead { cell: open(), readers, has_read }))
            .transport(issuer.clone())
            .quota(Quota::per_day(3))
            .build()
            .unwrap()
    };
    let alone = Arc::new(tokio::sync::Barrier::new(1));
    for number in 0..2 {
        let early = with(format!("early-{number}"), &alone);
        runtime().block_on(early.authorization()).unwrap();
    }
    let all = Arc::new(tokio::sync::Barrier::new(THREADS * CALLERS));
    let results = at_once(|thread, number| with(format!("scope-{thread}-{number}"), &all));
    let won = results.iter().filter(|result| result.is_ok()).count();
    let exhausted =
        results.iter().filter(|result| result.as_ref().is_err_and(Error::is_quota_exhausted));
    assert_eq!((won, exhausted.count()), (1, THREADS * CALLERS - 1), "{results:?}");
    assert_eq!(issuer.requests(), 3);
}

// torture: F50
#[test]
fn runtimes_race_for_the_last_unit_of_a_directory_and_one_caller_gets_it() {
    let directory = TempDir::new().unwrap();
    race_for_the_last_unit(|| Arc::new(FileStore::new(directory.path()).unwrap()));
}

// torture: F50
#[test]
fn runtimes_race_for_the_last_unit_in_memory_and_one_caller_gets_it() {
    let store = Arc::new(MemoryStore::new());
    race_for_the_last_unit(|| store.clone());
}

/// All callers of all runtimes have the one handle.
fn share_one_handle(store: Store) {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone())]);
    let shared =
        Authenticator::builder(credentials()).store(store).transport(issuer.clone()).build();
    let shared = shared.unwrap();
    let results = thread::scope(|scope| {
        let results = scope.spawn(|| at_once(|_, _| shared.clone()));
        // The answer comes when callers wait for it.
        runtime().block_on(issuer.arrivals(1));
        gate.notify_one();
        results.join().unwrap()
    });
    assert_eq!(results.len(), THREADS * CALLERS);
    assert!(
        results.iter().all(|result| result.as_ref().is_ok_and(|token| token == "Bearer token-1")),
        "{results:?}"
    );
    assert_eq!(issuer.requests(), 1);
    let status = runtime().block_on(shared.status());
    assert_eq!((status.windows[0].spent, status.token.unwrap().generation.get()), (1, 1));
}

// torture: A1, A9
#[test]
fn runtimes_that_share_one_handle_make_one_token_request() {
    let directory = TempDir::new().unwrap();
    share_one_handle(Store::file(directory.path()).unwrap());
    share_one_handle(Store::new(MemoryStore::new()));
}

// torture: A5
#[test]
fn a_flight_whose_runtime_is_shut_down_is_counted_at_the_next_start() {
    let directory = TempDir::new().unwrap();
    let issuer = Issuer::new([Step::Hang]);
    let start = |scope: &str, clock: &SharedClock| {
        Authenticator::builder(credentials().scope(scope))
            .store(Store::file(directory.path()).unwrap())
            .transport(issuer.clone())
            .clock(clock.clone())
            .quota(Quota::per_day(2))
            .build()
            .unwrap()
    };
    let first = runtime();
    first.block_on(async {
        caller(&start("one", &SharedClock::new()));
        issuer.arrivals(1).await;
    });
    drop(first);

    let next = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    next.block_on(async {
        let clock = SharedClock::new();
        let one = start("one", &clock);
        assert_eq!(one.status().await.windows[0].spent, 1);
        // The flight of the last start is waited for, and given up.
        let error = one.authorization().await.unwrap_err();
        assert!(error.to_string().contains("ended before"), "{error}");
        tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
        one.authorization().await.unwrap();
        assert_eq!(one.status().await.windows[0].spent, 2);
        assert!(start("two", &clock).authorization().await.unwrap_err().is_quota_exhausted());
    });
    assert_eq!(issuer.requests(), 2);
}
