//! Real time, and how much of it a thread had for itself.

use std::time::{Duration, Instant};

/// The time, by the clock that runs evenly.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#[inline]
pub fn now() -> Instant {
    Instant::now()
}

/// Lets time pass on this thread.
#[expect(clippy::disallowed_methods, reason = "a benchmark keeps a rate")]
pub fn sleep(length: Duration) {
    std::thread::sleep(length);
}

/// The CPU time of this thread, where the platform tells it.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

/// Both clocks of this thread at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
    cpu: Option<Duration>,
}

/// From when to when a thread worked.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// The first moment.
    pub started: Instant,
    /// The last.
    pub ended: Instant,
    cpu: Option<Duration>,
}

impl Stopwatch {
    /// Begins.
    pub fn start() -> Self {
        Self { cpu: cpu_time(), started: now() }
    }

    /// Ends, on the same thread.
    pub fn stop(self) -> Lap {
        let ended = now();
        let cpu = self.cpu.zip(cpu_time()).map(|(before, after)| after.saturating_sub(before));
        Lap { started: self.started, ended, cpu }
    }
}

impl Lap {
    /// By the wall.
    pub fn length(&self) -> Duration {
        self.ended - self.started
    }

    /// Whether the thread had a core for itself: hardly more time passed than it was running.
    pub fn is_calm(&self) -> bool {
        self.cpu.is_none_or(|cpu| self.length().as_secs_f64() <= 1.12 * cpu.as_secs_f64())
    }
}
