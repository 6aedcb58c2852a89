//! The store as the renewal sees it: one client's record, read and written whole, with a deadline, and never trusted when
//! it runs backwards.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::record::Record;
use crate::store::{LedgerKey, Store, Version, Written};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, PoisonError, timeout};

/// How long a store may take for one operation.
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Cell {
    store: Store,
    key: LedgerKey,
    /// The largest sequence number that was read or written. It guards no other memory: a stale reading of it only makes
    /// the check below more lenient.
    highest: AtomicU64,
    /// Without its tokens. In a box, since most authenticators of a process with very many have none yet.
    last_seen: Mutex<Option<Box<Record>>>,
}

/// Why a record cannot be had or kept.
#[derive(Clone, Debug)]
pub(crate) struct CellError {
    pub(crate) message: String,
    pub(crate) source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Cell {
    pub(crate) fn new(store: Store, key: LedgerKey) -> Self {
        Self { store, key, highest: AtomicU64::new(0), last_seen: Mutex::new(None) }
    }

    pub(crate) fn key(&self) -> &str {
        self.key.as_str()
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.store.cell().is_durable()
    }

    /// The record, and the version that a write must name. A cell that was never written has an empty one.
    pub(crate) async fn read(&self) -> Result<(Option<Version>, Record), CellError> {
        // Taken before the read: a write that overtakes it must not make it look old.
        let highest = self.highest.load(Ordering::Relaxed);
        let read = timeout(DEADLINE, self.store.cell().read(&self.key)).await;
        let stored = read.map_err(|_| CellError::slow())?.map_err(CellError::from_store)?;
        let Some(stored) = stored else {
            if highest > 0 {
                return Err(CellError::new(
                    "the stored record is gone; what it counted is not known any more",
                ));
            }
            return Ok((None, Record::new()));
        };
        let record =
            Record::decode(&stored.record).map_err(|error| CellError::new(error.to_string()))?;
        if record.seq < highest {
            return Err(CellError::new(
                "the stored record is older than one that was seen: an old copy was restored",
            ));
        }
        self.saw(&record);
        Ok((Some(stored.version), record))
    }

    /// Writes the record over the version that it was read at.
    pub(crate) async fn write(
        &self,
        expected: Option<Version>,
        record: &mut Record,
    ) -> Result<Written, CellError> {
        record.seq = record.seq.saturating_add(1);
        let write = self.store.cell().write(&self.key, expected, record.encode());
        match timeout(DEADLINE, write).await {
            Ok(Ok(written)) => {
                if matches!(written, Written::Written(_)) {
                    self.saw(record);
                }
                Ok(written)
            }
            Ok(Err(error)) => Err(CellError::from_store(error)),
            // It may still be written.
            Err(_) => Ok(Written::Unknown),
        }
    }
}

impl Cell {
    /// Puts a record there whatever was there before. Its number is larger than that of any record before it: other
    /// processes must not take it for an old copy, and nobody can say what they have seen, but none has written more often
    /// than once in a millisecond.
    pub(crate) async fn replace(
        &self,
        record: &mut Record,
        now: Timestamp,
    ) -> Result<(), CellError> {
        let highest = self.highest.load(Ordering::Relaxed).saturating_add(1);
        record.seq = highest.max(u64::try_from(now.as_millis()).unwrap_or(0));
        let replace = self.store.cell().replace(&self.key, record.encode());
        let replaced = timeout(DEADLINE, replace).await;
        replaced.map_err(|_| CellError::slow())?.map_err(CellError::from_store)?;
        self.saw(record);
        Ok(())
    }

    /// The record as this process saw it last, but for its tokens; for a status while the store fails.
    pub(crate) fn last_seen(&self) -> Option<Record> {
        self.last_seen.lock().unwrap_or_else(PoisonError::into_inner).as_deref().cloned()
    }

    fn saw(&self, record: &Record) {
        self.highest.fetch_max(record.seq, Ordering::Relaxed);
        let mut last = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| last.seq <= record.seq) {
            *last = Some(Box::new(record.without_tokens()));
        }
    }
}

impl CellError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    pub(crate) fn undecided() -> Self {
        Self::new("the store cannot tell whether it has written, again and again")
    }

    fn slow() -> Self {
        Self::new("the store does not answer within 5 s")
    }

    fn from_store(error: crate::store::StoreError) -> Self {
        let (message, source) = error.into_parts();
        Self { message, source }
    }
}
