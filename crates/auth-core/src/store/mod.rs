//! Where records are kept: a versioned cell for each OAuth client.
//!
//! A store needs two operations, `read` and `write-if-version`. All rules live in the record, so a store is a page of
//! code, and the ledger is right over any of them that keeps the contract of [`VersionedCell`].

mod cell;
mod memory;

use std::sync::Arc;

pub use self::cell::{BoxFuture, LedgerKey, StoreError, Stored, VersionedCell, Written};
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

    /// A store of your own.
    pub fn new(cell: impl VersionedCell) -> Self {
        Self(Arc::new(cell))
    }

    pub(crate) fn cell(&self) -> &dyn VersionedCell {
        &*self.0
    }
}
