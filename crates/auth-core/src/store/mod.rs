//! Where records are kept: a versioned cell for each OAuth client.
//!
//! A store needs two operations, `read` and `write-if-version`. All rules live in the record, so a store is a page of
//! code, and the ledger is right over any of them that keeps the contract of [`VersionedCell`].

mod cell;
#[cfg(any(test, feature = "test-util"))]
mod conformance;
#[cfg(unix)]
mod file;
mod memory;

use std::sync::Arc;

pub use self::cell::{BoxFuture, LedgerKey, StoreError, Stored, VersionedCell, Written};
#[cfg(any(test, feature = "test-util"))]
pub use self::conformance::conformance;
#[cfg(unix)]
pub use self::file::{FileStore, state_directory};
pub use self::memory::MemoryStore;
pub use crate::id::Version;

/// A store, chosen when an authenticator is built. Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct Store(Arc<dyn VersionedCell>);

impl Store {
    /// The one memory of this process. All authenticators of one client that use it share one budget, and a restart
    /// forgets it: a process that restarts in a loop spends a token request with every start.
    pub fn memory() -> Self {
        Self(memory::shared())
    }

    /// Files in a directory of your choice: the durable store for all processes of one machine. [`FileStore`] says what the
    /// directory must be like.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, or cannot be trusted.
    #[cfg(unix)]
    pub fn file(directory: impl AsRef<std::path::Path>) -> Result<Self, StoreError> {
        FileStore::new(directory).map(Self::new)
    }

    /// A store of your own.
    pub fn new(cell: impl VersionedCell) -> Self {
        Self(Arc::new(cell))
    }

    pub(crate) fn cell(&self) -> &dyn VersionedCell {
        &*self.0
    }
}
