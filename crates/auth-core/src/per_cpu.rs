//! Things in several copies, so that threads which clone one at the same time do not meet at one reference count. Which one
//! is cloned is up to the CPU that asks, so nothing stays behind in a thread.

use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

/// The most copies there are. CPUs whose numbers are this far apart meet at one.
const MOST: usize = 64;

/// Copies of a value, of which each CPU takes its own (two may share one): for an `Arc` or another handle that every request
/// clones. Made by [`Authenticator::per_cpu`](crate::Authenticator::per_cpu), or of any value by
/// [`PerCpu::for_each_cpu`].
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

    /// One for each CPU of this machine. `make` is told how many there are going to be, so that it can share out what there
    /// is once.
    pub fn for_each_cpu(mut make: impl FnMut(usize) -> T) -> Self {
        let count = one_for_each_cpu().clamp(1, MOST).next_power_of_two();
        Self::new(count, || make(count))
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The copy of the CPU at hand. A thread may be moved to another CPU at any time, so this is a guess, and no lock.
    #[inline]
    pub fn get(&self) -> &T {
        let last = self.0.len() - 1;
        let index = if last == 0 { 0 } else { cpu() & last };
        &self.0[index]
    }
}

impl<'a, T> IntoIterator for &'a PerCpu<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
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

    /// The same, of a text that somebody else keeps as well.
    pub(crate) fn of_shared(text: &Arc<Zeroizing<Vec<u8>>>, count: usize) -> Option<Self> {
        let copy = || header(Bytes::from_owner(Copy(Apart(text.clone())))).ok_or(());
        Self::try_new(count, copy).ok()
    }
}

fn header(text: Bytes) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_maybe_shared(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// As many copies as CPUs can have numbers here. Not as many as this thread or this container may use: threads are pinned to
/// others than this one is, a share of the time is no share of the CPUs, and a set of CPUs has gaps.
pub(crate) fn one_for_each_cpu() -> usize {
    static CPUS: LazyLock<usize> = LazyLock::new(|| {
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok();
        online
            .and_then(|list| after_last(&list))
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    });
    *CPUS
}

/// One more than the last number in a list of CPUs, such as `0-3,8-11`.
fn after_last(list: &str) -> Option<usize> {
    let last = list.trim().rsplit([',', '-']).next()?;
    last.parse::<usize>().ok()?.checked_add(1)
}

/// The owner of one copy. `Bytes` keeps it in one allocation with the reference count.
struct Copy(Apart<Arc<Zeroizing<Vec<u8>>>>);

impl AsRef<[u8]> for Copy {
    fn as_ref(&self) -> &[u8] {
        &self.0.0
    }
}

/// Where the kernel tells without a system call.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "x86")))]
#[inline]
fn cpu() -> usize {
    rustix::thread::sched_getcpu()
}

/// Elsewhere: threads in the order in which they come.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "x86"))))]
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

    #[test]
    fn each_is_told_how_many_there_are() {
        let copies = PerCpu::for_each_cpu(|count| count);
        assert!(copies.iter().all(|count| *count == copies.0.len()));
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

    #[test]
    fn there_are_as_many_as_the_last_cpus_number_wants() {
        let lists = ["0\n", "0-1", "0-3,8-11\n", "2,34", "", "x", "0-x"];
        assert_eq!(lists.map(after_last), [Some(1), Some(2), Some(12), Some(35), None, None, None]);
        // Whoever asks first may be pinned to one of them.
        assert!(one_for_each_cpu() >= std::thread::available_parallelism().unwrap().get());
    }

    /// On machines with one CPU there is nothing to see.
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "x86")))]
    #[test]
    fn each_cpu_takes_a_copy_of_its_own() {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        let header = copies(one_for_each_cpu());
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
