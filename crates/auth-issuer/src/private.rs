//! Directories and files that are this user's alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// Makes `path` if it is not there, for this user alone.
///
/// # Errors
///
/// Those of the file system; and when there is one that belongs to another user, or that others can write to: they could put
/// a state of their own there, with a key that they know.
pub(crate) fn directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    check(path)
}

/// Opens a file, which is for this user alone if it is made now, and no symbolic link.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(path)
}

/// Opens a new file in the place of what was left over there.
pub(crate) fn anew(path: &Path) -> io::Result<File> {
    remove(path)?;
    open(path, OpenOptions::new().append(true).create_new(true))
}

/// What stands in a file; `None` if it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match open(path, OpenOptions::new().read(true)) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(bytes))
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Lets names in a directory outlive a machine that loses power.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(directory)?.sync_all(),
        false => Ok(()),
    }
}

#[cfg(unix)]
fn check(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    // Of what it leads to, if it is a link.
    let metadata = fs::metadata(path)?;
    let problem = if metadata.uid() != rustix::process::geteuid().as_raw() {
        "it belongs to another user: name a directory of your own"
    } else if metadata.mode() & 0o022 != 0 {
        "others can write to it: `chmod go-w` it, or name another one"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

#[cfg(not(unix))]
fn check(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        for (mode, is_good) in [(0o700, true), (0o755, true), (0o770, false), (0o1777, false)] {
            fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).unwrap();
            let refused = directory(scratch.path()).err().map(|error| error.to_string());
            assert_eq!(refused.is_none(), is_good, "{mode:o}");
            assert!(refused.is_none_or(|refused| refused.starts_with("others can write to it")));
        }
    }

    #[test]
    fn a_directory_of_another_user_is_refused_behind_a_link_too() {
        let scratch = tempfile::tempdir().unwrap();
        let theirs = scratch.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        // Only root can give a directory away; for everybody else there is root's.
        let theirs = match chown(&theirs, Some(12_345), None) {
            Ok(()) => theirs,
            Err(_) => "/".into(),
        };
        let link = scratch.path().join("link");
        symlink(&theirs, &link).unwrap();
        for path in [&theirs, &link] {
            let refused = directory(path).unwrap_err().to_string();
            assert!(refused.starts_with("it belongs to another user"), "{refused}");
        }
    }

    #[test]
    fn no_link_is_followed_and_a_new_file_is_no_old_one() {
        let scratch = tempfile::tempdir().unwrap();
        let (victim, link) = (scratch.path().join("victim"), scratch.path().join("link"));
        fs::write(&victim, "precious").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o666)).unwrap();
        symlink(&victim, &link).unwrap();
        assert!(open(&link, OpenOptions::new().write(true).create(true)).is_err());
        assert!(read(&link).is_err());
        anew(&link).unwrap();
        anew(&victim).unwrap();
        for path in [&link, &victim] {
            let metadata = fs::symlink_metadata(path).unwrap();
            assert_eq!((metadata.permissions().mode() & 0o777, metadata.len()), (0o600, 0));
            assert!(metadata.is_file());
        }
    }
}
