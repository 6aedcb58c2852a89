//! The contract of a store: a cell that is written only by those who know what is in it.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::id::Version;

/// A boxed future, as the traits here return them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which OAuth client a record is of: the token endpoint (normalised) and the client id, since that is what the issuer
/// counts. Audiences, scopes and secrets of one client share its record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerKey(Arc<str>);

impl LedgerKey {
    pub(crate) fn new(endpoint: &str, client_id: &str) -> Self {
        // A space stands in neither of the two.
        Self(format!("{endpoint} {client_id}").into())
    }

    /// The key as text: unique, of any length, and not safe as a file name. Free of secrets, if the URL is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record as it is stored, and the version that a write must name.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The id of the write that put it there.
    pub version: Version,
    /// The record: JSON, equal to what [`VersionedCell::write`] was given. Tokens in it are sealed.
    pub record: Vec<u8>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The record is stored as durably as this store can.
    Written(Version),
    /// Another write came first. Nothing was changed.
    Conflict,
    /// It cannot be told. The record may be stored, now or later, but only over the version that the write named.
    Unknown,
}

/// A cell for each key.
///
/// # Contract
///
/// - `write` with `expected` stores the record exactly if the cell's version is `expected` (`None`: the cell is empty), and
///   answers [`Written::Written`] only when the record would survive what the store promises to survive.
/// - Versions are new random ids with every write ([`Version::random`]), never counters.
/// - Records are JSON of at most a few hundred KiB; a store may lay them out anew.
/// - A `read` that begins after a `write` was answered sees that write or a later one.
/// - What a `read` shows of a write of the same handle, whatever came of it, is as durable as if it had been answered with
///   [`Written::Written`]: whoever finds its own spend in the record acts on it.
/// - Both answer within a few seconds or fail. A caller gives up after five.
pub trait VersionedCell: fmt::Debug + Send + Sync + 'static {
    /// What the cell holds; `None` if nothing was ever written to it.
    fn read<'a>(&'a self, key: &'a LedgerKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// Replaces what the cell holds if its version is `expected`.
    ///
    /// # Errors
    ///
    /// The cell holds what it held. A store that cannot tell answers [`Written::Unknown`].
    fn write<'a>(
        &'a self,
        key: &'a LedgerKey,
        expected: Option<Version>,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Written, StoreError>>;

    /// Puts the record there, whatever was there before: damaged, lost, or whole. The way out of a record that cannot be
    /// read; a write that names what was there before is a conflict.
    ///
    /// # Defaults
    ///
    /// An error with [`StoreError::is_unsupported`]: the store cannot do it.
    ///
    /// # Errors
    ///
    /// The record may have been replaced, or be gone, or be as it was.
    fn replace<'a>(
        &'a self,
        key: &'a LedgerKey,
        record: Vec<u8>,
    ) -> BoxFuture<'a, Result<Version, StoreError>> {
        let _ = (key, record);
        Box::pin(async { Err(StoreError::unsupported("this store cannot replace a record")) })
    }

    /// Whether a record outlives the process.
    fn is_durable(&self) -> bool;
}

/// Why a store cannot be read or written. Nothing is spent while it lasts; a valid token is served on.
#[derive(Clone, Debug)]
pub struct StoreError {
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    is_unsupported: bool,
}

impl StoreError {
    /// With a message that says what to do.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, is_unsupported: false }
    }

    /// For something that a store need not be able to do.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { is_unsupported: true, ..Self::new(message) }
    }

    /// Whether the store is well, and cannot do what it was asked for.
    pub fn is_unsupported(&self) -> bool {
        self.is_unsupported
    }

    /// With the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn into_parts(self) -> (String, Option<Arc<dyn StdError + Send + Sync>>) {
        (self.message, self.source)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
