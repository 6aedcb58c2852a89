//! What must survive a process or be shared with another: one small record per OAuth client.
//!
//! These are the rules by which it changes. They are pure; the cell makes each change atomic.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::answers::{self, Fault, Pause};
use crate::clock::{Now, Timestamp};
use crate::failure::{Failure, FailureKind, Scope};
use crate::fingerprint::Fingerprint;
use crate::hold::{Hold, Holds, Identity};
use crate::id::{FlightId, TokenId};
use crate::lifetime::Lifetime;
use crate::quota::ledger::Ledger;
use crate::quota::said::{LONGEST_WORD, Said};
use crate::quota::spend::{Outcome, Spend};
use crate::quota::{Cause, Quota, Window, pace};

/// The newest layout that this version reads and writes.
const SCHEMA: u32 = 1;

/// The longest time to live of a flight that is believed.
const LONGEST_FLIGHT: Duration = Duration::from_secs(120);

/// Tokens that live shorter than this count as failures where there is a quota: they are used, and the next one is paced.
const SHORTEST: Duration = Duration::from_secs(60);

/// No record is longer than this, but for what a newer version keeps in it.
const LONGEST_RECORD: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    schema: u32,
    /// Grows with every write. A record whose number is smaller than one that was seen is an old copy, and not trusted.
    pub(crate) seq: u64,
    pub(crate) ledger: Ledger,
    #[serde(default)]
    pub(crate) flights: BTreeMap<Fingerprint, Flight>,
    #[serde(default)]
    pub(crate) holds: Holds,
    #[serde(default)]
    pub(crate) tokens: BTreeMap<Fingerprint, StoredToken>,
    /// What a newer version wrote down here, or in the ledger, is kept as it is. One that needs more in another place raises
    /// the number of the schema.
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// A token request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flight {
    pub(crate) id: FlightId,
    /// How long others wait for it after they first see it, by their own clocks.
    pub(crate) ttl_ms: u64,
}

impl Flight {
    pub(crate) fn ttl(&self) -> Duration {
        // A record is no reason to wait for ever.
        Duration::from_millis(self.ttl_ms).min(LONGEST_FLIGHT)
    }
}

/// A token for other processes and later ones. The token itself is sealed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredToken {
    pub(crate) id: TokenId,
    /// When the request for it was sent.
    pub(crate) sent: Timestamp,
    /// The whole of it, from then on.
    pub(crate) lifetime_ms: u64,
    pub(crate) cause: Cause,
    pub(crate) sealed: String,
}

impl StoredToken {
    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime::from_millis(self.lifetime_ms)
    }

    pub(crate) fn expires_at(&self) -> Timestamp {
        self.lifetime().expires_at(self.sent)
    }
}

impl fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredToken({:?}, expires {})", self.id, self.expires_at())
    }
}

/// What a change of the record is judged by.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) identity: Identity,
    pub(crate) quota: &'a Quota,
    /// The end of the token at hand: the failures of renewals ahead of time are spread until then.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) now: Now,
}

/// Why a stored record cannot be used. Nothing is spent on such a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordError {
    Malformed(String),
    NewerSchema(u32),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(problem) => write!(f, "the stored record cannot be read ({problem})"),
            Self::NewerSchema(schema) => write!(
                f,
                "the stored record has layout {schema}, and this version reads up to {SCHEMA}: update this program"
            ),
        }
    }
}

impl Record {
    /// What it says of the budget: the tokens are the larger part of it.
    pub(crate) fn without_tokens(&self) -> Self {
        Self {
            schema: self.schema,
            seq: self.seq,
            ledger: self.ledger.clone(),
            flights: self.flights.clone(),
            holds: self.holds.clone(),
            tokens: BTreeMap::new(),
            others: self.others.clone(),
        }
    }

    pub(crate) fn new() -> Self {
        Self {
            schema: SCHEMA,
            seq: 0,
            ledger: Ledger::default(),
            flights: BTreeMap::new(),
            holds: Holds::default(),
            tokens: BTreeMap::new(),
            others: BTreeMap::new(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Layout {
            schema: u32,
        }
        let malformed = |error: serde_json::Error| {
            // The category and the place, not the text: it may quote the record.
            RecordError::Malformed(format!(
                "{:?} at line {}, column {}",
                error.classify(),
                error.line(),
                error.column()
            ))
        };
        let layout: Layout = serde_json::from_slice(bytes).map_err(malformed)?;
        if layout.schema > SCHEMA {
            return Err(RecordError::NewerSchema(layout.schema));
        }
        let record: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if !record.ledger.is_sound() {
            return Err(RecordError::Malformed("a window that no writer can have had".to_owned()));
        }
        Ok(record)
    }

    /// Where there is no room for all, the words of the holds are cut, and then those tokens go that end first: they can be
    /// had again, and what was spent cannot.
    pub(crate) fn encode(&mut self) -> Vec<u8> {
        loop {
            let bytes = serde_json::to_vec(self).expect("string keys and plain values only");
            let mut over = bytes.len().saturating_sub(LONGEST_RECORD);
            if over == 0 {
                return bytes;
            }
            if self.holds.shorten() {
                continue;
            }
            if self.tokens.is_empty() {
                return bytes;
            }
            while over > 0 {
                let first = self.tokens.iter().min_by_key(|(_, token)| token.expires_at());
                let Some(first) = first.map(|(request, _)| *request) else { break };
                let gone = self.tokens.remove(&first).map_or(0, |token| token.sealed.len());
                over = over.saturating_sub(gone);
            }
        }
    }

    /// Writes one token request down, with the flight that others will wait for.
    pub(crate) fn begin(&mut self, spend: Spend, ttl: Duration, quota: &Quota) {
        let now = Now { wall: spend.at, boot: spend.boot };
        self.holds.prune(now);
        // A flight whose spend is forgotten is one that nobody asked for any more.
        let spends = self.ledger.spends();
        self.flights.retain(|_, flight| spends.iter().any(|spend| spend.id == flight.id));
        let flight =
            Flight { id: spend.id, ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX) };
        self.flights.insert(spend.fingerprint, flight);
        self.ledger.append(spend, quota, now);
    }

    /// Takes down what the answer to a flight says of the issuer's clock and quota.
    pub(crate) fn heed(&mut self, flight: FlightId, said: &Said, refused: bool, terms: &Terms<'_>) {
        self.ledger.heed(flight, said, refused, terms.quota, terms.now);
    }

    /// The flight brought a token. Touches only its own flight, and nothing that a later spend left.
    pub(crate) fn settle_token(&mut self, flight: FlightId, token: StoredToken, terms: &Terms<'_>) {
        let was_lost =
            self.ledger.spends().iter().any(|spend| {
                spend.id == flight && spend.outcome == Outcome::Failed(FailureKind::Lost)
            });
        let closed = self.close(flight, terms.identity.request, Outcome::Token);
        // Without its spend, which another process has taken away with the whole record, it is a token all the same.
        if let Some((sent, cause)) = closed {
            if was_lost {
                self.holds.found();
            }
            self.holds.clear(terms.identity, sent, terms.now);
            if token.lifetime().whole() < SHORTEST && !terms.quota.windows().is_empty() {
                let Terms { quota, .. } = terms;
                let lifetime = token.lifetime_ms;
                let detail = format!(
                    "the issuer's tokens live {lifetime} ms, and the quota ({quota}) cannot keep up"
                );
                let failure = Fault::ShortLived.failure(detail);
                self.close(flight, terms.identity.request, Outcome::Failed(failure.kind));
                self.hold_back(&failure, sent, cause, terms);
            }
        }
        self.tokens.retain(|_, kept| kept.expires_at() > terms.now.wall);
        let kept = self.tokens.get(&terms.identity.request);
        // One that is dated in the future was dated by a clock that was wrong.
        if kept.is_none_or(|kept| kept.sent <= token.sent || kept.sent > terms.now.wall) {
            self.tokens.insert(terms.identity.request, token);
        }
    }

    /// The flight brought no token: sets the hold that its kind asks for, if it asks for one, and says until when.
    pub(crate) fn settle_failure(
        &mut self,
        flight: FlightId,
        failure: &Failure,
        terms: &Terms<'_>,
    ) -> Option<Timestamp> {
        let (sent, cause) =
            self.close(flight, terms.identity.request, Outcome::Failed(failure.kind))?;
        if !failure.kind.consequence().is_spent {
            self.ledger.give_back(flight);
        }
        self.hold_back(failure, sent, cause, terms)
    }

    /// Gives a flight up whose process did not report. Its unit stays spent. `gone` says that the process is known to have
    /// ended for a reason of its own, which says nothing about the issuer: the first such flight sets no hold.
    pub(crate) fn bury(&mut self, flight: FlightId, gone: bool, terms: &Terms<'_>) {
        let first = self.streak(Scope::Issuer, terms.identity, Cause::Expiring).is_empty();
        if !(gone && first) {
            let ended = "the process that asked for a token ended before it had one";
            self.settle_failure(flight, &Fault::Lost.failure(ended), terms);
        }
        // Also when the spend itself is gone: the flight must not be waited for again.
        self.close(flight, terms.identity.request, Outcome::Failed(FailureKind::Lost));
    }

    /// The hold that stops a request for `cause`, if one does, and its end.
    pub(crate) fn hold(
        &self,
        identity: Identity,
        cause: Cause,
        now: Now,
    ) -> Option<(&Hold, Timestamp)> {
        if cause == Cause::Manual {
            return None;
        }
        self.holds.stopping(identity, cause.is_proactive(), now)
    }

    /// Sets the hold that follows a failure of a request that was decided at `sent`; until when it lasts, if there is one.
    fn hold_back(
        &mut self,
        failure: &Failure,
        sent: Timestamp,
        cause: Cause,
        terms: &Terms<'_>,
    ) -> Option<Timestamp> {
        let Terms { identity, quota, now, .. } = *terms;
        let (scope, mut pause) = failure.kind.consequence().hold?;
        if failure.changes_unseen && pause == Pause::Day {
            pause = Pause::Pace;
        }
        let unsent = self.holds.unsent(now).saturating_add(1);
        let mut until = match pause {
            Pause::Unsent => now.wall + pace::unsent_gap(unsent),
            Pause::Day => sent + answers::DAY,
            // A request that took long to fail leaves a pause all the same.
            Pause::Pace => {
                (sent + self.gap(scope, cause, sent, terms)).max(now.wall + answers::SHORTEST_HOLD)
            }
        };
        if let Some(asked) = failure.retry_after {
            let longest = quota.windows().iter().map(Window::span).max().unwrap_or_default();
            until = until.max(now.wall + asked.min(longest.max(LONGEST_WORD)));
        }
        // The issuer's word and a refused secret stop everybody; the pace of renewals stops renewals.
        let proactive =
            cause.is_proactive() && failure.retry_after.is_none() && pause != Pause::Day;
        let mut hold = Hold::new(failure.kind, failure.detail.clone(), until, now);
        hold.unsent = if pause == Pause::Unsent { unsent } else { 0 };
        self.holds.set(scope, identity, proactive, hold, now);
        // A hold of another request may last longer.
        let stopping = self.holds.stopping(identity, proactive, now);
        Some(stopping.map_or(until, |(_, end)| end.max(until)))
    }

    /// Ends a flight; when it was decided, and what for.
    fn close(
        &mut self,
        flight: FlightId,
        request: Fingerprint,
        outcome: Outcome,
    ) -> Option<(Timestamp, Cause)> {
        if self.flights.get(&request).is_some_and(|open| open.id == flight) {
            self.flights.remove(&request);
        }
        self.ledger.settle(flight, outcome).map(|spend| (spend.at, spend.cause))
    }

    /// The pause after the last failure, of a request that was decided at `sent`, in the streak that it belongs to.
    fn gap(&self, scope: Scope, cause: Cause, sent: Timestamp, terms: &Terms<'_>) -> Duration {
        let streak = self.streak(scope, terms.identity, cause);
        let Some(&first) = streak.last() else { return pace::FIRST_GAP };
        let failures = u32::try_from(streak.len()).unwrap_or(u32::MAX);
        let began = &self.ledger.spends()[first];
        let at = Now { wall: began.at, boot: began.boot };
        let life = terms.expires_at.filter(|_| cause.is_proactive());
        let life = life.map(|end| end.saturating_since(began.at));
        let open = self.ledger.open_before(first, terms.quota, cause, at);
        let slots = self.ledger.next_slots(terms.quota, terms.now);
        let gaps = open.into_iter().zip(slots).map(|((open, span), slot)| {
            let gap = pace::gap(failures, open, life.unwrap_or(span));
            // The unit of the next attempt is there anew when one leaves the window.
            slot.map_or(gap, |slot| gap.min(slot.saturating_since(sent)).max(pace::FIRST_GAP))
        });
        gaps.max().unwrap_or(pace::FIRST_GAP)
    }

    /// The failures since the last success, newest first, as indices into the ledger. A renewal ahead of time counts them
    /// all; a caller without a token begins a streak of its own, so that expiry has one attempt at once.
    fn streak(&self, scope: Scope, identity: Identity, cause: Cause) -> Vec<usize> {
        let concerns = |spend: &Spend| match scope {
            Scope::Issuer => true,
            Scope::Credential | Scope::Request => spend.fingerprint == identity.request,
        };
        let spends = self.ledger.spends().iter().enumerate().rev();
        spends
            .filter(|(_, spend)| concerns(spend) && spend.outcome != Outcome::Pending)
            .take_while(|(_, spend)| spend.failed())
            .filter(|(_, spend)| cause.is_proactive() || !spend.cause.is_proactive())
            .map(|(index, _)| index)
            .collect()
    }
}

#[cfg(test)]
mod tests;
