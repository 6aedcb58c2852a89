//! The state of an issuer in a directory: a snapshot, and a journal of the token requests since.
//!
//! A snapshot names its journal. A new one is written beside the old, put in its place by a rename, and begins a new journal,
//! so that no moment has a snapshot with the journal of another. What a process has written survives its death; a machine that
//! loses power may lose the last of it, which is good enough for development.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::private;

const SNAPSHOT: &str = "state.json";

/// The form of what is written: another one is not read.
const VERSION: u32 = 3;

/// How far a journal may grow before it is put into a snapshot, or before that is tried again, in bytes.
const STEP: u64 = 1024 * 1024;

/// A directory that belongs to this process while it lives.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    journal: Option<File>,
    /// How much is in the journal.
    length: u64,
    /// How much of it is long enough for a snapshot.
    due: u64,
    number: u64,
    /// Held, not read.
    _lock: File,
}

/// What stands in a directory: the snapshot, and the entries of its journal.
pub(crate) struct Found<S, E> {
    pub(crate) snapshot: S,
    pub(crate) entries: Vec<E>,
}

#[derive(serde::Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, serde::Deserialize)]
struct Envelope<S> {
    version: u32,
    journal: u64,
    state: S,
}

impl Directory {
    /// Opens `path`, which is made if it is not there, and reads what stands in it.
    ///
    /// The last line of a journal may be cut short, by a process that was killed while it wrote: what it told of was not
    /// answered, and it is left out.
    ///
    /// # Errors
    ///
    /// Those of the file system, another issuer that has the directory, and files that cannot be read.
    pub(crate) fn open<S, E>(path: &Path) -> io::Result<(Self, Option<Found<S, E>>)>
    where
        S: DeserializeOwned,
        E: DeserializeOwned,
    {
        private::directory(path)?;
        let lock = private::open(
            &path.join("lock"),
            OpenOptions::new().write(true).create(true).truncate(false),
        )?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "another issuer uses it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut directory = Self {
            path: path.to_owned(),
            journal: None,
            length: 0,
            due: STEP,
            number: 0,
            _lock: lock,
        };
        let Some(bytes) = private::read(&path.join(SNAPSHOT))? else {
            directory.remove_orphans()?;
            return Ok((directory, None));
        };
        // Before the rest, which another version has in another form.
        let Versioned { version } = serde_json::from_slice(&bytes)?;
        if version != VERSION {
            let text = format!(
                "{SNAPSHOT} has the version {version}, not {VERSION}: name another directory, or remove this one"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let envelope: Envelope<S> = serde_json::from_slice(&bytes)?;
        directory.number = envelope.journal;
        let entries = directory.entries()?;
        directory.remove_orphans()?;
        Ok((directory, Some(Found { snapshot: envelope.state, entries })))
    }

    /// Writes `state` in the place of what was there.
    ///
    /// # Errors
    ///
    /// Those of the file system; the old state is there then.
    pub(crate) fn replace(&mut self, state: &impl Serialize) -> io::Result<()> {
        let number = self.number + 1;
        let journal = private::anew(&self.journal_path(number))?;
        let envelope = Envelope { version: VERSION, journal: number, state };
        let new = self.path.join("state.json.new");
        let mut file = private::anew(&new)?;
        file.write_all(&serde_json::to_vec(&envelope)?)?;
        file.sync_all()?;
        fs::rename(&new, self.path.join(SNAPSHOT))?;
        // What is left of it is in no snapshot's name any more.
        let _ = fs::remove_file(self.journal_path(self.number));
        self.number = number;
        self.journal = Some(journal);
        (self.length, self.due) = (0, STEP);
        // It is in its place already, and is read from there by whoever comes next.
        if let Err(error) = private::sync(&self.path) {
            tracing::warn!(%error, "the state would not outlive a machine that loses power now");
        }
        Ok(())
    }

    /// Writes one more entry; whether the journal is long enough for a new snapshot. It says so once for each step that it
    /// grows.
    ///
    /// # Errors
    ///
    /// Those of the file system; the entry may be there or not.
    pub(crate) fn append(&mut self, entry: &impl Serialize) -> io::Result<bool> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let journal = self.journal.as_mut().ok_or(io::ErrorKind::NotFound)?;
        if let Err(error) = journal.write_all(&line) {
            // Half of the line may be there, and nothing may come to stand behind it: a snapshot has to be next.
            self.journal = None;
            return Err(error);
        }
        self.length += line.len() as u64;
        let is_due = self.length > self.due;
        if is_due {
            self.due = self.length + STEP;
        }
        Ok(is_due)
    }

    /// Whether a line could not be written: a snapshot has to be next.
    pub(crate) fn is_broken(&self) -> bool {
        self.journal.is_none()
    }

    /// As if a line could not be written.
    #[cfg(test)]
    pub(crate) fn break_journal(&mut self) {
        self.journal = None;
    }

    fn entries<E: DeserializeOwned>(&self) -> io::Result<Vec<E>> {
        let path = self.journal_path(self.number);
        let file = match private::open(&path, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::new(file);
        let mut entries = Vec::new();
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.last() != Some(&b'\n') {
                break;
            }
            entries.push(serde_json::from_slice(&line)?);
            line.clear();
        }
        Ok(entries)
    }

    /// Removes the journals that no snapshot names, of processes that were killed while they changed from one to the next.
    fn remove_orphans(&self) -> io::Result<()> {
        let current = self.journal_path(self.number);
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| {
                name.strip_prefix("requests-")?.strip_suffix(".jsonl")?.parse::<u64>().ok()
            });
            if number.is_some() && entry.path() != current {
                private::remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn journal_path(&self, number: u64) -> PathBuf {
        self.path.join(format!("requests-{number}.jsonl"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> (Directory, Option<(String, Vec<u32>)>) {
        let (directory, found) = Directory::open::<String, u32>(path).unwrap();
        (directory, found.map(|found| (found.snapshot, found.entries)))
    }

    #[test]
    fn what_was_written_is_found_and_a_line_that_was_cut_short_is_left_out() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        let (mut directory, found) = open(&path);
        assert_eq!(found, None);
        directory.replace(&"first").unwrap();
        directory.append(&1).unwrap();
        directory.append(&2).unwrap();
        drop(directory);

        let journal = path.join("requests-1.jsonl");
        let mut bytes = fs::read(&journal).unwrap();
        bytes.extend(b"3");
        fs::write(&journal, bytes).unwrap();
        let (mut directory, found) = open(&path);
        assert_eq!(found, Some(("first".to_owned(), vec![1, 2])));
        directory.replace(&"second").unwrap();
        assert!(!journal.exists());
        drop(directory);
        assert_eq!(open(&path).1, Some(("second".to_owned(), vec![])));
    }

    #[test]
    fn after_a_line_that_could_not_be_written_there_is_no_journal_but_a_snapshot_next() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut directory, _) = open(scratch.path());
        directory.replace(&"first").unwrap();
        directory.append(&1).unwrap();
        let path = scratch.path().join("requests-1.jsonl");
        // Half of the line fits on the disk.
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(b"2");
        fs::write(&path, bytes).unwrap();
        let healthy = directory.journal.replace(File::open(&path).unwrap());
        assert!(directory.append(&23).is_err());
        // Room is made; but what is appended now would be read as one line with that.
        assert!(directory.journal.is_none());
        drop(healthy);
        assert!(directory.append(&4).is_err());
        directory.replace(&"first, 1, 23, 4").unwrap();
        directory.append(&5).unwrap();
        drop(directory);
        assert_eq!(open(scratch.path()).1, Some(("first, 1, 23, 4".to_owned(), vec![5])));
    }

    #[test]
    fn a_second_issuer_is_kept_out() {
        let scratch = tempfile::tempdir().unwrap();
        let (_first, _) = open(scratch.path());
        let error = Directory::open::<String, u32>(scratch.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "another issuer uses it");
    }

    #[test]
    fn a_state_that_cannot_be_read_is_an_error_and_no_fresh_start() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join(SNAPSHOT), "{").unwrap();
        assert!(Directory::open::<String, u32>(scratch.path()).is_err());
        fs::write(scratch.path().join(SNAPSHOT), r#"{"version":1,"journal":1,"state":7}"#).unwrap();
        let error = Directory::open::<String, u32>(scratch.path()).map(|_| ()).unwrap_err();
        let text =
            "state.json has the version 1, not 3: name another directory, or remove this one";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn journals_that_no_snapshot_names_are_removed_and_nothing_else_is() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut directory, _) = open(scratch.path());
        for state in ["first", "second"] {
            directory.replace(&state).unwrap();
        }
        directory.append(&1).unwrap();
        drop(directory);
        let at = |name: &str| scratch.path().join(name);
        for name in ["requests-1.jsonl", "requests-3.jsonl", "requests-x.jsonl", "requests-1.txt"] {
            fs::write(at(name), "7").unwrap();
        }
        let (mut directory, found) = open(scratch.path());
        assert_eq!(found, Some(("second".to_owned(), vec![1])));
        assert!(!at("requests-1.jsonl").exists() && !at("requests-3.jsonl").exists());
        assert!(at("requests-2.jsonl").exists());
        assert!(at("requests-x.jsonl").exists() && at("requests-1.txt").exists());
        // Nor is one read that comes to be there afterwards.
        fs::write(at("requests-3.jsonl"), "7\n").unwrap();
        directory.replace(&"third").unwrap();
        drop(directory);
        assert_eq!(open(scratch.path()).1, Some(("third".to_owned(), vec![])));
    }

    #[cfg(unix)]
    #[test]
    fn what_others_have_put_there_is_neither_followed_nor_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let scratch = tempfile::tempdir().unwrap();
        let (state, victim) = (scratch.path().join("state"), scratch.path().join("victim"));
        let (mut directory, _) = open(&state);
        let planted = state.join("state.json.new");
        fs::write(&planted, "").unwrap();
        fs::set_permissions(&planted, fs::Permissions::from_mode(0o666)).unwrap();
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, state.join("requests-1.jsonl")).unwrap();
        directory.replace(&"x").unwrap();
        directory.append(&1).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        let mode = fs::metadata(state.join(SNAPSHOT)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(directory);
        fs::remove_file(state.join("lock")).unwrap();
        symlink(&victim, state.join("lock")).unwrap();
        assert!(Directory::open::<String, u32>(&state).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("state");
        let (mut directory, _) = open(&path);
        directory.replace(&"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for entry in fs::read_dir(&path).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }

    /// A snapshot that was put back from a copy is older than what lies beside it.
    #[test]
    fn what_is_left_of_another_journal_of_the_same_number_is_not_read() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut directory, _) = open(scratch.path());
        fs::write(scratch.path().join("requests-1.jsonl"), "7\n").unwrap();
        directory.replace(&"first").unwrap();
        directory.append(&1).unwrap();
        drop(directory);
        assert_eq!(open(scratch.path()).1, Some(("first".to_owned(), vec![1])));
    }

    #[test]
    fn a_new_journal_is_short_again() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut directory, _) = open(scratch.path());
        directory.replace(&"first").unwrap();
        assert!(directory.append(&"x".repeat(1 << 20)).unwrap());
        directory.replace(&"second").unwrap();
        assert!(!directory.append(&"x").unwrap());
    }
}
