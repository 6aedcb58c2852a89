//! A lock among processes, which ends with the descriptor and so with the process.
//!
//! On Linux the directory itself is locked: no cleaner can sweep it away. Elsewhere, and where directories cannot be
//! locked, it is a file in it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, fchmod, openat, statat};
use rustix::io::{Errno, retry_on_intr};

use super::super::cell::StoreError;
use super::directory::{LockOn, Root};

const NAME: &str = ".lock";
const EBADF: i32 = Errno::BADF.raw_os_error();

#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    on: LockOn,
}

impl Lock {
    /// `None` while another process has it.
    pub(super) fn take(root: &Root, directory: &OwnedFd) -> Result<Option<Self>, StoreError> {
        if root.lock_on() == LockOn::FileInIt {
            return Self::take_file(root, directory);
        }
        let copy = directory.try_clone().map_err(|error| cannot(root, error))?;
        let lock = Self { file: File::from(copy), on: LockOn::Directory };
        match lock.file.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            // NFS locks only what is open for writing, which no directory is.
            Err(TryLockError::Error(error)) if error.raw_os_error() == Some(EBADF) => {
                Self::take_file(root, directory)
            }
            Err(TryLockError::Error(error)) => Err(cannot(root, error)),
        }
    }

    fn take_file(root: &Root, directory: &OwnedFd) -> Result<Option<Self>, StoreError> {
        let Some(file) = open(root, directory)? else { return Ok(None) };
        Self::lock_file(root, directory, file)
    }

    fn lock_file(root: &Root, directory: &OwnedFd, file: File) -> Result<Option<Self>, StoreError> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(cannot(root, error)),
        }
        // A file that was swept away between the two steps locks nothing.
        let lock = Self { file, on: LockOn::FileInIt };
        Ok(lock.is_met(root, directory)?.then_some(lock))
    }

    /// Whether others still meet this lock.
    pub(super) fn is_met(&self, root: &Root, directory: &OwnedFd) -> Result<bool, StoreError> {
        if self.on == LockOn::Directory {
            return Ok(true);
        }
        let here = root.stat(&self.file)?;
        match statat(directory, NAME, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) => Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(cannot(root, errno.into())),
        }
    }
}

impl Drop for Lock {
    /// Also for the copies of the descriptor: the directory's own, and those of a process that was forked meanwhile.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The lock's file, made if it is not there; `None` if it comes and goes.
fn open(root: &Root, directory: &OwnedFd) -> Result<Option<File>, StoreError> {
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let made =
        retry_on_intr(|| openat(directory, NAME, flags | OFlags::CREATE | OFlags::EXCL, mode));
    let file = match made {
        // Whatever the umask.
        Ok(file) => fchmod(&file, mode).map(|()| file),
        Err(Errno::EXIST) => retry_on_intr(|| openat(directory, NAME, flags, Mode::empty())),
        Err(errno) => Err(errno),
    };
    let file = match file {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => {
            return Err(root.problem("has a symbolic link in the place of a lock: remove it"));
        }
        Err(errno) => return Err(cannot(root, errno.into())),
    };
    root.check_file(&file, "lock")?;
    Ok(Some(file))
}

fn cannot(root: &Root, error: io::Error) -> StoreError {
    root.problem("cannot be locked").with_source(error)
}

#[cfg(test)]
mod tests;
