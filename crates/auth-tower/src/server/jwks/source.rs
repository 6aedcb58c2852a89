//! The keys as they are now, and the one flight that brings others.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use auth_core::{Clock, Now, Timestamp, Transport, TransportError};
use http::Uri;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::document::{self, Answer};
use super::pace::{Asked, Pace};
use crate::server::keys::{Key, KeySet};

/// Where the keys of a verifier are.
#[derive(Clone)]
pub(crate) struct Source(Arc<Shared>);

struct Shared {
    /// What every request reads. Set under the lock of `state`, so that generations come in order.
    published: ArcSwapOption<KeySet>,
    /// When the keys are to be looked after, by the boot clock: a hint, which guards no other memory.
    look_at: AtomicU64,
    /// From when on they are not used before others were asked for; likewise.
    wait_at: AtomicU64,
    /// When those were asked for that were fetched last, in milliseconds since the Unix epoch; likewise.
    as_of: AtomicI64,
    state: Mutex<Pace>,
    /// The last flight that has ended; the keys that it brought are published before.
    landed: watch::Sender<u64>,
    remote: Option<Remote>,
}

/// What it takes to get keys.
pub(super) struct Remote {
    pub(super) uri: Uri,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) fresh_for: Duration,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) fresh_at_most: Duration,
    pub(super) stale_for: Duration,
}

/// What a flight has brought.
struct Brought {
    keys: Vec<Key>,
    lifetime: Duration,
    /// When it began, less the time that a cache had kept the answer.
    as_of: Timestamp,
}

/// What became of a wish for other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// There are others.
    New,
    /// The issuer has none but these.
    Same,
    /// There may be some: it was too early to ask, or there was no answer.
    Unknown,
}

impl Source {
    pub(super) fn fixed(keys: Vec<Key>) -> Self {
        Self::new(
            Some(Arc::new(KeySet::first(keys))),
            Pace::new(Duration::MAX, Duration::MAX, Duration::MAX),
            None,
        )
    }

    pub(super) fn remote(remote: Remote) -> Self {
        let pace = Pace::new(remote.interval, remote.timeout, remote.stale_for);
        Self::new(None, pace, Some(remote))
    }

    fn new(keys: Option<Arc<KeySet>>, pace: Pace, remote: Option<Remote>) -> Self {
        let look_at = if remote.is_some() { 0 } else { u64::MAX };
        Self(Arc::new(Shared {
            published: ArcSwapOption::new(keys),
            look_at: AtomicU64::new(look_at),
            // Without any keys there are none to be old.
            wait_at: AtomicU64::new(u64::MAX),
            as_of: AtomicI64::new(i64::MIN),
            state: Mutex::new(pace),
            landed: watch::Sender::new(0),
            remote,
        }))
    }

    /// The keys, if there have ever been any. No lock.
    pub(crate) fn current(&self) -> Guard<Option<Arc<KeySet>>> {
        self.0.published.load()
    }

    /// Which keys these are; 0 for none.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// Has the keys fetched in the background if they are old. No lock while they are not.
    #[inline]
    pub(crate) fn look_after(&self, now: Now) {
        if now.boot.millis >= self.0.look_at.load(Ordering::Relaxed) {
            self.look_closer(now);
        }
    }

    #[cold]
    fn look_closer(&self, now: Now) {
        let asked = {
            let mut pace = self.0.pace();
            if !pace.is_due(now.boot.millis) {
                return;
            }
            self.0.ask(&mut pace, now)
        };
        if let Asked::Fly(epoch) = asked {
            self.fly(epoch, now);
        }
    }

    /// Whether there are other keys than those of generation `seen` (0 for none), or may be soon: whether it is worth the wait.
    pub(crate) fn may_have_others(&self, seen: u64, now: Now) -> bool {
        let pace = self.0.pace();
        self.0.generation() != seen || (self.0.remote.is_some() && pace.allows(now.boot.millis))
    }

    /// Whether a key that was published at `time` may be missing among those at hand: they were fetched before.
    pub(crate) fn may_lack(&self, time: Timestamp) -> bool {
        self.0.remote.is_some() && time.as_millis() > self.0.as_of.load(Ordering::Relaxed)
    }

    /// Whether a token that a key at hand may be [lacking](Self::may_lack) for is to be told to come again. Once it was asked, that
    /// counts.
    pub(crate) fn doubt(&self) -> bool {
        self.0.pace().doubt()
    }

    /// Whether other keys are to be [asked](Self::others) for before those at hand are used. No lock.
    #[inline]
    pub(crate) fn is_stale(&self, now: Now) -> bool {
        now.boot.millis >= self.0.wait_at.load(Ordering::Relaxed)
    }

    /// Whether the keys at hand are too old to be used at all.
    pub(crate) fn is_over(&self, now: Now) -> bool {
        self.0.remote.is_some() && self.0.pace().is_over(now.boot.millis)
    }

    /// Waits for the flight under way, or for a new one if it is time for that, and says whether there are other keys than those
    /// of generation `seen` (0 for none).
    ///
    /// The flight is a task of its own, which goes on when the caller does not.
    pub(crate) async fn others(&self, seen: u64, now: Now) -> Others {
        let Some(remote) = &self.0.remote else { return Others::Same };
        // Before the question, so that no landing is missed.
        let mut landed = self.0.landed.subscribe();
        let asked = {
            let mut pace = self.0.pace();
            if self.0.generation() != seen {
                // Another request has brought them in the meantime.
                return Others::New;
            }
            self.0.ask(&mut pace, now)
        };
        let epoch = match asked {
            Asked::Paced(_) => return Others::Unknown,
            Asked::Join(epoch) => epoch,
            Asked::Fly(epoch) => {
                self.fly(epoch, now);
                epoch
            }
        };
        let flight = landed.wait_for(|last| *last >= epoch);
        let has_landed = tokio::time::timeout(remote.timeout, flight).await.is_ok();
        if self.0.generation() != seen {
            return Others::New;
        }
        match has_landed && !self.0.pace().is_failing() {
            true => Others::Same,
            false => Others::Unknown,
        }
    }

    /// When it makes sense to come again.
    pub(crate) fn retry_after(&self, now: Now) -> Duration {
        self.0.pace().retry_after(now.boot.millis)
    }

    fn fly(&self, epoch: u64, now: Now) {
        let ticket = Ticket { shared: self.0.clone(), epoch, begun: now, landed: false };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(ticket.fly())),
            // Dropped, so the flight has failed.
            Err(_) => tracing::warn!("the key set cannot be fetched outside of a tokio runtime"),
        }
    }
}

impl Shared {
    // Nothing under this lock can panic half-way, so a poisoned one is as good as new.
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generation(&self) -> u64 {
        self.published.load().as_ref().map_or(0, |keys| keys.generation())
    }

    fn ask(&self, pace: &mut Pace, now: Now) -> Asked {
        let asked = pace.ask(now.boot.millis);
        self.note(pace);
        asked
    }

    /// Lets those know who ask without the lock.
    fn note(&self, pace: &Pace) {
        self.look_at.store(pace.look_at(), Ordering::Relaxed);
        self.wait_at.store(pace.wait_at(), Ordering::Relaxed);
    }

    fn land(&self, epoch: u64, now: u64, brought: Option<Brought>) {
        {
            let mut pace = self.pace();
            let lifetime = brought.as_ref().map(|brought| brought.lifetime);
            if pace.landed(epoch, now, lifetime) {
                self.note(&pace);
                if let Some(brought) = brought {
                    self.as_of.store(brought.as_of.as_millis(), Ordering::Relaxed);
                    self.publish(brought.keys);
                }
            }
        }
        self.landed.send_modify(|last| *last = epoch.max(*last));
    }

    /// Under the lock of `state`.
    fn publish(&self, keys: Vec<Key>) {
        let next = match &*self.published.load() {
            None => Some(KeySet::first(keys)),
            Some(old) => old.followed_by(keys),
        };
        if let Some(next) = next {
            self.published.store(Some(Arc::new(next)));
        }
    }
}

const NOT_IN_TIME: &str = "there was no whole answer in time";

/// The error's own words are about token endpoints.
fn words(error: &TransportError) -> &'static str {
    match error {
        error if error.is_not_sent() => "the server cannot be reached",
        error if error.is_timeout() => NOT_IN_TIME,
        error if error.is_body_too_long() => "the answer is longer than 64 KiB",
        _ => "the exchange broke off",
    }
}

/// The duty to say how a flight ended. Dropping it says so too: the transport has panicked, or the runtime is gone.
struct Ticket {
    shared: Arc<Shared>,
    epoch: u64,
    begun: Now,
    landed: bool,
}

impl Ticket {
    async fn fly(mut self) {
        let Some(remote) = &self.shared.remote else { return };
        let send = remote.transport.send(document::request(&remote.uri), remote.timeout);
        let brought = match tokio::time::timeout(remote.timeout, send).await {
            Ok(Ok(answer)) => document::read(&answer, remote.fresh_for, remote.fresh_at_most),
            Ok(Err(error)) => Err(words(&error)),
            Err(_) => Err(NOT_IN_TIME),
        };
        if let Err(problem) = &brought {
            let url = document::shown(&remote.uri);
            tracing::warn!(url, problem, "the key set cannot be fetched");
        }
        let now = remote.clock.now().boot.millis;
        self.landed = true;
        let brought = brought.ok().map(|Answer { keys, lifetime, age }| Brought {
            keys,
            lifetime,
            as_of: self.begun.wall - age,
        });
        self.shared.land(self.epoch, now, brought);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.landed {
            // The clock is the user's, and must not be asked by a thread that may be panicking.
            self.shared.land(self.epoch, self.begun.boot.millis, None);
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0.remote.as_ref().map(|remote| document::shown(&remote.uri));
        f.debug_struct("Source")
            .field("url", &url)
            .field("generation", &self.0.generation())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
