//! Records in files: the durable store for all processes of one machine.
//!
//! One subdirectory for each OAuth client holds its record. A write takes a short lock on the subdirectory, compares the
//! version, writes a new file, syncs it, renames it over the old one, and syncs the subdirectory; a read takes no lock. No
//! lock is held while a token request is under way: other processes wait on the flight that is in the record.

mod directory;
mod envelope;
mod protocol;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::directory::Root;
use self::protocol::Attempt;
use super::cell::{BoxFuture, LedgerKey, StoreError, Stored, VersionedCell, Written};
use crate::id::{Version, random_bytes};

/// How long a write waits for the lock of another.
const LOCK: Duration = Duration::from_secs(4);

/// How often it looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

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
    root: Arc<Root>,
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
        Root::new(directory, any_file_system).map(|root| Self { root: Arc::new(root) })
    }
}

impl VersionedCell for FileStore {
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        let (root, key) = (self.root.clone(), key.clone());
        Box::pin(blocking(move || protocol::read(&root, &key)))
    }

    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(async move {
            let record: Arc<[u8]> = record.into();
            let mut waited = Duration::ZERO;
            let mut pause = LOOK.0;
            loop {
                let (root, key, record) = (self.root.clone(), key.clone(), record.clone());
                match blocking(move || protocol::write(&root, &key, expected, &record)).await? {
                    Attempt::Done(written) => return Ok(written),
                    Attempt::Locked if waited < LOCK => {
                        let jitter = Duration::from_micros(u64::from(random_bytes::<1>()[0]) * 4);
                        tokio::time::sleep(pause + jitter).await;
                        waited += pause;
                        pause = (pause * 2).min(LOOK.1);
                    }
                    Attempt::Locked => {
                        let problem = "another process has held the lock of the record for 4 s; is it stopped?";
                        return Err(self.root.error(problem));
                    }
                }
            }
        })
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
