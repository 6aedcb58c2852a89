//! What the protocol asks of a disk. The tests answer it with one that loses power.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, chmodat, fchmod, fsync, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::super::cell::StoreError;
use super::directory::Root;
use super::lock::Lock;

pub(super) trait Disk: Send + Sync + 'static {
    type Directory;
    type File;
    /// Held while it lives.
    type Lock;

    /// The directory that the user named, opened and checked.
    fn root(&self) -> Result<Self::Directory, StoreError>;

    /// A subdirectory of it, opened and checked; `None` if it is not there.
    fn client(
        &self,
        root: &Self::Directory,
        name: &str,
    ) -> Result<Option<Self::Directory>, StoreError>;

    /// A file that can be trusted, up to so many bytes; `None` if it is not there.
    fn read(
        &self,
        directory: &Self::Directory,
        name: &str,
        longest: u64,
    ) -> Result<Option<Vec<u8>>, StoreError>;

    fn is_same(&self, one: &Self::Directory, other: &Self::Directory) -> Result<bool, StoreError>;

    /// `None` while another has it.
    fn lock(&self, directory: &Self::Directory) -> Result<Option<Self::Lock>, StoreError>;

    /// Whether others still meet the lock that is held.
    fn locks(&self, directory: &Self::Directory, lock: &Self::Lock) -> Result<bool, StoreError>;

    /// Makes a subdirectory, if it is not there.
    fn make(&self, parent: &Self::Directory, name: &str) -> io::Result<()>;

    /// A new file with these bytes, not synced.
    fn create(
        &self,
        directory: &Self::Directory,
        name: &str,
        bytes: &[u8],
    ) -> io::Result<Self::File>;

    fn rename(&self, directory: &Self::Directory, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, if it is there.
    fn remove(&self, directory: &Self::Directory, name: &str) -> io::Result<()>;

    /// Removes an empty subdirectory, if it is there.
    fn remove_directory(&self, parent: &Self::Directory, name: &str) -> io::Result<()>;

    fn sync_file(&self, file: &Self::File) -> io::Result<()>;

    fn sync(&self, directory: &Self::Directory) -> io::Result<()>;

    /// Syncs the directory that the user named, and what is above it.
    fn sync_way(&self, root: &Self::Directory) -> io::Result<()>;

    fn error(&self, problem: &str) -> StoreError;
}

/// The real one.
impl Disk for Root {
    type Directory = OwnedFd;
    type File = File;
    type Lock = Lock;

    fn root(&self) -> Result<OwnedFd, StoreError> {
        self.open()
    }

    fn client(&self, root: &OwnedFd, name: &str) -> Result<Option<OwnedFd>, StoreError> {
        self.subdirectory(root, name)
    }

    fn read(
        &self,
        directory: &OwnedFd,
        name: &str,
        longest: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(file) = self.file(directory, name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(longest)
            .read_to_end(&mut bytes)
            .map_err(|error| self.error("has a record that cannot be read").with_source(error))?;
        Ok(Some(bytes))
    }

    fn is_same(&self, one: &OwnedFd, other: &OwnedFd) -> Result<bool, StoreError> {
        let (one, other) = (self.stat(one)?, self.stat(other)?);
        Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
    }

    fn lock(&self, directory: &OwnedFd) -> Result<Option<Lock>, StoreError> {
        Lock::take(self, directory)
    }

    fn locks(&self, directory: &OwnedFd, lock: &Lock) -> Result<bool, StoreError> {
        lock.is_met(self, directory)
    }

    fn make(&self, parent: &OwnedFd, name: &str) -> io::Result<()> {
        match mkdirat(parent, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Whatever the umask. Another process may have made it, and renamed it by now.
        match chmodat(parent, name, Mode::RWXU, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn create(&self, directory: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<File> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(retry_on_intr(|| openat(directory, name, flags, mode))?);
        // Whatever the umask.
        fchmod(&file, mode)?;
        file.write_all(bytes)?;
        Ok(file)
    }

    fn rename(&self, directory: &OwnedFd, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(directory, from, directory, to)?)
    }

    fn remove(&self, directory: &OwnedFd, name: &str) -> io::Result<()> {
        removed(unlinkat(directory, name, AtFlags::empty()))
    }

    fn remove_directory(&self, parent: &OwnedFd, name: &str) -> io::Result<()> {
        removed(unlinkat(parent, name, AtFlags::REMOVEDIR))
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn sync(&self, directory: &OwnedFd) -> io::Result<()> {
        Ok(retry_on_intr(|| fsync(directory))?)
    }

    fn sync_way(&self, root: &OwnedFd) -> io::Result<()> {
        self.sync(root)?;
        self.path().ancestors().skip(1).try_for_each(sync_above)
    }

    fn error(&self, problem: &str) -> StoreError {
        self.problem(problem)
    }
}

fn removed(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// What this user may not look at, or the file system cannot sync, is nothing that a directory was made in.
fn sync_above(path: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let synced = retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))
        .and_then(|directory| retry_on_intr(|| fsync(&directory)));
    match synced {
        Err(Errno::ACCESS | Errno::PERM | Errno::NOENT) => Ok(()),
        Err(Errno::INVAL | Errno::ROFS | Errno::OPNOTSUPP) => Ok(()),
        synced => Ok(synced?),
    }
}
