//! Power cuts, kills and failed syncs at every change of a sequence of spends.

use super::super::directory::Root;
use super::super::simulated::{Bug, End, Random, Simulated};
use super::*;

/// Token requests that the issuer allows.
const LIMIT: u64 = 6;

/// How often the machine or the process goes down in one run, at most.
const LIVES: u32 = 6;

/// What may go wrong besides the ends.
#[derive(Clone, Copy)]
struct World {
    bug: Bug,
    fails_one_in: Option<u64>,
    /// Whether a write of unknown fate is made durable before it is looked up.
    confirms: bool,
}

const HONEST: World = World { bug: Bug::None, fails_one_in: None, confirms: true };
const FAILING: World = World { fails_one_in: Some(5), ..HONEST };

#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    ends: u64,
    /// Requests that were sent.
    sent: u64,
    /// Found in the record after a write of unknown fate, and sent.
    looked_up: u64,
    /// Runs that sent more than the limit.
    overspent: u64,
    /// Starts that found less in the record than was sent.
    forgotten: u64,
    /// Starts that found a record that cannot be read.
    closed: u64,
}

fn key() -> LedgerKey {
    LedgerKey::new("https://issuer.example/oauth/token", "client")
}

fn count(stored: Option<&Stored>) -> (u64, u64) {
    let Some(stored) = stored else { return (0, 0) };
    let record: serde_json::Value = serde_json::from_slice(&stored.record).unwrap();
    (record["n"].as_u64().unwrap(), record["last"].as_u64().unwrap())
}

enum Spent {
    Sent { looked_up: bool },
    NotSent,
    Exhausted,
}

/// What the renewal does: a spend is in the record before it is sent, and one of unknown fate is looked up.
fn spend(disk: &Simulated, id: u64, confirms: bool) -> Result<Spent, StoreError> {
    let stored = read(disk, &key())?;
    let (spent, _) = count(stored.as_ref());
    if spent >= LIMIT {
        return Ok(Spent::Exhausted);
    }
    let record = format!("{{\"n\":{},\"last\":{id}}}", spent + 1);
    let expected = stored.map(|stored| stored.version);
    match write(disk, &key(), expected, record.as_bytes())? {
        Attempt::Done(Written::Written(_)) => Ok(Spent::Sent { looked_up: false }),
        Attempt::Done(Written::Unknown) => {
            let stored = if confirms {
                match confirm(disk, &key())? {
                    Attempt::Done(stored) => stored,
                    Attempt::Locked => panic!("nobody else is there"),
                }
            } else {
                read(disk, &key())?
            };
            let is_mine = count(stored.as_ref()).1 == id;
            // A process that has ended sends nothing more.
            let sends = is_mine && !disk.has_ended();
            Ok(if sends { Spent::Sent { looked_up: true } } else { Spent::NotSent })
        }
        Attempt::Done(Written::Conflict) | Attempt::Locked => panic!("nobody else is there"),
    }
}

/// One run whose first process ends at a certain change. Whether it did: the last run of a sweep has no such change any more.
fn run(seed: u64, first: u64, world: World, tally: &mut Tally) -> bool {
    let disk = Simulated::new(seed ^ first.rotate_left(32), world.bug, world.fails_one_in);
    let mut random = Random::new(seed.wrapping_mul(31).wrapping_add(first));
    let (mut sent, mut id, mut reached) = (0, 0, false);
    tally.runs += 1;
    for life in 0..LIVES {
        let ends_at = if life == 0 { first } else { 1 + random.below(50) };
        disk.start((life + 1 < LIVES).then_some(ends_at));
        let (present, closed) = match read(&disk, &key()) {
            Ok(stored) => (count(stored.as_ref()).0, false),
            Err(_) => (0, true),
        };
        tally.closed += u64::from(closed);
        tally.forgotten += u64::from(!closed && present < sent);
        // A process that gets errors tries again, for a while.
        for _ in 0..2 * LIMIT {
            id += 1;
            match spend(&disk, id, world.confirms) {
                Ok(Spent::Sent { looked_up }) => {
                    sent += 1;
                    tally.looked_up += u64::from(looked_up);
                }
                Ok(Spent::Exhausted) => break,
                Ok(Spent::NotSent) | Err(_) if disk.has_ended() => break,
                Ok(Spent::NotSent) | Err(_) => {}
            }
        }
        reached |= life == 0 && disk.has_ended();
        tally.ends += 1;
        disk.end(if random.below(3) == 0 { End::Killed } else { End::PowerCut });
    }
    tally.sent += sent;
    tally.overspent += u64::from(sent > LIMIT);
    reached
}

fn sweep(seeds: u64, world: World) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..seeds {
        let points = (1..).take_while(|change| run(seed, *change, world, &mut tally)).count();
        assert!(points > 20, "only {points} changes: the sweep does not reach the writes");
    }
    assert!(tally.ends > 0 && tally.sent > 0, "{tally:?}");
    tally
}

// torture: F48
#[test]
fn whatever_a_power_cut_leaves_no_more_is_sent_than_the_limit() {
    let tally = sweep(120, HONEST);
    println!("power cuts: {tally:?}");
    assert_eq!((tally.overspent, tally.forgotten), (0, 0), "{tally:?}");
    assert_eq!(tally.closed, 0, "a power cut damages no record: {tally:?}");
}

// torture: F48
#[test]
fn nor_when_syncs_fail_and_their_writes_are_looked_up() {
    let tally = sweep(60, FAILING);
    println!("power cuts and failed syncs: {tally:?}");
    assert_eq!((tally.overspent, tally.forgotten), (0, 0), "{tally:?}");
    assert!(tally.looked_up > 0, "{tally:?}");
}

#[test]
fn without_the_directory_sync_the_simulation_finds_an_overspend() {
    let tally = sweep(3, World { bug: Bug::DirectorySync, ..HONEST });
    assert!(tally.overspent > 0 && tally.forgotten > 0, "{tally:?}");
}

#[test]
fn without_the_sync_of_the_way_to_it_the_simulation_finds_an_overspend() {
    for bug in [Bug::WaySync, Bug::SyncAbove] {
        let tally = sweep(10, World { bug, ..HONEST });
        assert!(tally.overspent > 0 && tally.forgotten > 0, "{bug:?}: {tally:?}");
    }
}

#[test]
fn without_the_file_sync_the_simulation_finds_damaged_records() {
    let tally = sweep(3, World { bug: Bug::FileSync, ..HONEST });
    assert!(tally.closed > 0, "{tally:?}");
    assert_eq!(tally.overspent, 0, "a damaged record is no empty one: {tally:?}");
}

#[test]
fn when_a_write_of_unknown_fate_is_believed_the_simulation_finds_an_overspend() {
    let tally = sweep(10, World { confirms: false, ..FAILING });
    assert!(tally.overspent > 0 && tally.forgotten > 0, "{tally:?}");
}

#[test]
fn a_write_syncs_the_file_and_the_directory_and_no_more() {
    let disk = Simulated::new(0, Bug::None, None);
    disk.start(None);
    for number in 0..LIMIT {
        let before = disk.syncs();
        assert!(matches!(spend(&disk, number, true), Ok(Spent::Sent { .. })));
        let syncs = disk.syncs() - before;
        assert!(number == 0 || syncs == 2, "write {number}: {syncs} syncs");
    }
}

/// A directory that is exchanged between the lock and the rename.
#[test]
fn nothing_is_written_to_a_directory_that_was_moved_away() {
    for moves_root in [false, true] {
        let scratch = tempfile::TempDir::new().unwrap();
        let (state, moved) = (scratch.path().join("state"), scratch.path().join("moved"));
        let disk = Root::new(&state, false).unwrap();
        assert!(matches!(write(&disk, &key(), None, b"1"), Ok(Attempt::Done(_))));
        let (version, name) = (Version::random(), name(&key()));
        let file = envelope::seal(version, &key(), b"2").unwrap();
        let held = Held::take(&disk, &key(), false).unwrap().unwrap();
        let record = if moves_root {
            std::fs::rename(&state, &moved).unwrap();
            std::fs::create_dir(&state).unwrap();
            moved.join(name).join(RECORD)
        } else {
            std::fs::rename(state.join(name), &moved).unwrap();
            moved.join(RECORD)
        };
        let before = std::fs::read(&record).unwrap();
        assert!(matches!(held.commit(version, &file, false), Ok(Attempt::Locked)));
        drop(held);
        assert_eq!(std::fs::read(&record).unwrap(), before);
        // Nobody was told that something was counted here.
        assert!(matches!(write(&disk, &key(), None, b"3"), Ok(Attempt::Done(Written::Written(_)))));
    }
}

/// What was there is damaged, and its replacement says that everything is spent.
#[test]
fn what_replaced_a_record_is_there_after_a_power_cut_at_whatever_change() {
    let (mut replaced, mut ends) = (0, 0);
    for seed in 0..100 {
        for change in 1.. {
            let disk = Simulated::new(seed, Bug::None, None);
            disk.start(None);
            assert!(matches!(spend(&disk, 1, true), Ok(Spent::Sent { .. })));
            disk.start(Some(change));
            let answer = replace(&disk, &key(), b"{\"n\":6,\"last\":0}");
            let is_replaced = matches!(answer, Ok(Attempt::Done(Written::Written(_))));
            disk.end(End::PowerCut);
            disk.start(None);
            // In between the record may be missing, which reads as an error.
            if let Ok(stored) = read(&disk, &key()) {
                let (spent, _) = count(stored.as_ref());
                assert!(spent == 6 || !is_replaced && spent == 1, "{seed} {change}: {spent}");
            } else {
                assert!(!is_replaced, "{seed} {change}");
            }
            replaced += u32::from(is_replaced);
            ends += 1;
            if is_replaced {
                break;
            }
        }
    }
    assert!(replaced == 100 && ends > 500, "{replaced} {ends}");
}
