//! Stores that misbehave.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use auth_core::{
    BoxFuture, LedgerKey, MemoryStore, StoreError, Stored, Version, VersionedCell, Written,
};

/// A store over memory that can be told to fail or to hang.
#[derive(Clone, Default)]
pub(crate) struct Moody {
    memory: Arc<MemoryStore>,
    pub(crate) fails: Arc<AtomicBool>,
    pub(crate) hangs: Arc<AtomicBool>,
    /// The next writes are done, and their answer is lost.
    pub(crate) loses_answers: Arc<AtomicUsize>,
    /// Writes are never done, and nobody can tell.
    pub(crate) is_mute: Arc<AtomicBool>,
    /// How long a write takes.
    pub(crate) write_millis: Arc<AtomicUsize>,
    pub(crate) written: Arc<AtomicUsize>,
    /// How long the last record was.
    pub(crate) record_bytes: Arc<AtomicUsize>,
}

impl fmt::Debug for Moody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moody")
    }
}

impl Moody {
    async fn mood(&self) -> Result<(), StoreError> {
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.fails.load(SeqCst) {
            return Err(StoreError::new("no space left on device")
                .with_source(std::io::Error::other("ENOSPC")));
        }
        Ok(())
    }
}

impl VersionedCell for Moody {
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        Box::pin(async move {
            self.mood().await?;
            self.memory.read(key).await
        })
    }

    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(async move {
            self.mood().await?;
            // Others come in between the read and the write.
            tokio::task::yield_now().await;
            let millis = self.write_millis.load(SeqCst) as u64;
            if millis > 0 {
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            if self.is_mute.load(SeqCst) {
                self.written.fetch_add(1, SeqCst);
                return Ok(Written::Unknown);
            }
            self.record_bytes.store(record.len(), SeqCst);
            let written = self.memory.write(key, expected, record).await?;
            self.written.fetch_add(1, SeqCst);
            let lose = self.loses_answers.load(SeqCst) > 0;
            if lose {
                self.loses_answers.fetch_sub(1, SeqCst);
                return Ok(Written::Unknown);
            }
            Ok(written)
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a LedgerKey,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        Box::pin(async move {
            self.mood().await?;
            self.memory.replace(key, record).await
        })
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// A store that cannot replace a record.
#[derive(Debug, Default)]
pub(crate) struct Plain(MemoryStore);

impl VersionedCell for Plain {
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.0.read(key)
    }

    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        self.0.write(key, expected, record)
    }

    fn is_durable(&self) -> bool {
        false
    }
}
