//! The one place that asks what time it is.
//!
//! Expiry is a matter of *wall-clock* time, since a machine that was suspended must notice that its token died. Spending is
//! a matter of both clocks: within one boot the smaller of the two elapsed times counts, so that setting the clock forward
//! opens no slot in the quota.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::id::BootId;

/// Where time comes from. [`SystemClock`] is the default; tests inject their own.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall clock, as cheap as the platform has it. Read once for every request, so a few milliseconds of coarseness
    /// (4 ms on Linux) are a good trade.
    fn coarse(&self) -> Timestamp;

    /// The wall clock and the boot clock, exactly.
    fn now(&self) -> Now;

    /// Whether the boot clock goes on while the machine is suspended. One that does not cannot tell a suspended machine from
    /// a wall clock that was set forward, so a token whose time is over by the wall clock is then over.
    fn counts_suspended_time(&self) -> bool {
        true
    }
}

/// One clock for several: a client and the server that it is tested against.
impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn coarse(&self) -> Timestamp {
        (**self).coarse()
    }

    fn now(&self) -> Now {
        (**self).now()
    }

    fn counts_suspended_time(&self) -> bool {
        (**self).counts_suspended_time()
    }
}

/// A point in wall-clock time: milliseconds since the Unix epoch. Arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch, as JWT claims have them.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How far apart the two are.
    pub(crate) fn apart(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(millis(rhs)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(millis(rhs)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let distance = Duration::from_millis(time.0.unsigned_abs());
        let moved = if time.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        moved.unwrap_or(UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    /// An HTTP date (RFC 9110 §5.6.7), in UTC; times outside of 1970–9999 are shown as the nearest that is inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: i64 = 253_402_300_799_000;
        f.write_str(&httpdate::fmt_http_date(Timestamp(self.0.clamp(0, LAST)).into()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({} ms)", self.0)
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The boot clock.
    pub boot: BootTime,
}

/// A reading of a clock that only runs forward while one boot of the machine lasts, suspended time included where the
/// platform can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTime {
    /// Which boot this is; readings of different boots are not comparable.
    pub id: BootId,
    /// Milliseconds since some fixed point of that boot.
    pub millis: u64,
}

impl BootTime {
    /// How long after `earlier` this is, if both are of one boot.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        (self.id == earlier.id)
            .then(|| Duration::from_millis(self.millis.saturating_sub(earlier.millis)))
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self { millis: self.millis.saturating_add(millis(rhs).unsigned_abs()), ..self }
    }
}

/// The operating system's clocks.
///
/// On Linux: `CLOCK_REALTIME_COARSE`, `CLOCK_REALTIME` and `CLOCK_BOOTTIME` with the kernel's boot id. Elsewhere the
/// standard library's clocks, and a boot id of this process's own.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn coarse(&self) -> Timestamp {
        platform::coarse()
    }

    fn now(&self) -> Now {
        Now { wall: platform::wall(), boot: platform::boot() }
    }

    fn counts_suspended_time(&self) -> bool {
        cfg!(target_os = "linux")
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(target_os = "linux")]
mod platform {
    use std::sync::LazyLock;

    use rustix::time::{ClockId, Timespec, clock_gettime};

    use super::{BootId, BootTime, Timestamp};

    // Read once: a boot outlives every process. Without /proc the processes of this boot do not recognise each other's
    // readings, and the ledger falls back to the wall clock alone.
    static BOOT: LazyLock<BootId> = LazyLock::new(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .and_then(|text| BootId::from_uuid(&text))
            .unwrap_or_else(BootId::random)
    });

    #[inline]
    pub(super) fn coarse() -> Timestamp {
        Timestamp::from_millis(as_millis(clock_gettime(ClockId::RealtimeCoarse)))
    }

    pub(super) fn wall() -> Timestamp {
        Timestamp::from_millis(as_millis(clock_gettime(ClockId::Realtime)))
    }

    pub(super) fn boot() -> BootTime {
        BootTime { id: *BOOT, millis: as_millis(clock_gettime(ClockId::Boottime)).unsigned_abs() }
    }

    #[inline]
    fn as_millis(time: Timespec) -> i64 {
        time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
mod platform {
    use std::sync::LazyLock;
    use std::time::{Instant, SystemTime};

    use super::{BootId, BootTime, Timestamp};

    static START: LazyLock<(BootId, Instant)> =
        LazyLock::new(|| (BootId::random(), Instant::now()));

    #[inline]
    pub(super) fn coarse() -> Timestamp {
        wall()
    }

    pub(super) fn wall() -> Timestamp {
        SystemTime::now().into()
    }

    pub(super) fn boot() -> BootTime {
        let millis = u64::try_from(START.1.elapsed().as_millis()).unwrap_or(u64::MAX);
        BootTime { id: START.0, millis }
    }
}

/// Clocks that a test moves.
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fake {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{BootId, BootTime, Clock, Now, Timestamp, millis};

    /// A clock that runs with tokio's time, paused or not, from a point of its own; the wall clock can be set apart from it.
    #[derive(Debug)]
    pub struct TokioClock {
        start: Instant,
        wall: AtomicI64,
        boot: AtomicI64,
    }

    impl TokioClock {
        /// 2026-01-01 00:00:00 UTC.
        pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);

        /// Starts now, in tokio's sense, at [`TokioClock::START`] in the wall clock's.
        pub fn new() -> Self {
            Self {
                start: Instant::now(),
                wall: AtomicI64::new(Self::START.as_millis()),
                boot: AtomicI64::new(1_000_000),
            }
        }

        /// Moves the wall clock alone, as an operator or NTP does.
        pub fn jump_wall(&self, millis: i64) {
            // The clock guards no other memory.
            self.wall.fetch_add(millis, Ordering::Relaxed);
        }

        /// Moves both clocks while tokio's timers stand still, as a suspended machine does.
        pub fn suspend(&self, length: Duration) {
            self.wall.fetch_add(millis(length), Ordering::Relaxed);
            self.boot.fetch_add(millis(length), Ordering::Relaxed);
        }
    }

    impl Default for TokioClock {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Clock for TokioClock {
        fn coarse(&self) -> Timestamp {
            Timestamp::from_millis(self.wall.load(Ordering::Relaxed)) + self.start.elapsed()
        }

        fn now(&self) -> Now {
            let boot = BootTime {
                id: BootId::fixed(1),
                millis: self.boot.load(Ordering::Relaxed).unsigned_abs(),
            };
            Now { wall: self.coarse(), boot: boot + self.start.elapsed() }
        }
    }
}
