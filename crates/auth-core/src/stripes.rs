//! One header in several copies, so that threads which clone it at the same time do not meet at one reference count.
//!
//! The text is there once, and is wiped when the last copy is gone. Each copy has a reference count of its own, at least a
//! cache line away from the others; which one is cloned is up to the CPU that asks, so nothing stays behind in a thread.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

/// The most copies there are: beyond as many CPUs two may meet.
const MOST: usize = 64;

#[derive(Clone)]
pub(crate) struct Stripes(Box<[HeaderValue]>);

impl Stripes {
    /// `count` copies of `text`, at least one, marked sensitive; `None` if it cannot stand in a header.
    pub(crate) fn new(text: Zeroizing<Vec<u8>>, count: usize) -> Option<Self> {
        let text = Arc::new(text);
        let copy = |_| {
            let owner = Bytes::from_owner(Copy { text: text.clone(), _apart: Apart });
            let mut header = HeaderValue::from_maybe_shared(owner).ok()?;
            header.set_sensitive(true);
            Some(header)
        };
        // A power of two, so that a CPU's number is turned into an index by a mask.
        let count = count.clamp(1, MOST).next_power_of_two();
        (0..count).map(copy).collect::<Option<Box<[_]>>>().map(Self)
    }

    /// The copy of the CPU at hand.
    #[inline]
    pub(crate) fn get(&self) -> &HeaderValue {
        let last = self.0.len() - 1;
        let index = if last == 0 { 0 } else { cpu() & last };
        &self.0[index]
    }
}

/// As many copies as there are CPUs for this process.
pub(crate) fn one_for_each_cpu() -> usize {
    static CPUS: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CPUS
}

/// The owner of one copy. `Bytes` keeps it in one allocation with the reference count.
struct Copy {
    text: Arc<Zeroizing<Vec<u8>>>,
    _apart: Apart,
}

impl AsRef<[u8]> for Copy {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// Two cache lines: CPUs fetch them in pairs.
#[repr(align(128))]
struct Apart;

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

    fn stripes(count: usize) -> Stripes {
        Stripes::new(Zeroizing::new(b"Bearer abc".to_vec()), count).unwrap()
    }

    #[test]
    fn there_is_a_copy_for_each_cpu_and_never_none_or_too_many() {
        let counts = [0, 1, 2, 3, 48, 64, 1000].map(|count| stripes(count).0.len());
        assert_eq!(counts, [1, 1, 2, 4, 64, 64, 64]);
        for count in [1, 2, 64] {
            let header = stripes(count);
            assert!(header.get().is_sensitive());
            assert_eq!(header.get(), "Bearer abc");
        }
    }

    /// The text is one, and what `Bytes` allocates for each copy is apart from the others.
    #[test]
    fn the_copies_share_their_text_and_nothing_else() {
        let header = stripes(4);
        let texts: Vec<_> = header.0.iter().map(|copy| copy.as_bytes().as_ptr()).collect();
        assert!(texts.windows(2).all(|pair| pair[0] == pair[1]));
        assert!(align_of::<Copy>() >= 128 && size_of::<Copy>() >= 128);
    }
}
