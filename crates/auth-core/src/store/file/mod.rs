//! Records in files: the durable store for all processes of one machine.
//!
//! One subdirectory for each OAuth client holds its record. A write takes a short lock on the subdirectory, compares the
//! version, writes a new file, syncs it, renames it over the old one, and syncs the subdirectory; a read takes no lock, and
//! waits for the writes of its own process. No lock is held while a token request is under way: other processes wait on the
//! flight that is in the record.

mod cells;
mod directory;
mod disk;
mod envelope;
mod lock;
mod protocol;
#[cfg(test)]
mod simulated;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::cells::Cells;
use self::directory::Root;
use super::cell::{BoxFuture, LedgerKey, StoreError, Stored, VersionedCell, Written};
use crate::id::Version;

/// A store in a directory, for any number of processes of one machine and their restarts.
///
/// # Deployment
///
/// - The directory must outlive the process: the writable layer of a container does not outlive the container, `/tmp` not
///   the machine. Mount a volume, or use [`state_directory`] where there is a home.
/// - It belongs to the user of the process alone. A directory of somebody else's, or one that others may write to, is
///   refused, and so are symbolic links, FIFOs and hard links in the place of a record.
/// - Network and FUSE file systems are refused, since their locks and renames do not hold what they promise, unless
///   [`FileStore::allow_any_file_system`] says that yours does.
/// - A backup that is restored is older than what this machine has spent since. Count the quota as spent then.
///
/// # Defaults
///
/// Local file systems only.
#[derive(Clone, Debug)]
pub struct FileStore {
    cells: Arc<Cells<Root>>,
}

impl FileStore {
    /// In `directory`, which is made (with mode 0700) if it is not there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, or cannot be trusted; the message says what to do.
    pub fn new(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open(directory.as_ref(), false)
    }

    /// As [`new`](Self::new), and on whatever file system: for a network or FUSE file system that is known to lock and to
    /// rename atomically.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn allow_any_file_system(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open(directory.as_ref(), true)
    }

    fn open(directory: &Path, any_file_system: bool) -> Result<Self, StoreError> {
        let root = Root::new(directory, any_file_system)?;
        Ok(Self { cells: Arc::new(Cells::new(root)) })
    }
}

impl VersionedCell for FileStore {
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(self.cells.read(key))
    }

    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(self.cells.write(key, expected, record))
    }

    /// What was there is kept as `record.json.replaced`; the last such one only.
    fn replace<'a>(
        &'a self,
        key: &'a LedgerKey,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        Box::pin(self.cells.replace(key, record))
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// Where programs keep state that outlives them: `$XDG_STATE_HOME/NAME`, or `$HOME/.local/state/NAME`.
///
/// `None` without a home, as in most containers: there the directory has to be named, and to be on a volume.
pub fn state_directory(name: &str) -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join(name))
}

#[cfg(test)]
mod tests;
