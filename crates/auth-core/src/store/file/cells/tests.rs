//! Writes that nobody waits for, or whose last sync fails, on a disk that stalls.

use std::sync::mpsc::{Receiver, Sender};

use tokio_test::{assert_pending, task};

use super::super::simulated::{Bug, End, Fate, Simulated};
use super::*;

/// Only a test that fails waits as long as that.
const PATIENCE: Duration = Duration::from_secs(20);

fn key() -> LedgerKey {
    LedgerKey::new("https://issuer.example/oauth/token", "client")
}

/// With one record in it.
async fn cells() -> (Arc<Cells<Simulated>>, Version) {
    let disk = Simulated::new(0, Bug::None, None);
    disk.start(None);
    let cells = Arc::new(Cells::new(disk));
    let Written::Written(first) = cells.write(&key(), None, b"1".to_vec()).await.unwrap() else {
        panic!("the first write")
    };
    (cells, first)
}

/// A write over the first record, in the middle of its last sync.
async fn stalled(
    cells: &Arc<Cells<Simulated>>,
    over: Version,
) -> (tokio::task::JoinHandle<Result<Written, StoreError>>, Sender<Fate>) {
    let (has_begun, tell) = cells.disk.stall();
    let writer = cells.clone();
    let write = tokio::spawn(async move { writer.write(&key(), Some(over), b"2".to_vec()).await });
    received(has_begun).await;
    (write, tell)
}

async fn received(has_begun: Receiver<()>) {
    let received = tokio::task::spawn_blocking(move || has_begun.recv_timeout(PATIENCE));
    received.await.unwrap().expect("a sync begins");
}

/// What a read shows when the power is back.
fn after_a_power_cut(cells: &Cells<Simulated>) -> Vec<u8> {
    cells.disk.end(End::PowerCut);
    cells.disk.start(None);
    protocol::read(&*cells.disk, &key()).unwrap().unwrap().record
}

// torture: F48
#[tokio::test]
async fn a_read_shows_nothing_of_an_abandoned_write_before_it_is_durable() {
    let (cells, first) = cells().await;
    let (write, tell) = stalled(&cells, first).await;
    // As a deadline does it.
    write.abort();
    assert!(write.await.unwrap_err().is_cancelled());
    let key = key();
    let mut read = task::spawn(cells.read(&key));
    for _ in 0..100 {
        assert_pending!(read.poll());
        // Long enough for any other read.
        let disk = cells.disk.clone();
        let other = tokio::task::spawn_blocking(move || {
            protocol::read(&*disk, &self::key()).unwrap().unwrap()
        });
        other.await.unwrap();
    }
    tell.send(Fate::Succeeds).unwrap();
    assert_eq!(read.await.unwrap().unwrap().record, b"2");
    assert_eq!(after_a_power_cut(&cells), b"2");
}

// torture: F48
#[tokio::test]
async fn what_a_failed_sync_left_in_doubt_is_written_anew_before_it_is_shown() {
    for is_abandoned in [false, true] {
        let (cells, first) = cells().await;
        let (write, tell) = stalled(&cells, first).await;
        if is_abandoned {
            write.abort();
            assert!(write.await.unwrap_err().is_cancelled());
            tell.send(Fate::Fails).unwrap();
        } else {
            tell.send(Fate::Fails).unwrap();
            assert_eq!(write.await.unwrap().unwrap(), Written::Unknown);
        }
        let before = cells.disk.syncs();
        let shown = cells.read(&key()).await.unwrap().unwrap();
        assert_eq!(shown.record, b"2");
        assert!(cells.disk.syncs() - before >= 2);

        let before = cells.disk.syncs();
        let again = cells.read(&key()).await.unwrap().unwrap();
        assert_eq!((again.version, cells.disk.syncs()), (shown.version, before));
        assert_eq!(after_a_power_cut(&cells), b"2");
    }
}

#[tokio::test]
async fn while_the_doubt_cannot_be_resolved_a_read_fails() {
    let (cells, first) = cells().await;
    let (write, tell) = stalled(&cells, first).await;
    tell.send(Fate::Fails).unwrap();
    assert_eq!(write.await.unwrap().unwrap(), Written::Unknown);
    for _ in 0..3 {
        let (has_begun, tell) = cells.disk.stall();
        let reader = cells.clone();
        let read = tokio::spawn(async move { reader.read(&key()).await });
        received(has_begun).await;
        tell.send(Fate::Fails).unwrap();
        let error = read.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("cannot be synced"), "{error}");
    }
    assert_eq!(cells.read(&key()).await.unwrap().unwrap().record, b"2");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stands_still_is_an_error_after_four_seconds() {
    let (cells, first) = cells().await;
    let (write, tell) = stalled(&cells, first).await;
    let began = tokio::time::Instant::now();
    let key = key();
    let mut read = task::spawn(cells.read(&key));
    assert_pending!(read.poll());
    // Time does not move by itself while there is blocking work.
    tokio::time::advance(LOCK).await;
    let error = read.await.unwrap_err();
    assert!(error.to_string().contains("stand still"), "{error}");
    assert_eq!(began.elapsed(), LOCK);
    tell.send(Fate::Succeeds).unwrap();
    assert!(matches!(write.await.unwrap().unwrap(), Written::Written(_)));
}

/// One that was begun goes on without its runtime. One that was not may still begin, but not after a read.
#[test]
fn a_write_whose_runtime_is_gone_is_waited_for_all_the_same() {
    let one_at_a_time = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap()
    };
    let next = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (cells, first) = next.block_on(cells());
    let (has_begun, tell) = cells.disk.stall();
    let runtime = one_at_a_time();
    let writer = cells.clone();
    runtime.spawn(async move { writer.write(&key(), Some(first), b"2".to_vec()).await });
    has_begun.recv_timeout(PATIENCE).unwrap();
    // Behind the first, which has the only thread.
    let another = LedgerKey::new("https://issuer.example/oauth/token", "another");
    let (writer, queued) = (cells.clone(), another.clone());
    let gate = cells.gate(&another);
    runtime.spawn(async move { writer.write(&queued, None, b"3".to_vec()).await });
    while gate.try_read().is_ok() {
        std::thread::yield_now();
    }
    runtime.shutdown_background();

    next.block_on(async {
        let of_another = cells.read(&another).await.unwrap().map(|stored| stored.version);
        let key = key();
        let mut read = task::spawn(cells.read(&key));
        assert_pending!(read.poll());
        tell.send(Fate::Succeeds).unwrap();
        assert_eq!(read.await.unwrap().unwrap().record, b"2");
        let still = cells.read(&another).await.unwrap().map(|stored| stored.version);
        assert_eq!(still, of_another);
    });
}
