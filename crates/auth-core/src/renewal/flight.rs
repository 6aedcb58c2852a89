//! One token request at a time inside a process, whoever asks, and one answer for all who wait.
//!
//! The request runs in a task of its own. Its [`Ticket`] reports when the task ends in whatever way: with a result, by a
//! panic, or because its runtime was shut down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::BootTime;
use crate::error::Error;
use crate::quota::Cause;

/// For how long a failure answers later callers without another look into the store.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// How a flight ended.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    /// A token was published.
    Token,
    Failed(Cause, Error),
    /// Its runtime is gone: whoever still needs a token starts another.
    Interrupted,
}

#[derive(Debug)]
pub(crate) struct Flights {
    state: Mutex<State>,
    /// The number of the flight that ended last, and how.
    landed: watch::Sender<(u64, Landing)>,
    /// A copy of `state.flying`, for callers who only want to know whether there is something left to start. It guards no
    /// other memory: a stale reading costs one look at `state`.
    flying: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    epoch: u64,
    flying: bool,
    failed: Option<(Cause, Error, BootTime)>,
}

/// What became of the wish to fly.
pub(crate) enum Boarding {
    /// Somebody else's flight, or one's own if there is a ticket with it, which the new task must take along.
    Boarded(Waiter, Option<Ticket>),
    /// The same was tried a moment ago.
    Failed(Error),
    /// Nothing is under way, and nothing may be started.
    Grounded,
}

impl Flights {
    pub(crate) fn new() -> Arc<Self> {
        let (landed, _) = watch::channel((0, Landing::Token));
        Arc::new(Self { state: Mutex::default(), landed, flying: AtomicBool::new(false) })
    }

    pub(crate) fn is_flying(&self) -> bool {
        self.flying.load(Ordering::Relaxed)
    }

    /// Joins the flight under way, or starts one if `may_start`.
    pub(crate) fn board(
        self: &Arc<Self>,
        cause: Cause,
        now: BootTime,
        may_start: bool,
    ) -> Boarding {
        let mut state = self.lock();
        if !state.flying {
            if let Some((failed, error, at)) = &state.failed {
                let recent = now.since(*at).is_some_and(|since| since < SHARED_FOR);
                if recent && same_need(*failed, cause) {
                    return Boarding::Failed(error.clone());
                }
            }
            if !may_start {
                return Boarding::Grounded;
            }
            state.flying = true;
            state.epoch += 1;
            self.flying.store(true, Ordering::Relaxed);
            let ticket = Ticket { flights: self.clone(), epoch: state.epoch, cause, landed: false };
            return Boarding::Boarded(self.waiter(state.epoch), Some(ticket));
        }
        Boarding::Boarded(self.waiter(state.epoch), None)
    }

    fn waiter(&self, epoch: u64) -> Waiter {
        Waiter { landed: self.landed.subscribe(), epoch }
    }

    fn land(&self, epoch: u64, landing: Landing, now: Option<BootTime>) {
        let mut state = self.lock();
        state.flying = false;
        self.flying.store(false, Ordering::Relaxed);
        state.failed = match (&landing, now) {
            (Landing::Failed(cause, error), Some(now)) => Some((*cause, error.clone(), now)),
            _ => None,
        };
        drop(state);
        self.landed.send_replace((epoch, landing));
    }

    // Nothing under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a failure for one cause answers a wish for the other.
pub(crate) fn same_need(failed: Cause, wanted: Cause) -> bool {
    let starving = |cause| matches!(cause, Cause::Start | Cause::Expired);
    failed == wanted || (starving(failed) && starving(wanted))
}

/// A caller's place on a flight. Dropping it leaves the flight alone.
pub(crate) struct Waiter {
    landed: watch::Receiver<(u64, Landing)>,
    epoch: u64,
}

impl Waiter {
    /// How the flight ended, or a later one if that ended first.
    pub(crate) async fn landed(mut self) -> Landing {
        match self.landed.wait_for(|(epoch, _)| *epoch >= self.epoch).await {
            Ok(landed) => landed.1.clone(),
            // The authenticator is gone, and with it every flight.
            Err(_) => Landing::Interrupted,
        }
    }
}

/// The duty to say how a flight ended. Dropping it says so too.
pub(crate) struct Ticket {
    flights: Arc<Flights>,
    epoch: u64,
    cause: Cause,
    landed: bool,
}

impl Ticket {
    pub(crate) fn cause(&self) -> Cause {
        self.cause
    }

    pub(crate) fn land(mut self, landing: Landing, now: BootTime) {
        self.landed = true;
        self.flights.land(self.epoch, landing, Some(now));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.landed {
            self.flights.land(self.epoch, Landing::Interrupted, None);
        }
    }
}
