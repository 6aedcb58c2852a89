//! Records in memory: one budget for all of a process, and none for the next.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use super::cell::{BoxFuture, LedgerKey, StoreError, Stored, VersionedCell, Written};
use crate::id::Version;
use crate::sync::{Mutex, PoisonError};

/// A memory of its own, apart from [`Store::memory`](super::Store::memory): authenticators over two of them do not know
/// of each other's spending. For tests.
#[derive(Default)]
pub struct MemoryStore {
    cells: Mutex<HashMap<LedgerKey, Stored>>,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl VersionedCell for MemoryStore {
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(cells.get(key).cloned())
        })
    }

    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        mut record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        // It stays, and what a writer left room for would stay with it.
        record.shrink_to_fit();
        Box::pin(async move {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            if cells.get(key).map(|stored| stored.version) != expected {
                return Ok(Written::Conflict);
            }
            let version = Version::random();
            cells.insert(key.clone(), Stored { version, record });
            Ok(Written::Written(version))
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a LedgerKey,
        mut record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        // It stays, and what a writer left room for would stay with it.
        record.shrink_to_fit();
        Box::pin(async move {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            let version = Version::random();
            cells.insert(key.clone(), Stored { version, record });
            Ok(version)
        })
    }

    fn is_durable(&self) -> bool {
        false
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

pub(super) fn shared() -> Arc<MemoryStore> {
    static SHARED: LazyLock<Arc<MemoryStore>> = LazyLock::new(Arc::default);
    SHARED.clone()
}
