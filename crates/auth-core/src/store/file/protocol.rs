//! Reading and writing one record, so that a crash at any point leaves the old record or the new one.

use std::io;

use super::super::cell::{LedgerKey, StoreError, Stored, Written};
use super::directory::name;
use super::disk::Disk;
use super::envelope;
use crate::id::Version;

const RECORD: &str = "record.json";
const NEXT: &str = "record.json.next";
const REPLACED: &str = "record.json.replaced";

/// What became of one attempt to write.
pub(super) enum Attempt<T> {
    Done(T),
    /// Another process is writing.
    Locked,
}

pub(super) fn read<D: Disk>(disk: &D, key: &LedgerKey) -> Result<Option<Stored>, StoreError> {
    let root = disk.root()?;
    let Some(client) = disk.client(&root, &name(key))? else { return Ok(None) };
    read_record(disk, &client, key)
}

/// Writes if the version is `expected`. After an error the record is the one that it was.
pub(super) fn write<D: Disk>(
    disk: &D,
    key: &LedgerKey,
    expected: Option<Version>,
    record: &[u8],
) -> Result<Attempt<Written>, StoreError> {
    let version = Version::random();
    let file = envelope::seal(version, key, record).map_err(|problem| disk.error(&problem))?;
    let Some(held) = Held::take(disk, key, true)? else { return Ok(Attempt::Locked) };
    let present = read_record(disk, &held.client, key)?;
    if present.as_ref().map(|stored| stored.version) != expected {
        return Ok(Attempt::Done(Written::Conflict));
    }
    if present.is_none() {
        // Whoever made the directories may have ended before it synced them.
        held.sync_way()?;
    }
    held.commit(version, &file, false)
}

/// Puts the record there, whatever was there before, and keeps that under another name.
pub(super) fn replace<D: Disk>(
    disk: &D,
    key: &LedgerKey,
    record: &[u8],
) -> Result<Attempt<Written>, StoreError> {
    let version = Version::random();
    let file = envelope::seal(version, key, record).map_err(|problem| disk.error(&problem))?;
    let Some(held) = Held::take(disk, key, true)? else { return Ok(Attempt::Locked) };
    held.sync_way()?;
    held.commit(version, &file, true)
}

/// Reads what a write of unknown fate may have left, and makes it durable. It is written anew: that a sync succeeds after one
/// that failed says nothing about what the failed one was to sync.
pub(super) fn confirm<D: Disk>(
    disk: &D,
    key: &LedgerKey,
) -> Result<Attempt<Option<Stored>>, StoreError> {
    let root = disk.root()?;
    if disk.client(&root, &name(key))?.is_none() {
        return Ok(Attempt::Done(None));
    }
    let Some(held) = Held::take(disk, key, false)? else { return Ok(Attempt::Locked) };
    let Some(stored) = read_record(disk, &held.client, key)? else {
        return Ok(Attempt::Done(None));
    };
    let file = envelope::seal(stored.version, key, &stored.record)
        .map_err(|problem| disk.error(&problem))?;
    match held.commit(stored.version, &file, false)? {
        Attempt::Done(Written::Written(_)) => Ok(Attempt::Done(Some(stored))),
        Attempt::Done(_) => Err(disk.error("cannot be synced: what was written may be lost again")),
        Attempt::Locked => Ok(Attempt::Locked),
    }
}

/// The subdirectory of a client, locked.
struct Held<'a, D: Disk> {
    disk: &'a D,
    name: String,
    root: D::Directory,
    client: D::Directory,
    lock: D::Lock,
}

impl<'a, D: Disk> Held<'a, D> {
    /// `None` if another process holds it, or if it is not there and is not to be made.
    fn take(disk: &'a D, key: &LedgerKey, make: bool) -> Result<Option<Self>, StoreError> {
        let name = name(key);
        let is_there = !make || disk.client(&disk.root()?, &name)?.is_some();
        if is_there || make_client(disk, &name, key)? { Self::lock(disk, name) } else { Ok(None) }
    }

    fn lock(disk: &'a D, name: String) -> Result<Option<Self>, StoreError> {
        let root = disk.root()?;
        let Some(client) = disk.client(&root, &name)? else { return Ok(None) };
        let Some(lock) = disk.lock(&client)? else { return Ok(None) };
        let held = Self { disk, name, root, client, lock };
        Ok(held.stands()?.then_some(held))
    }

    /// Whoever renamed or removed a directory in the meantime left us with a lock that locks nothing.
    fn stands(&self) -> Result<bool, StoreError> {
        let there = self.disk.client(&self.disk.root()?, &self.name)?;
        let is_there = match there {
            Some(there) => self.disk.is_same(&there, &self.client)?,
            None => false,
        };
        Ok(is_there && self.disk.locks(&self.client, &self.lock)?)
    }

    fn sync_way(&self) -> Result<(), StoreError> {
        self.disk.sync_way(&self.root).map_err(|error| failed(self.disk, error))
    }

    fn commit(
        &self,
        version: Version,
        file: &[u8],
        keep: bool,
    ) -> Result<Attempt<Written>, StoreError> {
        let Self { disk, client, .. } = self;
        let renamed = || -> Result<bool, StoreError> {
            put(*disk, client, NEXT, file).map_err(|error| failed(*disk, error))?;
            // Also after the longest part of it.
            if !self.stands()? {
                return Ok(false);
            }
            let kept = if keep { self.keep() } else { Ok(()) };
            kept.and_then(|()| disk.rename(client, NEXT, RECORD))
                .map_err(|error| failed(*disk, error))?;
            Ok(true)
        };
        if !renamed().inspect_err(|_| self.give_back())? {
            return Ok(Attempt::Locked);
        }
        Ok(Attempt::Done(match disk.sync(client) {
            Ok(()) => Written::Written(version),
            // The new record is there, and may be gone after a power cut.
            Err(error) => {
                tracing::warn!(%error, "a record was written and cannot be synced");
                Written::Unknown
            }
        }))
    }

    /// A crash after this leaves no record, which nobody takes for an empty one.
    fn keep(&self) -> io::Result<()> {
        match self.disk.rename(&self.client, RECORD, REPLACED) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A disk that is full has a use for the space.
    fn give_back(&self) {
        let _ = self.disk.remove(&self.client, NEXT);
    }
}

fn read_record<D: Disk>(
    disk: &D,
    client: &D::Directory,
    key: &LedgerKey,
) -> Result<Option<Stored>, StoreError> {
    let bytes = disk.read(client, RECORD, envelope::LONGEST + 1)?.ok_or_else(|| {
        disk.error("has a subdirectory whose record is gone; what it counted is not known any more")
    })?;
    if bytes.len() as u64 > envelope::LONGEST {
        return Err(disk.error("has a record that is longer than any that is written here"));
    }
    envelope::open(key, &bytes)
        .map_err(|problem| disk.error(&format!("has a record that {problem}")))
}

/// Makes the subdirectory under another name with an empty record in it, and renames it: one without a record is then a
/// sign that a record was lost. `false` if another process is making it.
fn make_client<D: Disk>(disk: &D, name: &str, key: &LedgerKey) -> Result<bool, StoreError> {
    // What a crashed maker left is taken over: they all use one name.
    let prepared = format!(".{name}.new");
    disk.make(&disk.root()?, &prepared).map_err(|error| failed(disk, error))?;
    let Some(held) = Held::lock(disk, prepared)? else { return Ok(false) };
    if disk.client(&held.root, name)?.is_some() {
        // Another process was quicker. Nobody minds what cannot be removed.
        let _ = disk.remove(&held.client, RECORD);
        let _ = disk.remove_directory(&held.root, &held.name);
        return Ok(true);
    }
    put(disk, &held.client, RECORD, &envelope::empty(key))
        .and_then(|()| disk.sync(&held.client))
        .and_then(|()| disk.rename(&held.root, &held.name, name))
        .map_err(|error| failed(disk, error))?;
    Ok(true)
}

/// A new file with these bytes, synced. What a crashed writer left under the name is removed first.
fn put<D: Disk>(disk: &D, client: &D::Directory, name: &str, bytes: &[u8]) -> io::Result<()> {
    disk.remove(client, name)?;
    disk.sync_file(&disk.create(client, name, bytes)?)
}

fn failed<D: Disk>(disk: &D, error: io::Error) -> StoreError {
    disk.error("cannot be written to").with_source(error)
}

#[cfg(test)]
mod tests;
