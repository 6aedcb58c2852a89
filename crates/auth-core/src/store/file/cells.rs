//! The file work of one store, off the async threads, and what this process itself has left in doubt.
//!
//! A write that nobody waits for any more goes on, and one whose last sync failed can be read all the same. So a read waits
//! for the writes of its own process, and makes durable what one of them left in doubt: whoever sees its spend in the record
//! may send. What other processes have left in doubt is nothing that this one sends on.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::RwLock;
use tokio::time::{sleep, timeout};

use super::super::cell::{LedgerKey, StoreError, Stored, Written};
use super::disk::Disk;
use super::protocol::{self, Attempt};
use crate::id::{Version, random_bytes};

/// How long a write waits for the lock of another.
const LOCK: Duration = Duration::from_secs(4);

/// How often it looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Held by the file work itself, which outlives whoever asked for it. The value says that a write of this process may have
/// left something that is not durable.
type Gate = Arc<RwLock<bool>>;

#[derive(Debug)]
pub(super) struct Cells<D> {
    disk: Arc<D>,
    gates: Mutex<HashMap<LedgerKey, Gate>>,
}

impl<D: Disk> Cells<D> {
    pub(super) fn new(disk: D) -> Self {
        Self { disk: Arc::new(disk), gates: Mutex::default() }
    }

    pub(super) async fn read(&self, key: &LedgerKey) -> Result<Option<Stored>, StoreError> {
        let in_doubt = timeout(LOCK, self.gate(key).read_owned()).await;
        let in_doubt = in_doubt.map_err(|_| self.stuck())?;
        if *in_doubt {
            drop(in_doubt);
            return self
                .locked(key, |disk, key, in_doubt| {
                    let attempt = protocol::confirm(disk, key);
                    *in_doubt &= !matches!(attempt, Ok(Attempt::Done(_)));
                    attempt
                })
                .await;
        }
        let (disk, key) = (self.disk.clone(), key.clone());
        let work = move || {
            let _held = in_doubt;
            protocol::read(&*disk, &key)
        };
        blocking(work).await
    }

    pub(super) async fn write(
        &self,
        key: &LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> Result<Written, StoreError> {
        self.locked(key, move |disk, key, in_doubt| {
            doubting(in_doubt, || protocol::write(disk, key, expected, &record))
        })
        .await
    }

    pub(super) async fn replace(
        &self,
        key: &LedgerKey,
        record: Vec<u8>,
    ) -> Result<Version, StoreError> {
        let written = self.locked(key, move |disk, key, in_doubt| {
            doubting(in_doubt, || protocol::replace(disk, key, &record))
        });
        match written.await? {
            Written::Written(version) => Ok(version),
            Written::Conflict | Written::Unknown => Err(self
                .disk
                .error("cannot be synced: the record may be replaced or not; try again")),
        }
    }

    /// Tries until no other process holds the lock.
    async fn locked<T: Send + 'static>(
        &self,
        key: &LedgerKey,
        work: impl Fn(&D, &LedgerKey, &mut bool) -> Result<Attempt<T>, StoreError>
        + Send
        + Sync
        + 'static,
    ) -> Result<T, StoreError> {
        let work = Arc::new(work);
        let mut waited = Duration::ZERO;
        let mut pause = LOOK.0;
        loop {
            let in_doubt = timeout(LOCK, self.gate(key).write_owned()).await;
            let mut in_doubt = in_doubt.map_err(|_| self.stuck())?;
            let (disk, key, work) = (self.disk.clone(), key.clone(), work.clone());
            match blocking(move || work(&disk, &key, &mut in_doubt)).await? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Locked if waited < LOCK => {
                    let jitter = Duration::from_micros(u64::from(random_bytes::<1>()[0]) * 4);
                    sleep(pause + jitter).await;
                    waited += pause;
                    pause = (pause * 2).min(LOOK.1);
                }
                Attempt::Locked => {
                    let problem =
                        "another process has held the lock of the record for 4 s; is it stopped?";
                    return Err(self.disk.error(problem));
                }
            }
        }
    }

    fn gate(&self, key: &LedgerKey) -> Gate {
        // One call on the map: a poisoned lock is as good as new.
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(key.clone()).or_default().clone()
    }

    fn stuck(&self) -> StoreError {
        self.disk.error("has not ended a write of this process for 4 s; does the disk stand still?")
    }
}

/// In doubt from before the write until it is known to be whole; also if it panics.
fn doubting(
    in_doubt: &mut bool,
    write: impl FnOnce() -> Result<Attempt<Written>, StoreError>,
) -> Result<Attempt<Written>, StoreError> {
    let before = mem::replace(in_doubt, true);
    let attempt = write();
    *in_doubt = match &attempt {
        Ok(Attempt::Done(Written::Written(_))) => false,
        Ok(Attempt::Done(Written::Unknown)) => true,
        Ok(Attempt::Done(Written::Conflict) | Attempt::Locked) | Err(_) => before,
    };
    attempt
}

/// File work, off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(StoreError::new("the file work was cut off: the tokio runtime is shutting down")
                .with_source(error))
        }
    }
}

#[cfg(test)]
mod tests;
