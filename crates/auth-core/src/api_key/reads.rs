//! Which read of a source is under way, and when the next may begin.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::BootTime;
use crate::fingerprint::Fingerprint;
use crate::sync::watch;

/// How long a read is waited for. One that has not ended by then is not driven any more.
pub(super) const GIVEN_UP_AFTER: Duration = Duration::from_secs(7);

/// How long no refusal leads to a read after one that found nothing new.
const PAUSE: Duration = Duration::from_secs(1);

/// What a read came to: whether the key is another than when it began, or what went wrong.
pub(super) type Found = Result<bool, Arc<str>>;

/// Where a read reports. It is dropped with the task, in whatever way that ends.
pub(super) type Report = watch::Sender<Option<Found>>;
pub(super) type Ended = watch::Receiver<Option<Found>>;

/// What only swaps and reads touch.
pub(super) struct Reads {
    /// What the source had when it was last read, under a key of this process: another key may have been set by code since.
    seen: Fingerprint,
    salt: [u8; 32],
    /// The number of the read that began last.
    begun: u64,
    under_way: Option<(BootTime, Ended)>,
    /// When the last read that found nothing new ended.
    in_vain: Option<BootTime>,
    /// What was wrong with the source when it was last read.
    problem: Option<Arc<str>>,
}

impl Reads {
    /// The source had this when the key was built.
    pub(super) fn new(text: &[u8]) -> Self {
        let salt = crate::id::random_bytes();
        let seen = Fingerprint::new(&salt, [text]);
        Self { seen, salt, begun: 0, under_way: None, in_vain: None, problem: None }
    }

    /// Whether the source has something else than when it was last read.
    pub(super) fn has_changed(&mut self, text: &[u8]) -> bool {
        let seen = Fingerprint::new(&self.salt, [text]);
        std::mem::replace(&mut self.seen, seen) != seen
    }

    /// The read that others can wait for.
    pub(super) fn under_way(&self, now: BootTime) -> Option<Ended> {
        let (since, ended) = self.under_way.as_ref()?;
        let is_driven = now.since(*since).is_some_and(|since| since < GIVEN_UP_AFTER);
        // It is an error when the task is gone.
        (is_driven && ended.has_changed().is_ok()).then(|| ended.clone())
    }

    pub(super) fn pauses(&self, now: BootTime) -> bool {
        self.in_vain.and_then(|ended| now.since(ended)).is_some_and(|since| since < PAUSE)
    }

    /// A read begins, in the place of one that is not driven any more.
    pub(super) fn begin(&mut self, now: BootTime) -> (u64, Report, Ended) {
        let (report, ended) = watch::channel(None);
        self.begun += 1;
        self.under_way = Some((now, ended.clone()));
        (self.begun, report, ended)
    }

    /// A read has ended; whether it is the one that began last.
    pub(super) fn end(&mut self, number: u64) -> bool {
        let is_last = self.begun == number;
        if is_last {
            self.under_way = None;
        }
        is_last
    }

    pub(super) fn pause_from(&mut self, now: BootTime) {
        self.in_vain = Some(now);
    }

    /// Remembers what is wrong with the source; whether that is news.
    pub(super) fn note(&mut self, problem: Option<&Arc<str>>) -> bool {
        let is_news = self.problem.as_ref() != problem;
        self.problem = problem.cloned();
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::clock::fake::TokioClock;

    #[test]
    fn a_read_that_was_given_up_ends_without_a_word() {
        let now = TokioClock::new().now().boot;
        let mut reads = Reads::new(b"key");
        let (first, _report, _ended) = reads.begin(now);
        assert!(reads.under_way(now).is_some());
        let later = now + GIVEN_UP_AFTER;
        assert!(reads.under_way(later).is_none());
        let (second, report, _ended) = reads.begin(later);
        assert!(!reads.end(first));
        assert!(reads.under_way(later).is_some(), "the second is still under way");
        assert!(reads.end(second));
        assert!(reads.under_way(later).is_none());
        // A task that ends without a word has dropped its half.
        let (_, dropped, _ended) = reads.begin(later);
        drop((report, dropped));
        assert!(reads.under_way(later).is_none());
    }
}
