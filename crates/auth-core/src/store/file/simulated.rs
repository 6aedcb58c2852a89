//! A disk that loses power, gets its processes killed, and fails to sync: for tests.
//!
//! What was not synced may be there afterwards or not: each entry of a directory on its own, and the bytes of a file apart from
//! its name. A bug can be planted in it.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::cell::StoreError;
use super::disk::Disk;

const ABOVE: usize = 0;
const NAMED: &str = "state";

/// What the disk does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    FileSync,
    DirectorySync,
    /// Only the directory that the user named, and what is above it.
    WaySync,
    /// Only what is above it.
    SyncAbove,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Killed,
    PowerCut,
}

pub(super) struct Simulated {
    state: Mutex<State>,
    stall: Mutex<Option<(Sender<()>, Receiver<Fate>)>>,
}

/// What becomes of a sync that stalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Succeeds,
    Fails,
}

struct State {
    inodes: Vec<Inode>,
    random: Random,
    bug: Bug,
    /// The change in whose middle the process ends, counted from the last start.
    ends_at: Option<u64>,
    changes: u64,
    has_ended: bool,
    /// One sync in so many fails.
    fails_one_in: Option<u64>,
    syncs: u64,
}

enum Inode {
    File {
        bytes: Vec<u8>,
        is_synced: bool,
    },
    /// What each name has led to since it was last synced; the last is what it leads to now.
    Directory(BTreeMap<String, Vec<Option<usize>>>),
}

impl Simulated {
    pub(super) fn new(seed: u64, bug: Bug, fails_one_in: Option<u64>) -> Self {
        let state = Mutex::new(State {
            inodes: vec![Inode::Directory(BTreeMap::new())],
            random: Random::new(seed),
            bug,
            ends_at: None,
            changes: 0,
            has_ended: false,
            fails_one_in,
            syncs: 0,
        });
        Self { state, stall: Mutex::default() }
    }

    /// The next sync of a directory says that it has begun, and goes on when it is told its fate.
    pub(super) fn stall(&self) -> (Receiver<()>, Sender<Fate>) {
        let ((began, has_begun), (tell, fate)) = (mpsc::channel(), mpsc::channel());
        *self.stall.lock().unwrap() = Some((began, fate));
        (has_begun, tell)
    }

    /// Starts a process, which makes the directory that the user named, if it is not there.
    pub(super) fn start(&self, ends_at: Option<u64>) {
        let mut state = self.state();
        (state.ends_at, state.changes, state.has_ended) = (ends_at, 0, false);
        if state.find(ABOVE, NAMED).is_none() {
            let named = state.add(Inode::Directory(BTreeMap::new()));
            state.set(ABOVE, NAMED, Some(named));
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().has_ended
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    pub(super) fn end(&self, how: End) {
        let mut state = self.state();
        state.has_ended = true;
        if how == End::PowerCut {
            state.cut_power();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change, which may be the one in whose middle the process ends.
    fn change<T>(&self, change: impl FnOnce(&mut State, bool) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        if state.has_ended {
            return Err(io::Error::other("the process has ended"));
        }
        state.changes += 1;
        if state.ends_at != Some(state.changes) {
            return change(&mut state, false);
        }
        state.has_ended = true;
        if state.random.below(2) == 0 {
            let _ = change(&mut state, true);
        }
        Err(io::Error::other("the process ends"))
    }

    fn sync_one(&self, directory: usize) -> io::Result<()> {
        let stall = self.stall.lock().unwrap().take();
        let fate = stall.map(|(began, fate)| {
            began.send(()).unwrap();
            fate.recv().unwrap()
        });
        self.change(|state, _| {
            let fails = state.fails() || fate == Some(Fate::Fails);
            let ignored = match state.bug {
                Bug::DirectorySync => true,
                Bug::WaySync => directory == ABOVE || Some(directory) == state.find(ABOVE, NAMED),
                Bug::SyncAbove => directory == ABOVE,
                Bug::None | Bug::FileSync => false,
            };
            if !ignored && !fails {
                state.settle(directory, true);
            }
            if fails { Err(io::Error::other("the sync failed")) } else { Ok(()) }
        })
    }
}

impl State {
    fn find(&self, directory: usize, name: &str) -> Option<usize> {
        match &self.inodes[directory] {
            Inode::Directory(entries) => entries.get(name).and_then(|past| past.last().copied()?),
            Inode::File { .. } => None,
        }
    }

    fn set(&mut self, directory: usize, name: &str, to: Option<usize>) {
        if let Inode::Directory(entries) = &mut self.inodes[directory] {
            entries.entry(name.to_owned()).or_insert_with(|| vec![None]).push(to);
        }
    }

    fn add(&mut self, inode: Inode) -> usize {
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    fn fails(&mut self) -> bool {
        self.syncs += 1;
        self.fails_one_in.is_some_and(|many| self.random.below(many) == 0)
    }

    /// From now on each name has led to one thing only: to the last, or to any of those that it led to.
    fn settle(&mut self, directory: usize, to_the_last: bool) {
        let Self { inodes, random, .. } = self;
        if let Inode::Directory(entries) = &mut inodes[directory] {
            for past in entries.values_mut() {
                let last = past.len() - 1;
                let chosen = if to_the_last { last } else { random.index(past.len()) };
                *past = vec![past[chosen]];
            }
        }
    }

    fn cut_power(&mut self) {
        for inode in 0..self.inodes.len() {
            self.settle(inode, false);
            let Self { inodes, random, .. } = self;
            if let Inode::File { bytes, is_synced } = &mut inodes[inode]
                && !*is_synced
            {
                tear(bytes, random);
                *is_synced = true;
            }
        }
    }
}

/// Whole, empty, the beginning alone, or the beginning with zeros or garbage behind it.
fn tear(bytes: &mut Vec<u8>, random: &mut Random) {
    let whole = bytes.len();
    let kept = random.index(whole + 1);
    match random.below(5) {
        0 => {}
        1 => bytes.clear(),
        2 => bytes.truncate(kept),
        3 => bytes[kept..].fill(0),
        _ => bytes[kept..].iter_mut().for_each(|byte| *byte = random.next().to_le_bytes()[0]),
    }
}

impl Disk for Simulated {
    type Directory = usize;
    type File = usize;
    type Lock = ();

    fn root(&self) -> Result<usize, StoreError> {
        self.state().find(ABOVE, NAMED).ok_or_else(|| self.error("is gone"))
    }

    fn client(&self, root: &usize, name: &str) -> Result<Option<usize>, StoreError> {
        Ok(self.state().find(*root, name))
    }

    fn read(
        &self,
        directory: &usize,
        name: &str,
        _longest: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.state();
        Ok(state.find(*directory, name).and_then(|file| match &state.inodes[file] {
            Inode::File { bytes, .. } => Some(bytes.clone()),
            Inode::Directory(_) => None,
        }))
    }

    fn is_same(&self, one: &usize, other: &usize) -> Result<bool, StoreError> {
        Ok(one == other)
    }

    // There is one process at a time.
    fn lock(&self, _: &usize) -> Result<Option<()>, StoreError> {
        Ok(Some(()))
    }

    fn locks(&self, _: &usize, (): &()) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn make(&self, parent: &usize, name: &str) -> io::Result<()> {
        self.change(|state, _| {
            if state.find(*parent, name).is_none() {
                let made = state.add(Inode::Directory(BTreeMap::new()));
                state.set(*parent, name, Some(made));
            }
            Ok(())
        })
    }

    fn create(&self, directory: &usize, name: &str, bytes: &[u8]) -> io::Result<usize> {
        self.change(|state, ends| {
            assert_eq!(state.find(*directory, name), None, "a new file has a name of its own");
            // Whoever is killed in the middle of it has written a part.
            let written = if ends { state.random.index(bytes.len() + 1) } else { bytes.len() };
            let file = Inode::File { bytes: bytes[..written].to_vec(), is_synced: false };
            let file = state.add(file);
            state.set(*directory, name, Some(file));
            Ok(file)
        })
    }

    fn rename(&self, directory: &usize, from: &str, to: &str) -> io::Result<()> {
        self.change(|state, _| {
            let moved = state.find(*directory, from).ok_or(io::ErrorKind::NotFound)?;
            state.set(*directory, to, Some(moved));
            state.set(*directory, from, None);
            Ok(())
        })
    }

    fn remove(&self, directory: &usize, name: &str) -> io::Result<()> {
        self.change(|state, _| {
            if state.find(*directory, name).is_some() {
                state.set(*directory, name, None);
            }
            Ok(())
        })
    }

    fn remove_directory(&self, parent: &usize, name: &str) -> io::Result<()> {
        self.remove(parent, name)
    }

    fn sync_file(&self, file: &usize) -> io::Result<()> {
        self.change(|state, _| {
            if state.fails() {
                // What the kernel could not write it forgets, and the next sync succeeds.
                return Err(io::Error::other("the sync failed"));
            }
            let does_sync = state.bug != Bug::FileSync;
            if let Inode::File { is_synced, .. } = &mut state.inodes[*file] {
                *is_synced |= does_sync;
            }
            Ok(())
        })
    }

    fn sync(&self, directory: &usize) -> io::Result<()> {
        self.sync_one(*directory)
    }

    fn sync_way(&self, root: &usize) -> io::Result<()> {
        self.sync_one(*root)?;
        self.sync_one(ABOVE)
    }

    fn error(&self, problem: &str) -> StoreError {
        StoreError::new(format!("the simulated directory {problem}"))
    }
}

/// Steele, Lea and Flood's splitmix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("less than a length")
    }
}
