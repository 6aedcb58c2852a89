//! A store that sees what is written to it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use auth_core::{BoxFuture, LedgerKey, StoreError, Stored, Version, VersionedCell, Written};

/// A store, and which record was written to it last, how long that was, and how many writes there were.
#[derive(Clone, Debug)]
pub struct Seen {
    cell: Arc<dyn VersionedCell>,
    writes: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<(LedgerKey, usize)>>>,
}

impl Seen {
    /// Counts on from `writes`.
    pub fn new(cell: impl VersionedCell, writes: Arc<AtomicUsize>) -> Self {
        Self { cell: Arc::new(cell), writes, last: Arc::default() }
    }

    /// The last record's key and its length in bytes.
    pub fn last(&self) -> Option<(LedgerKey, usize)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl VersionedCell for Seen {
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.cell.read(key)
    }

    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        self.writes.fetch_add(1, Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((key.clone(), record.len()));
        self.cell.write(key, expected, record)
    }

    fn is_durable(&self) -> bool {
        self.cell.is_durable()
    }
}
