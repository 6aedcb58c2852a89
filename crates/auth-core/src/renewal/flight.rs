//! One token request at a time inside a process, whoever asks, and one answer for all who wait.
//!
//! The request runs in a task of its own. Its [`Ticket`] reports when the task ends in whatever way: with a result, by a
//! panic, or because its runtime was shut down. A task that is not driven any more, on a runtime that is kept and not run,
//! reports nothing: whoever waits for it from another runtime gives it up in the end ([`Flights::give_up`]).

use std::sync::Arc;
use std::time::Duration;

use crate::clock::BootTime;
use crate::error::Error;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, Notify, PoisonError, Runtime, RuntimeId};
use crate::token::Generation;

/// For how long a failure answers later callers without another look into the store.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// What a caller wants of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A token: there is none.
    Any,
    /// A token ahead of time: there is one, and it grows old.
    Renewal,
    /// A token that follows this one, which an API refused.
    After(Generation),
    /// A token that follows this one, because the user says so.
    Manual(Generation),
}

impl Wish {
    /// The generation that a token must follow to fulfil it.
    pub(crate) fn after(self) -> Option<Generation> {
        match self {
            Self::Any | Self::Renewal => None,
            Self::After(generation) | Self::Manual(generation) => Some(generation),
        }
    }
}

/// How a flight ended.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    /// A token was published.
    Published,
    /// Somebody else had been quicker.
    NotNeeded,
    Failed(Wish, Error),
    /// Nobody knows: whoever still needs a token starts another.
    Interrupted,
}

#[derive(Debug)]
pub(crate) struct Flights {
    name: Arc<str>,
    state: Mutex<State>,
    /// Wakes all who wait, when a flight has ended. What they are to see is in `state` by then.
    ended: Notify,
    /// A copy of `state.flying`, for callers who only want to know whether there is something left to start. It guards no
    /// other memory: a stale reading costs one look at `state`, or leaves the start of a renewal to the next request.
    flying: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// The number of the flight that began last.
    epoch: u64,
    flying: Option<RuntimeId>,
    failed: Option<(Wish, Error, BootTime)>,
    /// The number of the flight that ended last, and how. It only grows.
    landed: (u64, Landing),
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
    pub(crate) fn new(name: Arc<str>) -> Arc<Self> {
        let state = State { epoch: 0, flying: None, failed: None, landed: (0, Landing::NotNeeded) };
        Arc::new(Self {
            name,
            state: Mutex::new(state),
            ended: Notify::new(),
            flying: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_flying(&self) -> bool {
        self.flying.load(Ordering::Relaxed)
    }

    /// Joins the flight under way, or starts one on `runtime`, if there is one.
    pub(crate) fn board(
        self: &Arc<Self>,
        wish: Wish,
        now: BootTime,
        runtime: Option<&Runtime>,
    ) -> Boarding {
        let here = runtime.map(Runtime::id);
        let mut state = self.lock();
        if let Some(there) = state.flying {
            return Boarding::Boarded(
                self.waiter(state.epoch, here.is_some_and(|here| here != there)),
                None,
            );
        }
        if let Some((failed, error, at)) = &state.failed
            && *failed == wish
            && now.since(*at).is_some_and(|since| since < SHARED_FOR)
        {
            return Boarding::Failed(error.clone());
        }
        if here.is_none() {
            return Boarding::Grounded;
        }
        state.epoch += 1;
        state.flying = here;
        self.flying.store(true, Ordering::Relaxed);
        let ticket = Ticket { flights: self.clone(), epoch: state.epoch, wish, landed: false };
        Boarding::Boarded(self.waiter(state.epoch, false), Some(ticket))
    }

    /// Declares a flight ended that does not end by itself.
    pub(crate) fn give_up(&self, epoch: u64) {
        self.land(epoch, Landing::Interrupted, None);
    }

    /// The next caller is to try anew.
    pub(crate) fn forget_failure(&self) {
        self.lock().failed = None;
    }

    fn waiter(self: &Arc<Self>, epoch: u64, elsewhere: bool) -> Waiter {
        Waiter { flights: self.clone(), epoch, elsewhere }
    }

    fn land(&self, epoch: u64, landing: Landing, now: Option<BootTime>) {
        let mut state = self.lock();
        // A flight that was given up may land after another has begun.
        if state.epoch == epoch {
            state.flying = None;
            self.flying.store(false, Ordering::Relaxed);
            state.failed = match (&landing, now) {
                (Landing::Failed(wish, error), Some(now)) => Some((*wish, error.clone(), now)),
                _ => None,
            };
        }
        // The later flight's end stands, since its waiters have no other sign of it.
        if state.landed.0 < epoch {
            state.landed = (epoch, landing);
            drop(state);
            self.ended.notify_waiters();
        }
    }

    /// How this flight ended, or a later one.
    fn landed(&self, epoch: u64) -> Option<Landing> {
        let state = self.lock();
        (state.landed.0 >= epoch).then(|| state.landed.1.clone())
    }

    // Nothing under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's place on a flight. Dropping it leaves the flight alone.
pub(crate) struct Waiter {
    flights: Arc<Flights>,
    pub(crate) epoch: u64,
    /// The flight runs on another runtime than the caller, who cannot know whether anybody drives that.
    pub(crate) elsewhere: bool,
}

impl Waiter {
    /// How the flight ended, or a later one if that ended first. Cancel safe.
    pub(crate) async fn landed(&self) -> Landing {
        loop {
            // Before the look: a flight that ends after it wakes whoever has asked to be woken by then.
            let ended = self.flights.ended.notified();
            if let Some(landing) = self.flights.landed(self.epoch) {
                return landing;
            }
            ended.await;
        }
    }
}

/// The duty to say how a flight ended. Dropping it says so too.
pub(crate) struct Ticket {
    flights: Arc<Flights>,
    epoch: u64,
    wish: Wish,
    landed: bool,
}

impl Ticket {
    pub(crate) fn wish(&self) -> Wish {
        self.wish
    }

    pub(crate) fn land(mut self, landing: Landing, now: BootTime) {
        self.landed = true;
        self.flights.land(self.epoch, landing, Some(now));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        let landing = if std::thread::panicking() {
            let problem = "getting a token panicked: in the store, or because the tokio runtime has no timers \
                           (`enable_time`)";
            Landing::Failed(self.wish, Error::runtime(self.flights.name.clone(), problem))
        } else {
            Landing::Interrupted
        };
        self.flights.land(self.epoch, landing, None);
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;
    use crate::id::BootId;

    const NOW: BootTime = BootTime { id: BootId::fixed(1), millis: 0 };

    /// A flight on the runtime at hand.
    fn fly(flights: &Arc<Flights>) -> (Waiter, Ticket) {
        match flights.board(Wish::Any, NOW, Runtime::current().as_ref()) {
            Boarding::Boarded(waiter, Some(ticket)) => (waiter, ticket),
            _ => panic!("nothing is under way"),
        }
    }

    #[tokio::test]
    async fn a_flight_that_was_given_up_and_lands_late_hides_no_later_end() {
        let flights = Flights::new("test".into());
        let (first, late) = fly(&flights);
        flights.give_up(first.epoch);
        assert!(matches!(assert_ready!(task::spawn(first.landed()).poll()), Landing::Interrupted));

        let (second, ticket) = fly(&flights);
        ticket.land(Landing::Published, NOW);
        late.land(Landing::NotNeeded, NOW);
        assert!(matches!(assert_ready!(task::spawn(second.landed()).poll()), Landing::Published));
    }

    #[tokio::test]
    async fn a_flight_that_was_given_up_does_not_end_its_successor() {
        let flights = Flights::new("test".into());
        let (first, late) = fly(&flights);
        flights.give_up(first.epoch);
        let (second, ticket) = fly(&flights);
        late.land(Landing::Published, NOW);
        assert!(flights.is_flying());
        let mut waiting = task::spawn(second.landed());
        assert_pending!(waiting.poll());
        drop(ticket);
        assert!(matches!(assert_ready!(waiting.poll()), Landing::Interrupted));
        assert!(!flights.is_flying());
    }

    #[tokio::test]
    async fn a_failure_answers_the_same_wish_for_a_second() {
        let flights = Flights::new("test".into());
        let (_, ticket) = fly(&flights);
        let error = Error::runtime("test".into(), "a failure");
        ticket.land(Landing::Failed(Wish::Any, error), NOW);
        let board = |wish, millis| {
            let now = BootTime { millis, ..NOW };
            flights.board(wish, now, Runtime::current().as_ref())
        };
        assert!(matches!(board(Wish::Any, 999), Boarding::Failed(_)));
        assert!(matches!(board(Wish::Renewal, 999), Boarding::Boarded(_, Some(_))));
        assert!(matches!(board(Wish::Any, 1000), Boarding::Boarded(_, Some(_))));
    }
}
