//! How a token is come by: a loop over the plan, between the cell and the wire.
//!
//! read the cell → adopt, wait, or spend → send → settle. No lock is held anywhere on the way, and the ledger has the unit
//! before the issuer has the request.

pub(crate) mod flight;
mod outcome;
pub(crate) mod plan;
mod report;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

pub(crate) use self::outcome::{Acquired, Settlement};
use self::plan::{Denied, Learnt, Need, Plan, plan};
use crate::cell::{Cell, CellError};
use crate::clock::{Clock, Now, Timestamp};
use crate::error::Error;
use crate::failure::{Failure, FailureKind};
use crate::id::FlightId;
use crate::lifetime::Lifetime;
use crate::quota::Quota;
use crate::quota::ledger::Spend;
use crate::record::{Identity, Record};
use crate::seal::Keys;
use crate::store::Written;
use crate::wire::request::TokenRequest;
use crate::wire::response::{self, TokenResponse};
use crate::wire::{Transport, TransportError, TransportErrorKind};

/// What a flight lives longer than its exchange, to be settled.
const GRACE: Duration = Duration::from_secs(2);

/// How long a token that was fetched waits to be written down before it is served.
const SETTLE_FIRST: Duration = Duration::from_secs(1);

/// The pauses between the attempts to settle after that.
const SETTLE_LATER: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(6),
];

/// How long each of those attempts may take.
const SETTLE_ONCE: Duration = Duration::from_secs(10);

/// How often a process looks at a flight that it waits for.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Everything that it takes to get a token, but the need of one.
pub(crate) struct Renewal {
    pub(crate) name: Arc<str>,
    pub(crate) cell: Cell,
    pub(crate) keys: Keys,
    pub(crate) identity: Identity,
    pub(crate) request: TokenRequest,
    pub(crate) quota: Quota,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    /// For one exchange with the issuer, from the connection to the last byte.
    pub(crate) deadline: Duration,
    pub(crate) default_lifetime: Option<Duration>,
    /// Flights of this process that are not settled. A flight that is in here while no other task flies is one whose task
    /// was dropped.
    pub(crate) unsettled: Mutex<Vec<FlightId>>,
}

/// A token or the reason that there is none, and what is still to be written down.
pub(crate) struct Renewed {
    pub(crate) result: Result<Acquired, Error>,
    pub(crate) unsettled: Option<Settlement>,
}

impl Renewal {
    /// Gets what `need` asks for, from the record or from the issuer.
    pub(crate) async fn run(&self, need: &Need) -> Renewed {
        match self.reserve(need).await {
            Ok(Reserved::Adopted(acquired)) => Renewed { result: Ok(acquired), unsettled: None },
            Ok(Reserved::Spent(spend)) => self.fly(spend, need).await,
            Err(error) => Renewed { result: Err(error), unsettled: None },
        }
    }

    /// Up to the point where a byte may be sent: the unit is in the ledger, as durably as the store can.
    async fn reserve(&self, need: &Need) -> Result<Reserved, Error> {
        let mut learnt = Learnt { gone: self.gone(), ..Learnt::default() };
        let mut mine: Option<Spend> = None;
        let mut pause = POLL.0;
        loop {
            let (version, mut record) =
                self.cell.read().await.map_err(|error| self.store_error(error))?;
            let now = self.clock.now();
            // A write whose answer was lost, or that lost a race against its own echo, may be there all the same.
            if let Some(spend) = mine.take() {
                if record
                    .flights
                    .get(&self.identity.request)
                    .is_some_and(|open| open.id == spend.id)
                {
                    return Ok(Reserved::Spent(spend));
                }
                self.forget(spend.id);
            }
            match plan(&record, need, &learnt, self.identity, &self.quota, now) {
                Plan::Adopt(token) => {
                    match self.keys.open(self.cell.key(), self.identity.request, token) {
                        Some(access) => {
                            return Ok(Reserved::Adopted(Acquired::adopted(access, token)));
                        }
                        None => {
                            tracing::warn!(credential = %self.name, "a stored token cannot be opened and is ignored");
                            learnt.unreadable.push(token.id);
                        }
                    }
                }
                Plan::Wait(flight) => {
                    if learnt.watched.is_none_or(|(id, _)| id != flight.id) {
                        learnt.watched = Some((flight.id, now.boot));
                        pause = POLL.0;
                    }
                    tokio::time::sleep(jittered(pause)).await;
                    pause = (pause * 2).min(POLL.1);
                }
                Plan::Bury { flight, gone } => {
                    let expires_at = need.current.map(|current| current.expires_at);
                    record.bury(flight, self.identity, gone, &self.quota, expires_at, now);
                    self.write(version, &mut record).await?;
                    self.forget(flight);
                }
                Plan::Deny(denied) => return Err(self.denied(denied)),
                Plan::Spend => {
                    let spend =
                        Spend::new(FlightId::random(), need.cause, self.identity.request, now);
                    record.begin(spend.clone(), self.deadline + GRACE, &self.quota);
                    // Before the write: if this task is dropped in the middle of it, the next one must know.
                    self.remember(spend.id);
                    if let Written::Written(_) = self.write(version, &mut record).await? {
                        return Ok(Reserved::Spent(spend));
                    }
                    mine = Some(spend);
                }
            }
        }
    }

    /// Sends the request, reads the answer, and writes down what it came to.
    async fn fly(&self, spend: Spend, need: &Need) -> Renewed {
        let sent = self.clock.now();
        let outcome = match self.exchange(&spend, sent).await {
            Ok(response) => self.acquire(response, &spend, sent),
            Err(failure) => Err(failure),
        };
        let expires_at = need.current.map(|current| current.expires_at);
        let settlement = Settlement { spend, outcome: outcome.clone(), expires_at };
        let settled = tokio::time::timeout(SETTLE_FIRST, self.settle(&settlement)).await;
        let (retry_at, unsettled) = match settled {
            Ok(Ok(retry_at)) => (retry_at, None),
            Ok(Err(error)) => {
                tracing::warn!(credential = %self.name, error = %error.message, "a token request is not settled yet");
                (None, Some(settlement))
            }
            Err(_) => (None, Some(settlement)),
        };
        let result =
            outcome.map_err(|failure| Error::failed(self.name.clone(), &failure, retry_at));
        Renewed { result, unsettled }
    }

    async fn exchange(&self, spend: &Spend, sent: Now) -> Result<Response<Bytes>, Failure> {
        // Writing the spend down took its time; what is left of the flight is all that the request may use.
        let spent = sent.boot.since(spend.boot).unwrap_or(self.deadline);
        let left = self.deadline.saturating_sub(spent);
        if left.is_zero() {
            let late = "the store took so long to write the request down that there was no time left to send it";
            return Err(Failure::new(FailureKind::Timeout, late));
        }
        let send = async { self.transport.send(self.request.to_http(), left).await };
        let mut send = pin!(send);
        // A transport that panics must cost one request and an error, not the flight of everybody else.
        let guarded = std::future::poll_fn(|cx| {
            match std::panic::catch_unwind(AssertUnwindSafe(|| send.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(_) => Poll::Ready(Err(())),
            }
        });
        match tokio::time::timeout(left, guarded).await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(error))) => Err(transport_failure(error)),
            Ok(Err(())) => Err(Failure::new(
                FailureKind::Panicked,
                "the transport panicked; this is a bug in it",
            )),
            Err(_) => Err(Failure::new(
                FailureKind::Timeout,
                format!("the issuer gave no whole answer within {} ms", left.as_millis()),
            )),
        }
    }

    fn acquire(
        &self,
        response: Response<Bytes>,
        spend: &Spend,
        sent: Now,
    ) -> Result<Acquired, Failure> {
        let now = self.clock.now();
        let TokenResponse { token, expires_in } = response::read(response, now.wall)?;
        let claims = crate::jwt::claims(token.expose());
        let lifetime = Lifetime::of(expires_in, claims, self.default_lifetime, now.wall)
            .map_err(|problem| Failure::new(FailureKind::Unusable, problem))?;
        Ok(Acquired::fetched(token, spend.cause, sent.wall, lifetime))
    }

    /// Writes down what a flight came to; until when its failure holds others back, if it was one.
    async fn settle(&self, settlement: &Settlement) -> Result<Option<Timestamp>, CellError> {
        loop {
            let (version, mut record) = self.cell.read().await?;
            let retry_at = settlement.apply(&mut record, self);
            match self.cell.write(version, &mut record).await? {
                Written::Written(_) => {
                    self.forget(settlement.spend.id);
                    return Ok(retry_at);
                }
                // Settling twice changes nothing, so in doubt it is done again.
                Written::Conflict | Written::Unknown => {}
            }
        }
    }

    /// Goes on trying to settle, after the token was published.
    pub(crate) async fn settle_later(&self, settlement: Settlement) {
        for pause in SETTLE_LATER {
            tokio::time::sleep(pause).await;
            match tokio::time::timeout(SETTLE_ONCE, self.settle(&settlement)).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => {
                    tracing::warn!(credential = %self.name, error = %error.message, "a token request is not settled yet");
                }
                Err(_) => {}
            }
        }
        tracing::error!(
            credential = %self.name,
            "a token request could not be settled: its unit stays spent, and other processes do not see its token"
        );
    }

    async fn write(
        &self,
        version: Option<crate::store::Version>,
        record: &mut Record,
    ) -> Result<Written, Error> {
        self.cell.write(version, record).await.map_err(|error| self.store_error(error))
    }

    fn store_error(&self, error: CellError) -> Error {
        let message = format!("nothing is spent while the store fails: {}", error.message);
        Error::store(self.name.clone(), message, error.source)
    }

    fn denied(&self, denied: Denied) -> Error {
        let name = self.name.clone();
        match denied {
            Denied::Held(hold) => {
                let failure = Failure::new(
                    hold.kind,
                    format!("held since the last attempt: {}", hold.detail),
                );
                Error::failed(name, &failure, Some(hold.until))
            }
            Denied::Exhausted(exhausted) => {
                Error::quota(name, exhausted.to_string(), exhausted.retry_at)
            }
            Denied::RefusedAgain(until) => Error::refused_again(name, until),
        }
    }

    fn gone(&self) -> Vec<FlightId> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, flight: FlightId) {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).push(flight);
    }

    fn forget(&self, flight: FlightId) {
        self.unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|kept| *kept != flight);
    }
}

enum Reserved {
    Adopted(Acquired),
    Spent(Spend),
}

fn transport_failure(error: TransportError) -> Failure {
    let kind = match error.kind {
        TransportErrorKind::NotSent => FailureKind::NotSent,
        TransportErrorKind::InDoubt => FailureKind::Transport,
        TransportErrorKind::BodyTooLong => FailureKind::Junk,
        TransportErrorKind::Timeout => FailureKind::Timeout,
    };
    Failure::new(kind, error.to_string()).with_source(error.source.map(Arc::from))
}

/// Between three quarters and five quarters of `pause`, so that processes that began to wait together do not poll together.
fn jittered(pause: Duration) -> Duration {
    let random = u32::from(crate::id::random_bytes::<1>()[0]);
    pause * (192 + random / 2) / 256
}
