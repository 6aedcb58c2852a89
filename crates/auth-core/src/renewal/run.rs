//! The loop: one need in, one token or one error out.

use std::sync::Arc;
use std::time::Duration;

use super::exchange::exchange;
use super::open::OpenFlights;
use super::outcome::{Acquired, Settlement};
use super::plan::{Denied, Learnt, Need, Plan, plan};
use crate::cell::{Cell, CellError};
use crate::clock::{BootTime, Clock, Now, Timestamp};
use crate::error::Error;
use crate::failure::{Failure, FailureKind};
use crate::hold::Identity;
use crate::id::{FlightId, Version, random_bytes};
use crate::lifetime::Lifetime;
use crate::quota::said::Said;
use crate::quota::spend::Spend;
use crate::quota::{Cause, Quota};
use crate::record::{Record, StoredToken, Terms};
use crate::seal::Keys;
use crate::store::Written;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{sleep, timeout};
use crate::wire::Transport;
use crate::wire::request::TokenRequest;
use crate::wire::response::{self, QuotaRefusal, Reading, TokenResponse};

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

/// The pause after a write that another one overtook, or that nobody can tell the fate of; doubled up to `POLL.1`.
const CONTENDED: Duration = Duration::from_millis(2);

/// How many writes of unknown fate in a row are taken for a store that fails.
const UNKNOWN: usize = 5;

/// And so are fewer, when they took this long together.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// How long a store may be for one operation, for telling a flight that is slow from one that stands still.
const STORE: Duration = Duration::from_secs(5);

/// Everything that it takes to get a token, but the need of one.
pub(crate) struct Renewal {
    pub(crate) name: Arc<str>,
    pub(crate) cell: Cell,
    pub(crate) keys: Keys,
    pub(crate) identity: Identity,
    pub(crate) request: TokenRequest,
    pub(crate) quota: Quota,
    pub(crate) quota_refusals: Vec<QuotaRefusal>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    /// For one exchange with the issuer, from the connection to the last byte.
    pub(crate) deadline: Duration,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) open: OpenFlights,
    /// When the flight under way last took a step, in milliseconds of the boot clock. It guards no other memory.
    pub(crate) step: AtomicU64,
}

/// A token or the reason that there is none, and what is still to be written down.
pub(crate) struct Renewed {
    pub(crate) result: Result<Acquired, Error>,
    pub(crate) unsettled: Option<Settlement>,
}

enum Reserved {
    Adopted(Acquired),
    Spent(Spend),
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

    /// Whether a flight that took its last step then is driven by nobody any more: no step takes as long as that.
    pub(crate) fn stands_still(&self, now: BootTime) -> bool {
        let since = now.millis.saturating_sub(self.step.load(Ordering::Relaxed));
        Duration::from_millis(since) > self.deadline.max(STORE) + STORE
    }

    pub(crate) fn take_step(&self) -> Now {
        let now = self.clock.now();
        self.step.store(now.boot.millis, Ordering::Relaxed);
        now
    }

    /// Up to the point where a byte may be sent: the unit is in the ledger, as durably as the store can.
    async fn reserve(&self, need: &Need) -> Result<Reserved, Error> {
        let mut learnt = Learnt { gone: self.open.gone(), ..Learnt::default() };
        let mut tried: Vec<Spend> = Vec::new();
        let mut wait = POLL.0;
        let mut contended = CONTENDED;
        // Writes in a row of which nobody knows whether they were done, and when the first of them was.
        let mut unknown: Option<(usize, BootTime)> = None;
        // Whoever asks for a new one by hand is not served with what was there before.
        let mut renews = need.cause == Cause::Manual && need.current.is_none();
        loop {
            self.take_step();
            let (version, mut record) = self.read().await?;
            if std::mem::take(&mut renews) {
                let present = record.tokens.get(&self.identity.request);
                learnt.passed_over.extend(present.map(|token| token.id));
            }
            let now = self.take_step();
            // A write whose answer was lost may be there all the same.
            if let Some(open) = record.flights.get(&self.identity.request)
                && let Some(spend) = tried.iter().find(|spend| spend.id == open.id)
            {
                return Ok(Reserved::Spent(spend.clone()));
            }
            let written = if self.settle_open(&mut record) {
                let settled = self.open.settlements();
                let written = self.write(version, &mut record).await?;
                if let Written::Written(_) = written {
                    settled.iter().for_each(|settlement| self.open.settled(settlement.spend.id));
                }
                written
            } else {
                match plan(&record, need, &learnt, self.identity, &self.quota, now) {
                    Plan::Adopt(token) => {
                        match self.keys.open(self.cell.key(), self.identity.request, token) {
                            Some(access) => {
                                return Ok(Reserved::Adopted(Acquired::adopted(access, token)));
                            }
                            None => {
                                let credential = &*self.name;
                                tracing::warn!(
                                    credential,
                                    "a stored token cannot be opened and is ignored"
                                );
                                learnt.passed_over.push(token.id);
                                continue;
                            }
                        }
                    }
                    Plan::Wait(flight) => {
                        if learnt.watched.is_none_or(|(id, _)| id != flight.id) {
                            learnt.watched = Some((flight.id, now.boot));
                            wait = POLL.0;
                        }
                        sleep(jittered(wait)).await;
                        wait = (wait * 2).min(POLL.1);
                        continue;
                    }
                    Plan::Bury { flight, gone } => {
                        let expires_at = need.current.map(|current| current.expires_at);
                        let terms =
                            Terms { identity: self.identity, quota: &self.quota, expires_at, now };
                        record.bury(flight, gone, &terms);
                        let written = self.write(version, &mut record).await?;
                        if let Written::Written(_) = written {
                            self.open.settled(flight);
                        }
                        written
                    }
                    Plan::Deny(denied) => return Err(self.denied(denied)),
                    Plan::Spend => {
                        let spend =
                            Spend::new(FlightId::random(), need.cause, self.identity.request, now);
                        record.begin(spend.clone(), self.deadline + GRACE, &self.quota);
                        // Before the write: if this task is dropped in the middle of it, the next one must know.
                        self.open.begin(spend.id);
                        let written = self.write(version, &mut record).await?;
                        if let Written::Written(_) = written {
                            return Ok(Reserved::Spent(spend));
                        }
                        if written == Written::Unknown {
                            tried.push(spend);
                        } else {
                            self.open.settled(spend.id);
                        }
                        written
                    }
                }
            };
            unknown = match written {
                Written::Written(_) | Written::Conflict => None,
                Written::Unknown => {
                    let (count, since) = unknown.unwrap_or((0, now.boot));
                    let lasted = self.clock.now().boot.since(since).unwrap_or(UNKNOWN_FOR);
                    if count + 1 >= UNKNOWN || lasted >= UNKNOWN_FOR {
                        return Err(self.store_error(CellError::undecided()));
                    }
                    Some((count + 1, since))
                }
            };
            if let Written::Written(_) = written {
                contended = CONTENDED;
            } else {
                sleep(jittered(contended)).await;
                contended = (contended * 2).min(POLL.1);
            }
        }
    }

    /// Sends the request, reads the answer, and writes down what it came to.
    async fn fly(&self, spend: Spend, need: &Need) -> Renewed {
        let sent = self.take_step();
        let request = self.request.to_http();
        let answer =
            exchange(&*self.transport, request, &*self.clock, spend.boot, self.deadline).await;
        let (outcome, said) = match answer {
            Ok(response) => {
                let Reading { token, said } =
                    response::read(response, self.clock.now().wall, &self.quota_refusals);
                (token.and_then(|token| self.acquire(token, &spend, sent)), said)
            }
            Err(failure) => (Err(failure), Said::default()),
        };
        self.take_step();
        let stored = outcome.as_ref().map(|acquired| self.sealed(acquired));
        let settlement = Settlement {
            ended: self.clock.now(),
            spend,
            outcome: stored.map_err(Clone::clone),
            said,
            expires_at: need.current.map(|current| current.expires_at),
        };
        self.open.ended(settlement.clone());
        let settled = timeout(SETTLE_FIRST, self.settle(&settlement)).await;
        let (retry_at, unsettled) = match settled {
            Ok(Ok(retry_at)) => (retry_at, None),
            Ok(Err(error)) => {
                self.warn_unsettled(&error);
                (None, Some(settlement))
            }
            Err(_) => (None, Some(settlement)),
        };
        let result =
            outcome.map_err(|failure| Error::failed(self.name.clone(), &failure, retry_at));
        Renewed { result, unsettled }
    }

    /// As it goes into the record.
    pub(super) fn sealed(&self, acquired: &Acquired) -> StoredToken {
        let mut stored = acquired.unsealed();
        self.keys.seal(self.cell.key(), self.identity.request, &mut stored, &acquired.token);
        stored
    }

    fn acquire(
        &self,
        response: TokenResponse,
        spend: &Spend,
        sent: Now,
    ) -> Result<Acquired, Failure> {
        let TokenResponse { token, expires_in } = response;
        let claims = crate::jwt::claims(token.expose());
        let now = self.clock.now().wall;
        let lifetime = Lifetime::of(expires_in, claims, self.default_lifetime, now)
            .map_err(|problem| Failure::new(FailureKind::Unusable, problem))?;
        Ok(Acquired::fetched(token, spend.cause, sent.wall, lifetime))
    }

    /// Applies what earlier flights of this process came to and could not write down; whether there was something.
    fn settle_open(&self, record: &mut Record) -> bool {
        let mut changed = false;
        for settlement in self.open.settlements() {
            let id = settlement.spend.id;
            // Another process may have given the flight up: what it came to is known here all the same.
            let under_way =
                record.ledger.spends().iter().any(|spend| spend.id == id && spend.is_unreported());
            if under_way {
                settlement.apply(record, self.identity, &self.quota);
            } else {
                self.open.settled(id);
            }
            changed |= under_way;
        }
        changed
    }

    /// Writes down what a flight came to; until when its failure holds others back, if it was one.
    async fn settle(&self, settlement: &Settlement) -> Result<Option<Timestamp>, CellError> {
        let mut contended = CONTENDED;
        loop {
            let (version, mut record) = self.cell.read().await?;
            let retry_at = settlement.apply(&mut record, self.identity, &self.quota);
            if let Written::Written(_) = self.cell.write(version, &mut record).await? {
                self.open.settled(settlement.spend.id);
                return Ok(retry_at);
            }
            // Settling twice changes nothing, so in doubt it is done again.
            sleep(jittered(contended)).await;
            contended = (contended * 2).min(POLL.1);
        }
    }

    /// Goes on trying to settle, after the token was published. The next flight does it first thing if this does not.
    pub(crate) async fn settle_later(&self, settlement: Settlement) {
        for pause in SETTLE_LATER {
            sleep(pause).await;
            if !self.open.is_open(settlement.spend.id) {
                return;
            }
            match timeout(SETTLE_ONCE, self.settle(&settlement)).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => self.warn_unsettled(&error),
                Err(_) => {}
            }
        }
        tracing::error!(
            credential = %self.name,
            "a token request could not be settled: its unit stays spent, and other processes do not see what it brought"
        );
    }

    fn warn_unsettled(&self, error: &CellError) {
        tracing::warn!(credential = %self.name, error = %error.message, "a token request is not settled yet");
    }

    async fn read(&self) -> Result<(Option<Version>, Record), Error> {
        self.cell.read().await.map_err(|error| self.store_error(error))
    }

    async fn write(&self, version: Option<Version>, record: &mut Record) -> Result<Written, Error> {
        self.cell.write(version, record).await.map_err(|error| self.store_error(error))
    }

    pub(super) fn store_error(&self, error: CellError) -> Error {
        let message = format!("nothing is spent while the store fails: {}", error.message);
        Error::store(self.name.clone(), message, error.source)
    }

    fn denied(&self, denied: Denied) -> Error {
        let name = self.name.clone();
        match denied {
            Denied::Held(hold, until) => {
                let failure = Failure::new(
                    hold.kind,
                    format!("held since the last attempt: {}", hold.detail),
                );
                Error::failed(name, &failure, Some(until))
            }
            Denied::Exhausted(exhausted) => {
                Error::quota(name, exhausted.to_string(), exhausted.retry_at)
            }
            Denied::RefusedAgain(until) => Error::refused_again(name, until),
        }
    }
}

/// Between three quarters and five quarters of `pause`, so that processes that began to wait together do not go on
/// together.
fn jittered(pause: Duration) -> Duration {
    pause * (192 + u32::from(random_bytes::<1>()[0]) / 2) / 256
}
