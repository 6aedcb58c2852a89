//! Directories and files that can be trusted: the owner's own, open to nobody else, and where they seem to be.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, chmod, fstat, mkdir, openat};
use rustix::io::{Errno, retry_on_intr};
use sha2::{Digest, Sha256};

use super::super::cell::{LedgerKey, StoreError};

const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// What is locked for a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LockOn {
    Directory,
    FileInIt,
}

impl LockOn {
    const HERE: Self = if cfg!(target_os = "linux") { Self::Directory } else { Self::FileInIt };
}

/// The directory that the user named.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    any_file_system: bool,
    lock_on: LockOn,
}

impl Root {
    pub(super) fn new(path: &Path, any_file_system: bool) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let root = Self { path, any_file_system, lock_on: LockOn::HERE };
        make(&root.path).map_err(|error| root.problem("cannot be made").with_source(error))?;
        root.open()?;
        Ok(root)
    }

    /// Opened and checked anew for each use: it may have been exchanged since.
    pub(super) fn open(&self) -> Result<OwnedFd, StoreError> {
        let directory = open_again(CWD, &self.path, DIRECTORY).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => {
                self.problem("is a symbolic link, or no directory: name the directory itself")
            }
            Errno::NOENT => self.problem("is gone; what it counted is not known any more"),
            errno => self.problem("cannot be opened").with_source(io::Error::from(errno)),
        })?;
        let stat = self.stat(&directory)?;
        self.check_owner(&stat)?;
        if stat.st_mode & 0o022 != 0 {
            return Err(self
                .problem("can be written to by others: `chmod go-w` it, or name one of your own"));
        }
        self.check_file_system(&directory)?;
        Ok(directory)
    }

    /// The subdirectory of one client, opened and checked; `None` if it was never made.
    pub(super) fn subdirectory(
        &self,
        root: &OwnedFd,
        name: &str,
    ) -> Result<Option<OwnedFd>, StoreError> {
        let client = match open_again(root, Path::new(name), DIRECTORY) {
            Ok(client) => client,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(self.problem(&format!(
                    "has something else than a directory at `{name}`: remove it"
                )));
            }
            Err(errno) => {
                return Err(self.problem("cannot be read").with_source(io::Error::from(errno)));
            }
        };
        let stat = self.stat(&client)?;
        self.check_owner(&stat)?;
        if stat.st_mode & 0o077 != 0 {
            return Err(self.problem(&format!(
                "has a subdirectory `{name}` that is open to others: `chmod 0700` it"
            )));
        }
        Ok(Some(client))
    }

    /// A file in a subdirectory, for reading, opened and checked; `None` if it is not there. A FIFO does not hang it.
    pub(super) fn file(&self, client: &OwnedFd, name: &str) -> Result<Option<File>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match open_again(client, Path::new(name), flags) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => {
                return Err(self.problem("has a symbolic link in the place of a record: remove it"));
            }
            Err(errno) => {
                return Err(self
                    .problem("has a record that cannot be opened")
                    .with_source(io::Error::from(errno)));
            }
        };
        let file = File::from(file);
        self.check_file(&file, "record")?;
        Ok(Some(file))
    }

    pub(super) fn check_file(&self, file: &File, what: &str) -> Result<(), StoreError> {
        let stat = self.stat(file)?;
        self.check_owner(&stat)?;
        // One that has no name any more was replaced since it was opened.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
            return Err(self.problem(&format!(
                "has something else than a plain file in the place of a {what}: remove it"
            )));
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(
                self.problem(&format!("has a {what} that is open to others: `chmod 0600` it"))
            );
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn lock_on(&self) -> LockOn {
        self.lock_on
    }

    #[cfg(test)]
    pub(super) fn with_lock_on(self, lock_on: LockOn) -> Self {
        Self { lock_on, ..self }
    }

    pub(super) fn problem(&self, problem: &str) -> StoreError {
        StoreError::new(format!("the state directory {} {problem}", self.path.display()))
    }

    pub(super) fn stat(&self, fd: impl AsFd) -> Result<Stat, StoreError> {
        fstat(fd)
            .map_err(|errno| self.problem("cannot be examined").with_source(io::Error::from(errno)))
    }

    fn check_owner(&self, stat: &Stat) -> Result<(), StoreError> {
        if stat.st_uid == rustix::process::geteuid().as_raw() {
            Ok(())
        } else {
            Err(self
                .problem("belongs to another user, or something in it does: name one of your own"))
        }
    }

    #[cfg(target_os = "linux")]
    fn check_file_system(&self, directory: &OwnedFd) -> Result<(), StoreError> {
        // statfs(2): NFS, SMB, SMB2, CIFS, FUSE, 9P, Ceph, AFS, Coda, GFS2, OCFS2, Lustre.
        const REMOTE: [u32; 12] = [
            0x6969,
            0x517B,
            0xFE53_4D42,
            0xFF53_4D42,
            0x6573_5546,
            0x0102_1997,
            0x00C3_6400,
            0x5346_414F,
            0x7375_7245,
            0x0116_1970,
            0x7461_636F,
            0x0BD0_0BD0,
        ];
        if self.any_file_system {
            return Ok(());
        }
        let stat = rustix::fs::fstatfs(directory).map_err(|errno| {
            self.problem("cannot be examined").with_source(io::Error::from(errno))
        })?;
        // The kernel's magic numbers are 32 bits, however wide the field is.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the upper half is empty"
        )]
        let magic = stat.f_type as u32;
        if REMOTE.contains(&magic) {
            return Err(self.problem(
                "is on a network or FUSE file system, whose locks and renames may not hold: name a local one, or say with \
                 `allow_any_file_system` that this one does",
            ));
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn check_file_system(&self, _: &OwnedFd) -> Result<(), StoreError> {
        let _ = self.any_file_system;
        Ok(())
    }
}

/// Makes what is missing of the path. It is synced with the first record that counts on it.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    match mkdir(path, Mode::RWXU) {
        // Whatever the umask.
        Ok(()) => Ok(chmod(path, Mode::RWXU)?),
        Err(Errno::EXIST) if path.is_dir() => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn open_again(directory: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    retry_on_intr(|| openat(&directory, path, flags, Mode::empty()))
}

/// The name of a client's subdirectory: a hash of its key, since the key may be of any length and have any character.
pub(super) fn name(key: &LedgerKey) -> String {
    let hash = Sha256::digest(key.as_str());
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
