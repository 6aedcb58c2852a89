//! The handle that requests ask for their token.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use http::Uri;
use tokio::runtime::Handle;

use crate::clock::{Clock, Now};
use crate::error::Error;
use crate::id::TokenId;
use crate::origin::{Origin, Target};
use crate::quota::Cause;
use crate::renewal::flight::{Boarding, Flights, Landing, Ticket, same_need};
use crate::renewal::plan::{Current, Need};
use crate::renewal::{Acquired, Renewal};
use crate::status::Status;
use crate::token::{Authorization, Freshness, Generation, Snapshot};

/// How many runtimes may be shut down under a waiting caller before it gives up.
const INTERRUPTIONS: usize = 3;

/// How many refused tokens are remembered. A refused token is replaced by a newer one, so the last few are enough.
const REFUSED_KEPT: usize = 16;

/// One credential, and the token that it buys. A cheap handle: clones share everything.
///
/// While the token is valid, [`authorization`](Self::authorization) is one atomic load, one reading of a coarse clock and
/// one clone of a header. When the token grows old (at 80 to 90 % of its lifetime), the first request that notices starts a
/// renewal in a task of its own, and is served with the token at hand. Without a token all callers wait for one flight, and
/// share its failure too.
///
/// Nothing is spawned until a token is needed. The renewal runs on the tokio runtime of the caller that started it; if that
/// runtime is gone, the next caller starts another.
#[derive(Clone)]
pub struct Authenticator {
    shared: Arc<Shared>,
}

struct Shared {
    /// Published by a swap under `slow`. The swap (`AcqRel` or stronger inside arc-swap) makes the whole snapshot visible to
    /// the `load` of a request; nothing else is synchronised through it.
    snapshot: ArcSwapOption<Snapshot>,
    clock: Arc<dyn Clock>,
    origins: Box<[Origin]>,
    flights: Arc<Flights>,
    slow: Mutex<Slow>,
    renewal: Renewal,
    /// In 0..=1: where in the renewal window this process renews.
    jitter: f64,
}

/// What only renewals and refusals touch.
#[derive(Default)]
struct Slow {
    refused: Vec<TokenId>,
    last_error: Option<Error>,
}

impl Authenticator {
    pub(crate) fn new(
        renewal: Renewal,
        clock: Arc<dyn Clock>,
        origins: Box<[Origin]>,
        jitter: f64,
    ) -> Self {
        let shared = Shared {
            snapshot: ArcSwapOption::empty(),
            clock,
            origins,
            flights: Flights::new(),
            slow: Mutex::default(),
            renewal,
            jitter,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The token, if it can be sent at once: fresh, or old with a renewal under way.
    ///
    /// Takes no lock and allocates nothing while the token is fresh. Inside a tokio runtime it starts the renewal of a token
    /// that grows old; outside it only serves.
    #[inline]
    pub fn try_authorization(&self) -> Option<Authorization> {
        let snapshot = self.shared.snapshot.load();
        let snapshot = snapshot.as_ref()?;
        match snapshot.freshness(self.shared.clock.coarse()) {
            Freshness::Fresh => {}
            Freshness::Ageing => self.renew_in_background(snapshot),
            Freshness::Expired => return None,
        }
        Some(snapshot.authorization())
    }

    /// The token, once there is one.
    ///
    /// # Errors
    ///
    /// When there is no valid token and none can be had now: see [`Error`] for why, and [`Error::retry_at`] for when to
    /// come back. Asking again before that costs nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the token request alone, which then serves the others, or the next caller.
    #[inline]
    pub async fn authorization(&self) -> Result<Authorization, Error> {
        match self.try_authorization() {
            Some(authorization) => Ok(authorization),
            None => self.wait(None).await,
        }
    }

    /// Says that an API answered 401 to the token of this generation.
    ///
    /// If that token is still the one that requests carry, it becomes *suspect*: one renewal is started, and the token is
    /// served on until that succeeds, since one misconfigured API must not take the others down. A generation that has been
    /// replaced already changes nothing. Calling it again changes nothing.
    pub fn refuse(&self, generation: Generation) {
        {
            let mut slow = self.shared.lock();
            let Some(snapshot) = self.shared.snapshot.load_full() else { return };
            if snapshot.generation != generation || snapshot.suspect {
                return;
            }
            slow.refused.push(snapshot.id);
            let surplus = slow.refused.len().saturating_sub(REFUSED_KEPT);
            slow.refused.drain(..surplus);
            self.shared.snapshot.store(Some(Arc::new(snapshot.as_suspect())));
        }
        if let Boarding::Failed(_) = self.start(Cause::Refused) {
            self.shared.clear_suspicion(generation);
        }
    }

    /// Refuses the token of this generation, and waits for one that follows it: for a request that is to be sent again
    /// after a 401.
    ///
    /// # Errors
    ///
    /// When no newer token can be had; the refused one is then served on to other requests, and the API's own 401 is the
    /// answer to give back.
    ///
    /// # Cancel safety
    ///
    /// As for [`authorization`](Self::authorization).
    pub async fn replacement(&self, refused: Generation) -> Result<Authorization, Error> {
        self.refuse(refused);
        self.wait(Some(refused)).await
    }

    /// Whether a request to `uri` gets this credential: its origin must be one of those that it is bound to.
    #[inline]
    pub fn target(&self, uri: &Uri) -> Target {
        Target::of(uri, &self.shared.origins)
    }

    /// The origins that the credential is bound to.
    pub fn origins(&self) -> &[Origin] {
        &self.shared.origins
    }

    /// The error for a request whose destination cannot be told; for adapters.
    pub fn relative_uri_error(&self) -> Error {
        Error::relative_uri(self.shared.renewal.name.clone())
    }

    /// The credential's name.
    pub fn name(&self) -> &str {
        &self.shared.renewal.name
    }

    /// What there is to show: the token's age, the budget as the store has it now, the last error.
    ///
    /// Reads the store (at most 5 s); a store that fails is part of the answer.
    pub async fn status(&self) -> Status {
        let snapshot = self.shared.snapshot.load_full();
        let last_error = self.shared.lock().last_error.clone();
        self.shared.renewal.status(snapshot.as_deref(), last_error).await
    }

    /// Waits for a token, or for one that follows the generation `after`.
    async fn wait(&self, after: Option<Generation>) -> Result<Authorization, Error> {
        let mut interruptions = 0;
        loop {
            if let Some(authorization) = self.shared.serve(after) {
                return Ok(authorization);
            }
            let cause = self.shared.cause(after);
            let waiter = match self.start(cause) {
                Boarding::Boarded(waiter, _) => waiter,
                Boarding::Failed(error) => return Err(error),
                Boarding::Grounded => {
                    let problem =
                        "a token is needed, and there is no tokio runtime here to fetch it on";
                    return Err(Error::runtime(self.shared.renewal.name.clone(), problem));
                }
            };
            match waiter.landed().await {
                // Whatever its age: it has been published this moment, and a token that is dead on arrival must not be
                // fetched again and again.
                Landing::Token => match self.shared.latest(after) {
                    Some(authorization) => return Ok(authorization),
                    None => continue,
                },
                Landing::Failed(failed, error) if same_need(failed, cause) => return Err(error),
                // A renewal ahead of time may be refused where a caller in need is not.
                Landing::Failed(..) => {}
                Landing::Interrupted => {
                    interruptions += 1;
                    if interruptions > INTERRUPTIONS {
                        let problem = "the tokio runtimes that fetched a token were shut down, one after the other";
                        return Err(Error::runtime(self.shared.renewal.name.clone(), problem));
                    }
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn renew_in_background(&self, snapshot: &Snapshot) {
        if self.shared.flights.is_flying() {
            return;
        }
        let cause = if snapshot.suspect { Cause::Refused } else { Cause::Expiring };
        self.start(cause);
    }

    /// Joins the flight under way or starts one, in a task that outlives the caller.
    fn start(&self, cause: Cause) -> Boarding {
        let runtime = Handle::try_current().ok();
        let now = self.shared.clock.now().boot;
        let boarding = self.shared.flights.board(cause, now, runtime.is_some());
        match (boarding, runtime) {
            // The lock of the flights is released: a runtime that is shutting down drops the task, and the ticket in it, at
            // once.
            (Boarding::Boarded(waiter, Some(ticket)), Some(runtime)) => {
                runtime.spawn(self.shared.clone().fly(ticket));
                Boarding::Boarded(waiter, None)
            }
            (boarding, _) => boarding,
        }
    }
}

impl Shared {
    /// One flight, from the need to the published token.
    async fn fly(self: Arc<Self>, ticket: Ticket) {
        let Some(need) = self.need(ticket.cause()) else {
            ticket.land(Landing::Token, self.clock.now().boot);
            return;
        };
        tracing::debug!(credential = %self.renewal.name, cause = %need.cause, "getting a token");
        let renewed = self.renewal.run(&need).await;
        let now = self.clock.now();
        let landing = match renewed.result {
            Ok(acquired) => {
                self.publish(&acquired, now);
                Landing::Token
            }
            Err(error) => {
                self.put_off(&need, &error, now);
                Landing::Failed(need.cause, error)
            }
        };
        ticket.land(landing, now.boot);
        if let Some(settlement) = renewed.unsettled {
            self.renewal.settle_later(settlement).await;
        }
    }

    /// What to ask for now that this flight is the only one; `None` if an earlier one has brought it already.
    fn need(&self, cause: Cause) -> Option<Need> {
        let slow = self.lock();
        let now = self.clock.now();
        let mut snapshot = self.snapshot.load_full();
        // The wall clock jumped, and the token lives on by the clock that does not: cheaper than a token request.
        if let Some((old, left)) = snapshot
            .as_ref()
            .and_then(|old| old.outlives_the_wall_clock(now).map(|left| (old, left)))
        {
            tracing::warn!(credential = %self.renewal.name, "the wall clock jumped; the token is kept");
            let redated = Arc::new(old.redated(left, now));
            self.snapshot.store(Some(redated.clone()));
            snapshot = Some(redated);
        }
        let needed = match (&snapshot, cause) {
            (None, _) => true,
            (Some(snapshot), Cause::Expiring) => snapshot.freshness(now.wall) != Freshness::Fresh,
            (Some(snapshot), Cause::Refused) => snapshot.suspect,
            (Some(snapshot), _) => snapshot.freshness(now.wall) == Freshness::Expired,
        };
        let current = snapshot.map(|snapshot| Current {
            id: snapshot.id,
            cause: snapshot.cause,
            sent: snapshot.sent,
            expires_at: snapshot.expires_at,
        });
        needed.then(|| Need { cause, current, refused: slow.refused.clone() })
    }

    fn publish(&self, acquired: &Acquired, now: Now) {
        let mut slow = self.lock();
        let last =
            self.snapshot.load().as_ref().map_or(Generation::NONE, |snapshot| snapshot.generation);
        let snapshot =
            Snapshot::new(&acquired.token, last.next(), &acquired.provenance, self.jitter, now);
        tracing::info!(
            credential = %self.renewal.name,
            generation = %snapshot.generation,
            cause = %acquired.provenance.cause,
            adopted = acquired.adopted,
            expires = %snapshot.expires_at,
            "a token is in use"
        );
        if last == Generation::NONE {
            self.renewal.warn_if_too_short(acquired.provenance.lifetime);
        }
        slow.last_error = None;
        self.snapshot.store(Some(Arc::new(snapshot)));
    }

    /// After a flight without a token: what is at hand is served on, and not renewed before another attempt makes sense.
    fn put_off(&self, need: &Need, error: &Error, now: Now) {
        let mut slow = self.lock();
        // Once for each thing that goes wrong, not for each caller whom it still stops.
        if slow.last_error.as_ref().is_some_and(|last| last.is_like(error)) {
            tracing::debug!(credential = %self.renewal.name, cause = %need.cause, %error, "still no token");
        } else {
            let source = std::error::Error::source(error);
            tracing::warn!(credential = %self.renewal.name, cause = %need.cause, %error, source, "no token");
        }
        slow.last_error = Some(error.clone());
        let Some(snapshot) = self.snapshot.load_full() else { return };
        if need.current.is_none_or(|current| current.id != snapshot.id) {
            return;
        }
        let at = error.retry_timestamp().unwrap_or(now.wall + crate::quota::pace::FIRST_GAP);
        let next = match need.cause {
            Cause::Expiring => snapshot.put_off_until(at),
            // The next 401 makes it suspect again.
            Cause::Refused => snapshot.cleared(),
            _ => return,
        };
        self.snapshot.store(Some(Arc::new(next)));
    }

    fn clear_suspicion(&self, generation: Generation) {
        let _slow = self.lock();
        if let Some(snapshot) = self.snapshot.load_full().filter(|now| now.generation == generation)
        {
            self.snapshot.store(Some(Arc::new(snapshot.cleared())));
        }
    }

    /// The token, if it is alive and follows `after`.
    fn serve(&self, after: Option<Generation>) -> Option<Authorization> {
        let snapshot = self.snapshot.load();
        let snapshot = snapshot
            .as_ref()
            .filter(|snapshot| after.is_none_or(|after| snapshot.generation > after))?;
        let alive = snapshot.freshness(self.clock.coarse()) != Freshness::Expired;
        alive.then(|| snapshot.authorization())
    }

    /// The token, alive or not, if it follows `after`.
    fn latest(&self, after: Option<Generation>) -> Option<Authorization> {
        let snapshot = self.snapshot.load();
        let follows =
            |snapshot: &&Arc<Snapshot>| after.is_none_or(|after| snapshot.generation > after);
        snapshot.as_ref().filter(follows).map(|snapshot| snapshot.authorization())
    }

    fn cause(&self, after: Option<Generation>) -> Cause {
        match (&*self.snapshot.load(), after) {
            (None, _) => Cause::Start,
            (Some(snapshot), Some(after)) if snapshot.generation == after => Cause::Refused,
            (Some(_), _) => Cause::Expired,
        }
    }

    // Every change under this lock is a single store, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("name", &self.shared.renewal.name)
            .field("origins", &self.shared.origins)
            .field("snapshot", &self.shared.snapshot.load().as_deref())
            .finish_non_exhaustive()
    }
}
