//! What all handles of an authenticator share: the snapshot that requests are served from, and the rules by which it
//! changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::{BootTime, Clock, Now, SystemClock, Timestamp};
use crate::error::Error;
use crate::events::EventKind;
use crate::id::TokenId;
use crate::metrics;
use crate::origin::Origins;
use crate::per_cpu::one_for_each_cpu;
use crate::quota::{Cause, pace};
use crate::renewal::flight::{Flights, Wish};
use crate::renewal::plan::{Current, Need};
use crate::renewal::{Acquired, Renewal};
use crate::standing::Standing;
use crate::sync::{Mutex, MutexGuard, PoisonError, Published};
use crate::token::{Authorization, Freshness, Generation, Scheme, Snapshot};

/// How many refused tokens are remembered. A refused token is replaced by a newer one, so the last few are enough.
const REFUSED_KEPT: usize = 16;

pub(crate) struct Shared {
    /// Published by a swap under `slow`, which makes the whole snapshot visible to the `load` of a request; nothing else is
    /// synchronised through it.
    pub(crate) snapshot: Published<Snapshot>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) origins: Origins,
    pub(crate) flights: Arc<Flights>,
    slow: Mutex<Slow>,
    pub(crate) standing: Standing,
    pub(crate) renewal: Renewal,
    /// In 0..=1: where in the renewal window this process renews.
    jitter: f64,
    /// How many copies of the header there are to be, if the user says so.
    copies: Option<usize>,
    /// Whether `clock` is the system's, which can then be asked without a detour.
    is_system_clock: bool,
}

/// How many there are in this process. It guards no other memory: a reading that is a little off makes a copy more or less.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// With more authenticators than these, each has one copy of its header only.
const MANY: usize = 64;

/// For how long at most a refusal that could not be answered by another token stands for the next ones: they cost no look into the
/// store. Other processes may have fetched a token by then.
const UNANSWERED: Duration = Duration::from_secs(60);

/// What only renewals and refusals touch.
#[derive(Default)]
struct Slow {
    refused: Vec<TokenId>,
    last_error: Option<Error>,
    /// The refused generation that no other could be had for, why, and when that may have changed.
    unanswered: Option<Box<(Generation, Error, BootTime)>>,
}

impl Slow {
    fn refuse(&mut self, id: TokenId) {
        if !self.refused.contains(&id) {
            self.refused.push(id);
            let surplus = self.refused.len().saturating_sub(REFUSED_KEPT);
            self.refused.drain(..surplus);
        }
    }
}

impl Shared {
    pub(crate) fn new(
        renewal: Renewal,
        clock: Arc<dyn Clock>,
        origins: Origins,
        jitter: f64,
        copies: Option<usize>,
        is_system_clock: bool,
    ) -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Self {
            snapshot: Published::empty(),
            clock,
            standing: Standing::new(),
            origins,
            flights: Flights::new(renewal.name.clone()),
            slow: Mutex::default(),
            renewal,
            jitter,
            copies,
            is_system_clock,
        }
    }

    /// The wall clock, for the path of every request.
    #[inline]
    pub(crate) fn coarse(&self) -> Timestamp {
        if self.is_system_clock { SystemClock.coarse() } else { self.clock.coarse() }
    }

    pub(crate) fn copies(&self) -> usize {
        let few = ALIVE.load(Ordering::Relaxed) <= MANY;
        self.copies.unwrap_or_else(|| if few { one_for_each_cpu() } else { 1 })
    }

    /// If the wall clock jumped, and the token lives on by the clock that does not: keeps it, which is cheaper than a token
    /// request, and lets nobody wait.
    pub(crate) fn redate(&self) {
        self.redate_at(self.clock.now());
    }

    pub(crate) fn redate_at(&self, now: Now) {
        if !self.clock.counts_suspended_time() {
            return;
        }
        if self.snapshot.load().as_ref().is_none_or(|snapshot| snapshot.redated(now).is_none()) {
            return;
        }
        let slow = self.lock();
        let Some(redated) =
            self.snapshot.load().as_ref().and_then(|snapshot| snapshot.redated(now))
        else {
            return;
        };
        self.snapshot.store(Some(Arc::new(redated)));
        drop(slow);
        tracing::warn!(credential = %self.renewal.name, "the wall clock jumped; the token is kept");
    }

    /// What to ask for, now that this flight is the only one, and the generation that the answer replaces; `None` if an earlier
    /// flight has brought it already.
    pub(crate) fn need(&self, wish: Wish) -> Option<(Need, Generation)> {
        self.redate();
        let slow = self.lock();
        let now = self.clock.now();
        let snapshot = self.snapshot.load_full();
        let freshness = snapshot.as_ref().map(|snapshot| snapshot.freshness_at(now));
        let generation = snapshot.as_ref().map_or(Generation::NONE, |snapshot| snapshot.generation);
        let (needed, cause) = match (wish, freshness) {
            (Wish::Manual(_), None) => (true, Cause::Manual),
            (_, None) => (true, Cause::Start),
            // What the wish asks for has come, and gone again.
            (Wish::After(_), Some(Freshness::Expired)) => (true, Cause::Expired),
            (Wish::Manual(old), Some(Freshness::Expired)) if old != generation => {
                (true, Cause::Expired)
            }
            (Wish::Any, Some(freshness)) => (freshness == Freshness::Expired, Cause::Expired),
            (Wish::Renewal, Some(freshness)) => (freshness != Freshness::Fresh, Cause::Expiring),
            (Wish::After(refused), Some(_)) => (generation == refused, Cause::Refused),
            (Wish::Manual(present), Some(_)) => (generation == present, Cause::Manual),
        };
        let token = snapshot.as_ref().and_then(|snapshot| snapshot.token());
        let current = snapshot.map(|snapshot| Current {
            id: snapshot.id,
            cause: snapshot.cause,
            sent: snapshot.sent,
            expires_at: snapshot.expires_at,
        });
        let refused = slow.refused.clone();
        needed.then(|| (Need { cause, current, refused, token }, generation))
    }

    /// Puts a token to use; as which, if it was. A flight that was given up may come late: it does not take the place of what
    /// came in the meantime, and no token that was refused in the meantime is put to use.
    pub(crate) fn publish(
        &self,
        acquired: &Acquired,
        replaces: Generation,
        now: Now,
    ) -> Option<Generation> {
        let copies = self.copies();
        let mut slow = self.lock();
        let present = self.snapshot.load_full();
        let last = present.as_ref().map_or(Generation::NONE, |present| present.generation);
        let alive = present.is_some_and(|present| present.freshness_at(now) != Freshness::Expired);
        if slow.refused.contains(&acquired.provenance.id) || (last != replaces && alive) {
            return None;
        }
        let Acquired { token, provenance, .. } = acquired;
        let scheme = if self.renewal.dpop.is_some() { Scheme::Dpop } else { Scheme::Bearer };
        let generation = last.next();
        let snapshot =
            Snapshot::new(token, scheme, generation, provenance, self.jitter, copies, now);
        let expires_at = snapshot.expires_at;
        slow.last_error = None;
        if acquired.adopted {
            // Others have sent it before.
            self.standing.trust(generation);
        }
        self.snapshot.store(Some(Arc::new(snapshot)));
        // A subscriber may be slow, or ask this authenticator something.
        drop(slow);
        tracing::info!(
            credential = %self.renewal.name,
            %generation,
            cause = %acquired.provenance.cause,
            adopted = acquired.adopted,
            expires = %expires_at,
            "a token is in use"
        );
        metrics::expiry(&self.renewal.name, expires_at.saturating_since(now.wall));
        if last == Generation::NONE {
            self.renewal.warn_if_too_short(acquired.provenance.lifetime);
        }
        Some(generation)
    }

    /// After a flight without a token: what is at hand is served on, and not renewed before another attempt makes sense.
    pub(crate) fn put_off(&self, wish: Wish, need: &Need, error: &Error, now: Now) {
        let known = self.last_error().is_some_and(|last| last.is_like(error));
        // Once for each thing that goes wrong, not for each caller whom it still stops.
        if known {
            tracing::debug!(credential = %self.renewal.name, cause = %need.cause, %error, "still no token");
        } else {
            let source = std::error::Error::source(error);
            tracing::warn!(credential = %self.renewal.name, cause = %need.cause, %error, source, "no token");
            let held = EventKind::Held { until: error.retry_at(), error: error.clone() };
            self.renewal.hub.emit(held);
        }
        let mut slow = self.lock();
        slow.last_error = Some(error.clone());
        let Some(snapshot) = self.snapshot.load_full() else { return };
        let next = match wish {
            Wish::Renewal if need.current.is_some_and(|current| current.id == snapshot.id) => {
                let at = error.retry_timestamp().unwrap_or(now.wall + pace::FIRST_GAP);
                snapshot.put_off_until(at)
            }
            // A later 401 makes it suspect again.
            Wish::After(refused) if refused == snapshot.generation => {
                let wait = error.retry_timestamp().unwrap_or(now.wall + pace::FIRST_GAP);
                let until = now.boot + wait.saturating_since(now.wall).min(UNANSWERED);
                slow.unanswered = Some(Box::new((refused, error.clone(), until)));
                snapshot.cleared()
            }
            _ => return,
        };
        self.snapshot.store(Some(Arc::new(next)));
    }

    /// Why no other token could be had for the one of this generation a moment ago.
    pub(crate) fn unanswered(&self, refused: Generation) -> Option<Error> {
        let slow = self.lock();
        let (generation, error, until) = slow.unanswered.as_deref()?;
        if *generation != refused {
            return None;
        }
        let left = until.since(self.clock.now().boot)?;
        (!left.is_zero()).then(|| error.clone())
    }

    /// An API refused the token of this generation; whether that is news.
    pub(crate) fn suspect(&self, generation: Generation) -> bool {
        if self.unanswered(generation).is_some() {
            return false;
        }
        let mut slow = self.lock();
        let snapshot = self.snapshot.load_full();
        let Some(snapshot) =
            snapshot.filter(|snapshot| snapshot.generation == generation && !snapshot.suspect)
        else {
            return false;
        };
        slow.refuse(snapshot.id);
        self.snapshot.store(Some(Arc::new(snapshot.as_suspect())));
        true
    }

    /// The token was revoked: nobody is served with it any more, and it is not adopted again.
    pub(crate) fn give_up(&self, revoked: &Snapshot) {
        let mut slow = self.lock();
        slow.refuse(revoked.id);
        let present = self.snapshot.load_full();
        if let Some(present) = present.filter(|present| present.id == revoked.id) {
            // Kept as one that has expired, so that generations go on from it.
            self.snapshot.store(Some(Arc::new(present.ended())));
        }
    }

    /// Nothing will come of the suspicion: the same was refused a moment ago.
    pub(crate) fn clear(&self, generation: Generation) {
        let _slow = self.lock();
        let snapshot =
            self.snapshot.load_full().filter(|snapshot| snapshot.generation == generation);
        if let Some(snapshot) = snapshot {
            self.snapshot.store(Some(Arc::new(snapshot.cleared())));
        }
    }

    /// The token, if it is alive and follows `after`.
    pub(crate) fn serve(&self, after: Option<Generation>) -> Option<Authorization> {
        let snapshot = self.snapshot.load();
        let snapshot = snapshot.as_ref().filter(|snapshot| Some(snapshot.generation) > after)?;
        let alive = snapshot.freshness_at(self.clock.now()) != Freshness::Expired;
        alive.then(|| snapshot.authorization())?
    }

    /// The token, alive or not, if it follows `after`.
    pub(crate) fn latest(&self, after: Option<Generation>) -> Option<Authorization> {
        let snapshot = self.snapshot.load();
        let snapshot = snapshot.as_ref().filter(|snapshot| Some(snapshot.generation) > after)?;
        snapshot.authorization()
    }

    pub(crate) fn generation(&self) -> Generation {
        self.snapshot.load().as_ref().map_or(Generation::NONE, |snapshot| snapshot.generation)
    }

    pub(crate) fn last_error(&self) -> Option<Error> {
        self.lock().last_error.clone()
    }

    // Every change under this lock is a single store, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}
