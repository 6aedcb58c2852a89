//! Reading and writing one record, so that a crash at any point leaves the old record or the new one.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::super::cell::{LedgerKey, StoreError, Stored, Written};
use super::directory::{Root, name};
use super::envelope;
use crate::id::{Version, random_bytes};

const RECORD: &str = "record.json";
const NEXT: &str = "record.json.next";

/// What became of one attempt to write.
pub(super) enum Attempt {
    Done(Written),
    /// Another process is writing.
    Locked,
}

pub(super) fn read(root: &Root, key: &LedgerKey) -> Result<Option<Stored>, StoreError> {
    let directory = root.open()?;
    let Some(client) = root.client(&directory, &name(key))? else { return Ok(None) };
    read_record(root, &client, key)
}

pub(super) fn write(
    root: &Root,
    key: &LedgerKey,
    expected: Option<Version>,
    record: &[u8],
) -> Result<Attempt, StoreError> {
    let directory = root.open()?;
    let name = name(key);
    let client = match root.client(&directory, &name)? {
        Some(client) => client,
        None => {
            make_client(root, &directory, &name, key)?;
            root.client(&directory, &name)?
                .ok_or_else(|| root.error("lost a subdirectory that was just made"))?
        }
    };
    // The lock is on the directory itself, so that no cleaner can sweep it away; it ends with the descriptor.
    let lock = File::from(client);
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Attempt::Locked),
        Err(TryLockError::Error(error)) => {
            return Err(root.error("cannot be locked").with_source(error));
        }
    }
    // Whoever renamed or removed the directory in the meantime left us with a lock that locks nothing.
    let client = OwnedFd::from(lock);
    let there = root.client(&directory, &name)?;
    let there = there.map(|there| root.stat(&there)).transpose()?;
    let here = root.stat(&client)?;
    if there.is_none_or(|there| (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)) {
        return Ok(Attempt::Locked);
    }
    if read_record(root, &client, key)?.map(|stored| stored.version) != expected {
        return Ok(Attempt::Done(Written::Conflict));
    }
    let version = Version::random();
    let file = envelope::seal(version, key, record).map_err(|problem| root.error(&problem))?;
    let failed = |what: &str, error: io::Error| root.error(what).with_source(error);
    put(&client, NEXT, &file).map_err(|error| failed("cannot be written to", error))?;
    renameat(&client, NEXT, &client, RECORD)
        .map_err(|errno| failed("cannot be written to", errno.into()))?;
    match fsync(&client) {
        Ok(()) => Ok(Attempt::Done(Written::Written(version))),
        // The new record is there, and may be gone after a power cut.
        Err(_) => Ok(Attempt::Done(Written::Unknown)),
    }
}

fn read_record(
    root: &Root,
    client: &OwnedFd,
    key: &LedgerKey,
) -> Result<Option<Stored>, StoreError> {
    let lost = || {
        root.error("has a subdirectory whose record is gone; what it counted is not known any more")
    };
    let file = root.file(client, RECORD)?.ok_or_else(lost)?;
    let mut bytes = Vec::new();
    let read = file.take(envelope::LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| root.error("has a record that cannot be read").with_source(error))?;
    if bytes.len() as u64 > envelope::LONGEST {
        return Err(root.error("has a record that is longer than any that is written here"));
    }
    envelope::open(key, &bytes)
        .map_err(|problem| root.error(&format!("has a record that {problem}")))
}

/// Makes the subdirectory under another name with an empty record in it, and renames it: one without a record is then a
/// sign that a record was lost.
fn make_client(
    root: &Root,
    directory: &OwnedFd,
    name: &str,
    key: &LedgerKey,
) -> Result<(), StoreError> {
    let prepared = format!(".{name}.{:016x}", u64::from_le_bytes(random_bytes()));
    let made = (|| -> io::Result<()> {
        mkdirat(directory, &*prepared, Mode::from_raw_mode(0o700))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let client = openat(directory, &*prepared, flags, Mode::empty())?;
        put(&client, RECORD, &envelope::empty(key))?;
        fsync(&client)?;
        match renameat(directory, &*prepared, directory, name) {
            Ok(()) => Ok(fsync(directory)?),
            // Another process was quicker.
            Err(Errno::EXIST | Errno::NOTEMPTY) => {
                unlinkat(&client, RECORD, AtFlags::empty())?;
                Ok(unlinkat(directory, &*prepared, AtFlags::REMOVEDIR)?)
            }
            Err(errno) => Err(errno.into()),
        }
    })();
    made.map_err(|error| root.error("cannot be written to").with_source(error))
}

/// A new file with these bytes, synced. What a crashed writer left under the name is removed first.
fn put(client: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<()> {
    match unlinkat(client, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(client, name, flags, Mode::from_raw_mode(0o600))?);
    file.write_all(bytes)?;
    file.sync_all()
}
