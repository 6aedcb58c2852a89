//! A flight, from the wish to the published token, and those who wait for it.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use crate::error::Error;
use crate::events::{EventKind, RenewalOutcome};
use crate::metrics;
use crate::quota::Cause;
use crate::renewal::flight::{Boarding, Landing, Ticket, Waiter, Wish};
use crate::renewal::plan::Need;
use crate::shared::Shared;
use crate::sync::{Runtime, timeout};
use crate::token::{Authorization, Generation};

/// How many flights that do not answer it a caller waits for before it gives up. More than two in a row take runtimes that
/// are shut down one after the other.
const FLIGHTS: u8 = 8;

/// How often a caller looks whether a flight on another runtime is still driven.
const LOOK: Duration = Duration::from_secs(1);

impl Shared {
    /// Waits until the wish is fulfilled, or cannot be.
    pub(crate) async fn wait(self: &Arc<Self>, wish: Wish) -> Result<Authorization, Error> {
        if let Some(authorization) = self.at_hand(wish) {
            return Ok(authorization);
        }
        let waiting = metrics::Wait::begin(&*self.clock);
        let result = self.wait_for_flights(wish).await;
        waiting.end(&*self.clock, &self.renewal.name, result.is_ok());
        result
    }

    /// The token that fulfils the wish, if there is one already.
    fn at_hand(&self, wish: Wish) -> Option<Authorization> {
        self.redate();
        self.serve(wish.after())
    }

    /// Waits for one flight after the other, until one fulfils the wish or shows that it cannot be.
    async fn wait_for_flights(self: &Arc<Self>, wish: Wish) -> Result<Authorization, Error> {
        let mut flights = FLIGHTS;
        // What a caller keeps while it waits is kept a million times by a million callers: nothing more than it needs.
        while flights > 0 {
            flights -= 1;
            let waiter = self.board(wish)?;
            let landing = if waiter.elsewhere {
                Box::pin(self.landed_elsewhere(waiter)).await
            } else {
                waiter.landed().await
            };
            match landing {
                // Whatever its age: it was published this moment, and a token that is dead on arrival must not be fetched
                // again and again.
                Landing::Published => {
                    if let Some(authorization) = self.latest(wish.after()) {
                        return Ok(authorization);
                    }
                }
                Landing::Failed(failed, error) if failed == wish => return Err(error),
                // Another wish may be refused where this one is not.
                Landing::Failed(..) | Landing::NotNeeded | Landing::Interrupted => {}
            }
            if let Some(authorization) = self.at_hand(wish) {
                return Ok(authorization);
            }
        }
        Err(self.failed("flight after flight ended without an answer: are the runtimes shut down that they run on?"))
    }

    /// A place on the flight under way, or on a new one.
    fn board(self: &Arc<Self>, wish: Wish) -> Result<Waiter, Error> {
        match self.start(wish) {
            Boarding::Boarded(waiter, _) => Ok(waiter),
            Boarding::Failed(error) => Err(error),
            Boarding::Grounded => {
                Err(self
                    .failed("a token is needed, and there is no tokio runtime here to fetch it on"))
            }
        }
    }

    /// Waits for a flight on another runtime, and gives it up when nobody drives that any more.
    async fn landed_elsewhere(&self, waiter: Waiter) -> Landing {
        loop {
            if let Ok(landing) = timeout(LOOK, waiter.landed()).await {
                return landing;
            }
            if self.renewal.stands_still(self.clock.now().boot) {
                self.flights.give_up(waiter.epoch);
            }
        }
    }

    /// Joins the flight under way or starts one, in a task that outlives the caller.
    pub(crate) fn start(self: &Arc<Self>, wish: Wish) -> Boarding {
        let runtime = Runtime::current();
        let now = self.clock.now().boot;
        match (self.flights.board(wish, now, runtime.as_ref()), runtime) {
            // The lock of the flights is released: a runtime that is shutting down drops the task, and the ticket in it, at
            // once.
            (Boarding::Boarded(waiter, Some(ticket)), Some(runtime)) => {
                self.renewal.take_step();
                runtime.spawn(self.clone().fly(ticket));
                Boarding::Boarded(waiter, None)
            }
            (boarding, _) => boarding,
        }
    }

    /// One flight, from the wish to the published token.
    async fn fly(self: Arc<Self>, ticket: Ticket) {
        self.renewal.take_step();
        let wish = ticket.wish();
        let Some((need, replaces)) = self.need(wish) else {
            ticket.land(Landing::NotNeeded, self.clock.now().boot);
            return;
        };
        // Below no other span: whoever started it is served without it.
        let span = tracing::info_span!(
            target: "auth_core",
            parent: None,
            "renewal",
            credential = %self.renewal.name,
            cause = %need.cause
        );
        self.get(ticket, wish, need, replaces).instrument(span).await;
    }

    /// Gets what a flight needs.
    async fn get(&self, ticket: Ticket, wish: Wish, need: Need, replaces: Generation) {
        tracing::debug!(credential = %self.renewal.name, cause = %need.cause, "getting a token");
        self.renewal.hub.emit(EventKind::RenewalStarted { cause: need.cause });
        let began = self.clock.now().boot;
        let renewed = self.renewal.run(&need).await;
        let now = self.clock.now();
        let took = now.boot.since(began).unwrap_or_default();
        let landing = match renewed.result {
            Ok(acquired) => {
                let generation = self.publish(&acquired, replaces, now);
                self.tell(need.cause, RenewalOutcome::of(generation, acquired.adopted), took);
                generation.map_or(Landing::NotNeeded, |_| Landing::Published)
            }
            Err(error) => {
                self.tell(need.cause, RenewalOutcome::Failed(error.clone()), took);
                self.put_off(wish, &need, &error, now);
                Landing::Failed(wish, error)
            }
        };
        ticket.land(landing, now.boot);
        if let Some(settlement) = renewed.unsettled {
            self.renewal.settle_later(settlement).await;
        }
    }

    /// What came of a flight, for those who listen and for what is measured.
    fn tell(&self, cause: Cause, outcome: RenewalOutcome, took: Duration) {
        let is_known = !matches!(&outcome, RenewalOutcome::Failed(error) if error.is_store());
        let left = || is_known.then(|| self.renewal.units_left())?;
        metrics::left(&self.renewal.name, left);
        if self.renewal.hub.is_heard() {
            let units_left = left();
            let kind = EventKind::RenewalFinished { cause, outcome, units_left, took };
            self.renewal.hub.emit(kind);
        }
    }

    fn failed(&self, problem: &str) -> Error {
        Error::runtime(self.renewal.name.clone(), problem)
    }
}
