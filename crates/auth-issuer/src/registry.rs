//! Everybody who may ask: credentials and the legacy key, in memory, and in a directory if there is one.

mod changes;
#[cfg(test)]
mod disk_tests;
mod name;
mod requests;
mod revocations;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::credential::Credential;
use crate::directory::{Directory, Found};
use crate::info::CredentialInfo;
use crate::kept::{Entry, Kept};
use crate::quota::{OverAnswer, Quota, QuotaHeaders, Standing, WindowLeft};

/// The credentials and the key of one issuer.
pub(crate) struct Registry {
    quota: Quota,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kept: Kept,
    place: Place,
}

/// Where it is kept.
#[derive(Default)]
enum Place {
    #[default]
    Memory,
    Directory(Directory),
    /// In a directory that is another's now, or may be: nothing can be written down any more.
    Closed,
}

/// A token request that has been charged for.
pub(crate) struct Begun {
    /// By which to say how it ended; `None` if nobody is registered with its id.
    pub(crate) number: Option<u64>,
    /// What the answer says of the quota.
    pub(crate) spent: Result<QuotaHeaders, Uncharged>,
}

/// Why a token request was not charged, and gets no token.
#[derive(Debug)]
pub(crate) enum Uncharged {
    OverQuota(Box<OverAnswer>),
    /// It could not be written down.
    NotKept,
}

/// What a valid token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Granted,
    /// The resource was not ticked, or not asked for.
    BeyondScope,
    /// Its credential was disabled, or deleted.
    Ended,
}

impl Registry {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, inner: Mutex::default() }
    }

    /// Reads what stands in `path`, and keeps everything there from now on.
    ///
    /// # Errors
    ///
    /// As [`Directory::open`] and [`Directory::replace`].
    pub(crate) fn open(quota: Quota, path: &Path) -> io::Result<Self> {
        let (directory, found) = Directory::open::<Kept, Entry>(path)?;
        let mut inner = Inner::default();
        if let Some(Found { snapshot, entries }) = found {
            inner.kept = snapshot;
            for entry in &entries {
                inner.kept.apply(&quota, entry);
            }
        }
        inner.place = Place::Directory(directory);
        inner.save()?;
        Ok(Self { quota, inner: Mutex::new(inner) })
    }

    /// Whether there is a directory.
    pub(crate) fn is_kept(&self) -> bool {
        !matches!(self.inner().place, Place::Memory)
    }

    /// Leaves the directory to whoever comes next, though tasks may still hold the registry: what they want written down after
    /// this is not.
    pub(crate) fn close(&self) {
        let place = &mut self.inner().place;
        if let Place::Directory(_) = place {
            *place = Place::Closed;
        }
    }

    /// Whether a request that is refused for another reason spends a unit.
    pub(crate) fn counts_failures(&self) -> bool {
        self.quota.counts_failures()
    }

    /// What is left of the quota of `id`; `None` if there is no such credential.
    pub(crate) fn left(&self, id: &str, now: SystemTime) -> Option<Vec<WindowLeft>> {
        let inner = self.inner();
        inner.kept.credentials.get(id).map(|known| known.spends.left(&self.quota, now))
    }

    /// What was kept along with the credentials under this name.
    pub(crate) fn attached(&self, name: &str) -> Option<serde_json::Value> {
        self.inner().kept.attached.get(name).cloned()
    }

    /// Keeps something along with the credentials.
    pub(crate) fn attach(
        &self,
        name: &str,
        value: impl FnOnce() -> serde_json::Value,
    ) -> io::Result<()> {
        let mut inner = self.inner();
        if let Place::Memory = inner.place {
            return Ok(());
        }
        // As it is now: an older one must not be the last to be written.
        inner.kept.attached.insert(name.to_owned(), value());
        inner.save()
    }

    /// All credentials, the oldest first.
    pub(crate) fn credentials(&self) -> Vec<CredentialInfo> {
        let inner = self.inner();
        inner.kept.in_order().into_iter().map(CredentialInfo::of).collect()
    }

    /// The same, each with how it stands with its quota.
    pub(crate) fn standings(&self, now: SystemTime) -> Vec<(CredentialInfo, Standing)> {
        let inner = self.inner();
        let told = |known: &Credential| {
            (CredentialInfo::of(known), known.spends.standing(&self.quota, now))
        };
        inner.kept.in_order().into_iter().map(told).collect()
    }

    /// The ids of all credentials, the oldest first.
    pub(crate) fn ids(&self) -> Vec<String> {
        let inner = self.inner();
        inner.kept.in_order().into_iter().map(|known| known.client_id.clone()).collect()
    }

    /// How many units all credentials have spent, ever; those that are gone too.
    pub(crate) fn spent(&self) -> u64 {
        let inner = self.inner();
        let spent: u64 = inner.kept.credentials.values().map(|credential| credential.spent).sum();
        spent + inner.kept.spent_by_deleted
    }

    /// How many of these were spent by credentials that are gone.
    pub(crate) fn spent_by_deleted(&self) -> u64 {
        self.inner().kept.spent_by_deleted
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Keeps everything as it is now.
    fn save(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Memory => Ok(()),
            Place::Directory(directory) => directory.replace(&self.kept),
            Place::Closed => Err(closed()),
        }
    }

    /// Whether something could not be written down since the last snapshot. One has to be next then.
    fn is_behind(&self) -> bool {
        match &self.place {
            Place::Memory => false,
            Place::Directory(directory) => directory.is_broken(),
            Place::Closed => true,
        }
    }

    /// Keeps one entry more. A journal that cannot be trusted any more is given up for a snapshot; one that is only long stays
    /// until there is one.
    fn write_down(&mut self, entry: &Entry) -> io::Result<()> {
        let directory = match &mut self.place {
            Place::Memory => return Ok(()),
            Place::Directory(directory) => directory,
            Place::Closed => return Err(closed()),
        };
        match directory.append(entry) {
            Ok(false) => Ok(()),
            Ok(true) => {
                if let Err(error) = directory.replace(&self.kept) {
                    tracing::warn!(%error, "the journal grows on, since no snapshot could be written");
                }
                Ok(())
            }
            Err(_) => directory.replace(&self.kept),
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the issuer has left its directory")
}
