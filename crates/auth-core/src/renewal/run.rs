//! The loop: one need in, one token or one error out.

use std::time::Duration;

use super::credential::{Credential, Look};
use super::fly::Second;
use super::means::{CONTENDED, POLL, Renewal, Renewed, jittered};
use super::outcome::Acquired;
use super::plan::{Denied, Learnt, Need, Plan, plan};
use crate::cell::CellError;
use crate::clock::BootTime;
use crate::error::Error;
use crate::failure::Failure;
use crate::id::{FlightId, Version};
use crate::quota::Cause;
use crate::quota::spend::Spend;
use crate::record::{Record, Terms};
use crate::store::Written;
use crate::sync::sleep;

/// What a flight lives longer than its exchange, to be settled.
const GRACE: Duration = Duration::from_secs(2);

/// How many writes of unknown fate in a row are taken for a store that fails.
const UNKNOWN: usize = 5;

/// And so are fewer, when they took this long together.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

enum Reserved {
    Adopted(Acquired),
    Spent(Spend),
}

impl Renewal {
    /// Gets what `need` asks for, from the record or from the issuer.
    ///
    /// A second request follows at once in two cases, each of them once: the secret was rotated when the issuer refused the
    /// one at hand (RFC 6749 §5.2), and the issuer wants a nonce in the proof (RFC 9449 §8). Each costs a unit of its own.
    pub(crate) async fn run(&self, need: &Need) -> Renewed {
        let mut need = need.clone();
        let mut second = Second::default();
        let by_hand = need.cause == Cause::Manual;
        let now = self.clock.now().boot;
        let look = if by_hand { Look::ByHand } else { Look::Before(now) };
        second.rotated = self.rotates(&mut need, look).await;
        loop {
            let credential = self.credentials.now();
            let spend = match self.reserve(&credential, &need).await {
                Ok(Reserved::Adopted(acquired)) => {
                    return Renewed { result: Ok(acquired), unsettled: None };
                }
                Ok(Reserved::Spent(spend)) => spend,
                Err(error) => {
                    let held = Look::Held(self.clock.now().boot);
                    if (error.is_invalid_client() || error.is_rejected())
                        && !second.rotated
                        && self.rotates(&mut need, held).await
                    {
                        second.rotated = true;
                        continue;
                    }
                    return Renewed { result: Err(error), unsettled: None };
                }
            };
            if let Some(renewed) = self.fly(&credential, spend, &mut need, &mut second).await {
                return renewed;
            }
        }
    }

    /// Up to the point where a byte may be sent: the unit is in the ledger, as durably as the store can.
    async fn reserve(&self, credential: &Credential, need: &Need) -> Result<Reserved, Error> {
        let identity = credential.identity;
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
                let present = record.tokens.get(&identity.request);
                learnt.passed_over.extend(present.map(|token| token.id));
            }
            let now = self.take_step();
            // A write whose answer was lost may be there all the same.
            if let Some(open) = record.flights.get(&identity.request)
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
                match plan(&record, need, &learnt, identity, &self.quota, now) {
                    Plan::Adopt(token) => {
                        match credential.keys.open(self.cell.key(), identity.request, token) {
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
                        let terms = Terms { identity, quota: &self.quota, expires_at, now };
                        record.bury(flight, gone, &terms);
                        let written = self.write(version, &mut record).await?;
                        if let Written::Written(_) = written {
                            self.open.settled(flight);
                        }
                        written
                    }
                    Plan::Deny(denied) => return Err(self.denied(denied)),
                    Plan::Spend => {
                        // Before anything is spent. It may have taken long, so the record is read again.
                        if self.discovers(credential).await? {
                            continue;
                        }
                        let spend =
                            Spend::new(FlightId::random(), need.cause, identity.request, now);
                        record.begin(
                            spend.clone(),
                            self.deadline + GRACE + self.credentials.patience(),
                            &self.quota,
                        );
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

    async fn read(&self) -> Result<(Option<Version>, Record), Error> {
        self.cell.read().await.map_err(|error| self.store_error(error))
    }

    async fn write(&self, version: Option<Version>, record: &mut Record) -> Result<Written, Error> {
        self.cell.write(version, record).await.map_err(|error| self.store_error(error))
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
