//! Rounds: the same work on some threads at once, pinned, with a common start.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, LazyLock};
use std::thread;
use std::time::Duration;

use core_affinity::CoreId;

use crate::clock::{Lap, Stopwatch};
use crate::work::{Case, block_on};

/// Before the figures, this share of the calls warms up.
const WARM_UP: u64 = 20;

/// The cores that this process may run on; asked once, before any thread is pinned.
pub fn cores() -> &'static [CoreId] {
    static CORES: LazyLock<Vec<CoreId>> =
        LazyLock::new(|| core_affinity::get_core_ids().unwrap_or_default());
    &CORES
}

/// How many cores there are to measure on; at least one.
pub fn core_count() -> usize {
    cores().len().max(1)
}

/// Keeps this thread on one core: the first, the second, and so on, all over again. Whatever it starts stays there too, so
/// the main thread is never pinned.
pub fn pin(thread: usize) {
    let cores = cores();
    if !cores.is_empty() {
        core_affinity::set_for_current(cores[thread % cores.len()]);
    }
}

/// Does this on a pinned thread of its own.
pub fn pinned<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(0);
            work()
        });
        thread.join().expect("no measurement panics")
    })
}

/// What came of a round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Nanoseconds per call and core.
    pub nanoseconds: f64,
    /// Every thread had a core for itself, and all worked at the same time.
    pub calm: bool,
}

/// One round of a case.
pub fn round(case: &Case, threads: usize, calls: u64) -> Round {
    let alone = threads <= core_count();
    let (barrier, gate) = (Barrier::new(threads), AtomicUsize::new(0));
    let run = |thread: usize| {
        pin(thread);
        let mut work = case.work();
        block_on(work.run(calls / WARM_UP + 1));
        barrier.wait();
        gate.fetch_add(1, SeqCst);
        // Threads that share a core must not spin: the ones that they wait for could not run.
        while alone && gate.load(SeqCst) < threads {
            std::hint::spin_loop();
        }
        let stopwatch = Stopwatch::start();
        block_on(work.run(calls));
        stopwatch.stop()
    };
    let run = &run;
    let laps: Vec<Lap> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no case panics")).collect()
    });
    summary(&laps, calls, alone)
}

/// What came of the threads' laps of so many calls each; whether each thread was to have a core for itself.
pub fn summary(laps: &[Lap], calls: u64, alone: bool) -> Round {
    let threads = laps.len() as f64;
    let calls = calls as f64;
    let nanoseconds = |length: Duration| length.as_nanos() as f64;
    let first = laps.iter().map(|lap| lap.started).min().expect("a thread");
    let last = laps.iter().map(|lap| lap.ended).max().expect("a thread");
    if !alone {
        let all = nanoseconds(last - first) * core_count() as f64;
        return Round { nanoseconds: all / (threads * calls), calm: false };
    }
    let sum: f64 = laps.iter().map(|lap| nanoseconds(lap.length())).sum();
    let longest = laps.iter().map(|lap| nanoseconds(lap.length())).fold(0.0, f64::max);
    let all_started = laps.iter().map(|lap| lap.started).max().expect("a thread");
    let first_ended = laps.iter().map(|lap| lap.ended).min().expect("a thread");
    let together = nanoseconds(first_ended.saturating_duration_since(all_started)) / longest;
    let calm = laps.iter().all(Lap::is_calm) && together > 0.8;
    Round { nanoseconds: sum / threads / calls, calm }
}

/// How many calls of a case each of so many threads makes in about this long.
pub fn calls_in(case: &Case, threads: usize, length: Duration) -> u64 {
    let nanoseconds = round(case, threads, 2_000).nanoseconds.max(1.0);
    ((length.as_nanos() as f64 / nanoseconds) as u64).max(500)
}
