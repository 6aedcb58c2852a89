//! `ApiKey`: a static credential that is swapped while the program runs.
//!
//! A key has no lifetime, so nothing renews it ahead of time. It changes when the program says so, or when an API refuses it
//! and its source has another one by then.

mod builder;
mod format;
mod read;
mod reads;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};
use zeroize::Zeroizing;

pub use self::builder::ApiKeyBuilder;
use self::format::KeyFormat;
use self::reads::Reads;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::events::{EventKind, Events, Hub};
use crate::origin::Origin;
use crate::per_cpu::{Header, PerCpu, one_for_each_cpu};
use crate::secret::ClientSecret;
use crate::source::SecretSource;
use crate::standing::Told;
use crate::sync::{Mutex, MutexGuard, PoisonError, Published};
use crate::token::{Authorization, Generation};

/// An API key: a static credential, in the `Authorization` header or in one of the vendor's own (RFC 9110 §11.6.2).
///
/// A cheap handle: its clones share one key. Each request takes the key that is in use at that moment, without a lock. The
/// text of a key is zeroized when it has been replaced and the last request that carries it is gone.
///
/// # When it changes
///
/// - By [`set`](Self::set), at once.
/// - By [`reload`](Self::reload), which reads its [`SecretSource`] again.
/// - After a 401: the source is read again, unless it is a literal. What is new there since it was last read is put to use, also in the
///   place of a key that was [`set`](Self::set) by hand; what it had before is not. All requests that are refused at a time share one read, and after one that
///   found nothing new there is none for 1 s.
///
/// A source that fails, or has something that cannot be a key, leaves the key at hand in use, with a warning.
///
/// ```
/// use auth_core::{ApiKey, SecretSource};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let key = ApiKey::new("orders", "k-0123456789")?;
/// assert_eq!(key.generation().get(), 1);
/// key.set("k-9876543210")?;
/// assert_eq!(key.generation().get(), 2);
///
/// # let directory = tempfile::tempdir().expect("a directory");
/// # let path = directory.path().join("key");
/// # std::fs::write(&path, "k-0123456789\n").expect("it can be written");
/// let key = ApiKey::builder("tracking", SecretSource::file(path)).in_header("X-Api-Key").build()?;
/// assert!(!format!("{key:?}").contains("0123456789"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ApiKey(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    /// In several copies, as the value: the name of a field that is no standard one has a reference count as well.
    header_name: PerCpu<HeaderName>,
    format: KeyFormat,
    /// None where it is a literal, which would keep the first key in memory and never have another.
    source: Option<SecretSource>,
    clock: Arc<dyn Clock>,
    /// Published by a swap under `reads`, which makes the whole snapshot visible to the `load` of a request.
    snapshot: Published<Snapshot>,
    reads: Mutex<Reads>,
    hub: Hub,
    told: Told,
    /// A clone is with each thread that reads the source.
    at_work: Arc<()>,
}

/// One key, ready to be sent. Never changed; replaced by a swap.
struct Snapshot {
    header: Header,
    /// The text of `header`.
    text: Arc<Zeroizing<Vec<u8>>>,
    generation: Generation,
}

impl Snapshot {
    fn new(text: Zeroizing<Vec<u8>>, generation: Generation) -> Self {
        let text = Arc::new(text);
        let header = Header::of_shared(&text, one_for_each_cpu())
            .expect("a key is checked to be visible ASCII and spaces");
        Self { header, text, generation }
    }
}

impl ApiKey {
    /// The name that logs and errors have for it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Which of its keys is in use: 1 for the first, and one more with each that follows it.
    pub fn generation(&self) -> Generation {
        self.with(|snapshot| snapshot.generation)
    }

    /// Puts another key to use, for all clones, and says which generation it is. Requests that are under way keep the old
    /// one. The same key again changes nothing.
    ///
    /// # Errors
    ///
    /// When the key cannot stand in the header (RFC 9110 §5.5) or is a placeholder. The old one stays in use then.
    pub fn set(&self, key: impl Into<ClientSecret>) -> Result<Generation, ConfigError> {
        let text = self.0.format.value(&key.into())?;
        let reads = self.lock();
        let put = self.put(&reads, text);
        drop(reads);
        if let Ok(generation) = put {
            self.say_replaced(generation, "set");
        }
        Ok(put.unwrap_or_else(|same| same))
    }

    /// What happens to this key from now on: refusals, and that it was replaced.
    pub fn events(&self) -> Events {
        self.0.hub.subscribe(&self.0.name, &self.0.clock)
    }

    /// The header that it goes into.
    #[inline]
    pub(crate) fn header_name(&self) -> &HeaderName {
        self.0.header_name.get()
    }

    /// What a request carries.
    pub(crate) fn authorization(&self) -> Authorization {
        self.with(Snapshot::authorization)
    }

    /// Puts the key into its header, in the place of whatever is there, and says which it is. Takes no lock and allocates
    /// nothing of its own.
    #[inline]
    pub(crate) fn insert(&self, headers: &mut HeaderMap) -> Generation {
        self.with(|snapshot| {
            headers.insert(self.header_name(), snapshot.header.get().clone());
            snapshot.generation
        })
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.0.name.clone()
    }

    /// Where the handles of this key meet.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn of(
        name: Arc<str>,
        header_name: &HeaderName,
        format: KeyFormat,
        source: SecretSource,
        text: Zeroizing<Vec<u8>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let reads = Mutex::new(Reads::new(&text));
        let snapshot = Published::empty();
        snapshot.store(Some(Arc::new(Snapshot::new(text, Generation::NONE.next()))));
        Self(Arc::new(Inner {
            hub: Hub::default(),
            told: Told::default(),
            name,
            header_name: PerCpu::new(one_for_each_cpu(), || apart(header_name)),
            format,
            source: Some(source).filter(|source| !source.is_literal()),
            clock,
            snapshot,
            reads,
            at_work: Arc::new(()),
        }))
    }

    #[inline]
    fn with<T>(&self, look: impl FnOnce(&Snapshot) -> T) -> T {
        let snapshot = self.0.snapshot.load();
        look(snapshot.as_ref().expect("there is one from the start, and it is only replaced"))
    }

    /// The key in use, if it follows `after`.
    fn newer(&self, after: Generation) -> Option<Authorization> {
        self.with(|snapshot| (snapshot.generation > after).then(|| snapshot.authorization()))
    }

    /// Puts a key to use, under the lock that gives the swaps their order; the present generation if that has the same key.
    fn put(
        &self,
        _: &MutexGuard<'_, Reads>,
        text: Zeroizing<Vec<u8>>,
    ) -> Result<Generation, Generation> {
        let (held, is_same) = self.with(|held| (held.generation, *held.text == text));
        if is_same {
            return Err(held);
        }
        let next = held.next();
        self.0.snapshot.store(Some(Arc::new(Snapshot::new(text, next))));
        Ok(next)
    }

    /// Never under the lock: a subscriber may be slow, or ask this key something.
    fn say_replaced(&self, generation: Generation, cause: &str) {
        tracing::info!(credential = self.name(), %generation, cause, "the API key was replaced");
        self.0.hub.emit(EventKind::Rotated);
    }

    /// Once for each key and API, however many requests it is refused to.
    pub(crate) fn say_refused(&self, origin: &Origin, generation: Generation, status: StatusCode) {
        if self.0.told.is_news(("refused", origin, generation)) {
            let status = status.as_u16();
            tracing::warn!(credential = self.name(), %origin, %generation, status, "an API refused the API key");
            let origin = origin.clone();
            self.0.hub.emit(EventKind::Refused { origin, generation, status });
        }
    }

    /// Once for each key, API and scope.
    pub(crate) fn say_out_of_scope(&self, origin: &Origin, scope: Option<String>) {
        if !self.0.told.is_news(("scope", origin, self.generation(), &scope)) {
            return;
        }
        tracing::debug!(credential = self.name(), %origin, scope, "the API key is good, and not for this");
        self.0.hub.emit(EventKind::InsufficientScope { origin: origin.clone(), scope });
    }

    // Every change under this lock is complete before anything can panic, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, Reads> {
        self.0.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    fn authorization(&self) -> Authorization {
        Authorization { header: self.header.get().clone(), generation: self.generation }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("name", &self.0.name)
            .field("header", self.header_name())
            .field("generation", &self.generation().get())
            .finish_non_exhaustive()
    }
}

/// The same name, with a text of its own.
fn apart(name: &HeaderName) -> HeaderName {
    let name = HeaderName::from_bytes(name.as_str().as_bytes()).expect("it was one before");
    // The first clone is the one that allocates: the count of the text, which the others share.
    drop(name.clone());
    name
}
