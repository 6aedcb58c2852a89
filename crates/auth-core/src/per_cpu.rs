//! Things in several copies, so that threads which clone one at the same time do not meet at one reference count. Which one
//! is cloned is up to the CPU that asks, so nothing stays behind in a thread.

use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

/// The most copies there are: beyond as many CPUs two may meet.
const MOST: usize = 64;

/// Copies of a value, of which each CPU takes its own (two may share one): for an `Arc` or another handle that every request
/// clones. Made by [`Authenticator::per_cpu`](crate::Authenticator::per_cpu).
///
/// It is up to the values to keep what they count apart; [`Apart`] does so in an `Arc`.
#[derive(Clone)]
pub struct PerCpu<T>(Box<[T]>);

impl<T> PerCpu<T> {
    /// At least one copy, and at most 64; the first that cannot be made is the result.
    fn try_new<E>(count: usize, make: impl FnMut() -> Result<T, E>) -> Result<Self, E> {
        // A power of two, so that a CPU's number is turned into an index by a mask.
        let count = count.clamp(1, MOST).next_power_of_two();
        std::iter::repeat_with(make).take(count).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn new(count: usize, mut make: impl FnMut() -> T) -> Self {
        let Ok(copies) = Self::try_new(count, || Ok::<_, std::convert::Infallible>(make()));
        copies
    }

    /// The copy of the CPU at hand. A thread may be moved to another CPU at any time, so this is a guess, and no lock.
    #[inline]
    pub fn get(&self) -> &T {
        let last = self.0.len() - 1;
        let index = if last == 0 { 0 } else { cpu() & last };
        &self.0[index]
    }
}

impl<T> fmt::Debug for PerCpu<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerCpu").field("copies", &self.0.len()).finish()
    }
}

/// A value two cache lines away from others, since CPUs fetch them in pairs. In an `Arc` that keeps the reference count apart
/// as well: it is in the same allocation.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(128))]
pub struct Apart<T>(pub T);

/// One header. The text is there once, and is wiped when the last copy is gone; each copy has a reference count of its own.
pub(crate) type Header = PerCpu<HeaderValue>;

impl Header {
    /// `count` copies of `text`, marked sensitive; `None` if it cannot stand in a header.
    pub(crate) fn of_text(text: Zeroizing<Vec<u8>>, count: usize) -> Option<Self> {
        if count <= 1 {
            // There is nothing to keep it apart from, and there may be very many like it.
            return header(Bytes::from_owner(text)).map(|only| Self(Box::new([only])));
        }
        Self::of_shared(&Arc::new(text), count)
    }

    fn of_shared(text: &Arc<Zeroizing<Vec<u8>>>, count: usize) -> Option<Self> {
        let copy = || header(Bytes::from_owner(Copy(Apart(text.clone())))).ok_or(());
        Self::try_new(count, copy).ok()
    }
}

fn header(text: Bytes) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_maybe_shared(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// As many copies as there are CPUs for this process.
pub(crate) fn one_for_each_cpu() -> usize {
    static CPUS: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CPUS
}

/// The owner of one copy. `Bytes` keeps it in one allocation with the reference count.
struct Copy(Apart<Arc<Zeroizing<Vec<u8>>>>);

impl AsRef<[u8]> for Copy {
    fn as_ref(&self) -> &[u8] {
        &self.0.0
    }
}

#[cfg(target_os = "linux")]
#[inline]
fn cpu() -> usize {
    rustix::thread::sched_getcpu()
}

/// Where the CPU cannot be asked for cheaply: threads in the order in which they come.
#[cfg(not(target_os = "linux"))]
#[inline]
fn cpu() -> usize {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// It guards no other memory: any number will do.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<Option<usize>> = const { Cell::new(None) });
    MINE.with(|mine| {
        mine.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            mine.set(Some(next));
            next
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(count: usize) -> Header {
        Header::of_text(Zeroizing::new(b"Bearer abc".to_vec()), count).unwrap()
    }

    #[test]
    fn there_is_a_copy_for_each_cpu_and_never_none_or_too_many() {
        let counts = [0, 1, 2, 3, 48, 64, 1000].map(|count| copies(count).0.len());
        assert_eq!(counts, [1, 1, 2, 4, 64, 64, 64]);
        for count in [1, 2, 64] {
            let header = copies(count);
            assert!(header.get().is_sensitive());
            assert_eq!(header.get(), "Bearer abc");
        }
    }

    /// The text is one, and what `Bytes` allocates for each copy is apart from the others.
    #[test]
    fn the_copies_share_their_text_and_nothing_else() {
        let text = Arc::new(Zeroizing::new(b"Bearer abc".to_vec()));
        let header = Header::of_shared(&text, 4).unwrap();
        let texts: Vec<_> = header.0.iter().map(|copy| copy.as_bytes().as_ptr()).collect();
        assert!(texts.windows(2).all(|pair| pair[0] == pair[1]));
        // Each has an owner of its own, and with it a count of its own.
        assert_eq!(Arc::strong_count(&text), 1 + header.0.len());
        assert!(align_of::<Copy>() >= 128 && size_of::<Copy>() >= 128);
        assert!(align_of::<Apart<u8>>() >= 128 && size_of::<Apart<u8>>() >= 128);
    }

    /// On machines with one CPU there is nothing to see.
    #[cfg(target_os = "linux")]
    #[test]
    fn each_cpu_takes_a_copy_of_its_own() {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        let header = copies(64);
        let allowed = sched_getaffinity(None).unwrap();
        let cpus = (0..64).filter(|cpu| allowed.is_set(*cpu));
        let taken = cpus.map(|cpu| {
            let copy = || {
                let mut only = CpuSet::new();
                only.set(cpu);
                sched_setaffinity(None, &only).unwrap();
                std::ptr::from_ref(header.get()).addr()
            };
            std::thread::scope(|scope| scope.spawn(copy).join().unwrap())
        });
        let mut taken: Vec<_> = taken.collect();
        let count = taken.len();
        taken.sort_unstable();
        taken.dedup();
        assert!(count > 0 && taken.len() == count, "{count} CPUs take {} copies", taken.len());
    }
}
