//! What must survive a process or be shared with another: one small record per OAuth client.
//!
//! These are the rules by which it changes. They are pure; the cell makes each change atomic.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Now, Timestamp};
use crate::failure::{Failure, FailureKind, Scope};
use crate::fingerprint::Fingerprint;
use crate::id::{FlightId, TokenId};
use crate::lifetime::Lifetime;
use crate::quota::ledger::{Ledger, Outcome, Spend};
use crate::quota::{Cause, Quota, pace};

/// The newest layout that this version reads and writes.
const SCHEMA: u32 = 1;

/// How long an `invalid_client` stands: one attempt a day, unless the credential changes.
const CREDENTIAL_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest hold that an issuer's word sets, unless a window is longer.
const LONGEST_HOLD: Duration = Duration::from_secs(25 * 60 * 60);

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
    /// What a newer version wrote down: kept as it is.
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
        Duration::from_millis(self.ttl_ms)
    }
}

/// Why no request may be sent for now, by whom it concerns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holds {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<Hold>,
    #[serde(default)]
    credentials: BTreeMap<Fingerprint, Hold>,
    #[serde(default)]
    requests: BTreeMap<Fingerprint, Hold>,
}

/// The last failure, and until when it keeps others from trying.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) kind: FailureKind,
    pub(crate) detail: String,
    at: Timestamp,
    pub(crate) until: Timestamp,
    /// Set by the pace of renewals ahead of time alone: it does not stop a caller that has no token.
    proactive: bool,
    /// How many requests in a row never left this machine.
    #[serde(default)]
    unsent: u32,
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

/// Which token, and with which credential: what a request is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) request: Fingerprint,
    pub(crate) credential: Fingerprint,
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
        serde_json::from_slice(bytes).map_err(malformed)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has string keys and plain values only")
    }

    /// Writes one token request down, with the flight that others will wait for.
    pub(crate) fn begin(&mut self, spend: Spend, ttl: Duration, quota: &Quota) {
        let flight =
            Flight { id: spend.id, ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX) };
        self.flights.insert(spend.fingerprint, flight);
        let now = Now { wall: spend.at, boot: spend.boot };
        self.ledger.append(spend, quota, now);
    }

    /// The flight brought a token. Touches only its own flight, and nothing that a later spend left.
    pub(crate) fn settle_token(
        &mut self,
        flight: FlightId,
        identity: Identity,
        token: StoredToken,
        now: Now,
    ) {
        let Some(at) = self.close(flight, identity.request, Outcome::Token) else { return };
        self.holds.clear(identity, at);
        self.tokens.retain(|_, kept| kept.expires_at() > now.wall);
        let newest = self.tokens.get(&identity.request).is_none_or(|kept| kept.sent <= token.sent);
        if newest {
            self.tokens.insert(identity.request, token);
        }
    }

    /// The flight brought no token: sets the hold that its kind asks for, and says until when.
    ///
    /// `expires_at` is the end of the token at hand, for a renewal ahead of time: its attempts are spread until then.
    pub(crate) fn settle_failure(
        &mut self,
        flight: FlightId,
        identity: Identity,
        failure: &Failure,
        quota: &Quota,
        expires_at: Option<Timestamp>,
        now: Now,
    ) -> Option<Timestamp> {
        let at = self.close(flight, identity.request, Outcome::Failed(failure.kind))?;
        let cause = self.ledger.spends().iter().find(|spend| spend.id == flight)?.cause;
        let mut hold = Hold {
            kind: failure.kind,
            detail: failure.detail.clone(),
            at,
            until: at,
            proactive: cause.is_proactive() && failure.retry_after.is_none(),
            unsent: 0,
        };
        match failure.kind {
            FailureKind::NotSent => {
                self.ledger.give_back(flight);
                hold.unsent =
                    self.holds.issuer.as_ref().map_or(0, |hold| hold.unsent).saturating_add(1);
                hold.until = now.wall + pace::unsent_gap(hold.unsent);
            }
            FailureKind::InvalidClient => {
                hold.until = at + CREDENTIAL_HOLD;
                hold.proactive = false;
            }
            kind => hold.until = at + self.gap(kind.scope(), identity, cause, quota, expires_at),
        }
        if let Some(asked) = failure.retry_after {
            let longest =
                quota.windows().iter().map(|window| window.span()).max().unwrap_or_default();
            hold.until = hold.until.max(now.wall + asked.min(longest.max(LONGEST_HOLD)));
        }
        let until = hold.until;
        self.holds.set(failure.kind.scope(), identity, hold);
        Some(until)
    }

    /// Gives a flight up whose process did not report. Its unit stays spent. `gone` says that the process is known to have
    /// ended for a reason of its own, which says nothing about the issuer: the first such flight sets no hold.
    pub(crate) fn bury(
        &mut self,
        flight: FlightId,
        identity: Identity,
        gone: bool,
        quota: &Quota,
        expires_at: Option<Timestamp>,
        now: Now,
    ) {
        let first = self.streak(Scope::Issuer, identity, Cause::Expiring).is_empty();
        if gone && first {
            self.close(flight, identity.request, Outcome::Failed(FailureKind::Lost));
            return;
        }
        let failure = Failure::new(
            FailureKind::Lost,
            "the process that asked for a token ended before it had one",
        );
        self.settle_failure(flight, identity, &failure, quota, expires_at, now);
        // Also when the spend itself is gone: the flight must not be waited for again.
        self.close(flight, identity.request, Outcome::Failed(FailureKind::Lost));
    }

    /// The hold that stops a request for `cause`, if one does.
    pub(crate) fn hold(&self, identity: Identity, cause: Cause, now: Now) -> Option<&Hold> {
        if cause == Cause::Manual {
            return None;
        }
        let stops =
            |hold: &&Hold| now.wall < hold.until && (cause.is_proactive() || !hold.proactive);
        self.holds.all(identity).filter(stops).max_by_key(|hold| hold.until)
    }

    fn close(
        &mut self,
        flight: FlightId,
        request: Fingerprint,
        outcome: Outcome,
    ) -> Option<Timestamp> {
        if self.flights.get(&request).is_some_and(|open| open.id == flight) {
            self.flights.remove(&request);
        }
        self.ledger.settle(flight, outcome).map(|spend| spend.at)
    }

    /// The pause after the last failure of the streak that it belongs to.
    fn gap(
        &self,
        scope: Scope,
        identity: Identity,
        cause: Cause,
        quota: &Quota,
        expires_at: Option<Timestamp>,
    ) -> Duration {
        let streak = self.streak(scope, identity, cause);
        let Some(&first) = streak.last() else { return pace::FIRST_GAP };
        let failures = u32::try_from(streak.len()).unwrap_or(u32::MAX);
        let began = &self.ledger.spends()[first];
        let at = Now { wall: began.at, boot: began.boot };
        let life =
            expires_at.filter(|_| cause.is_proactive()).map(|end| end.saturating_since(began.at));
        let windows = self.ledger.open_before(first, quota, cause, at);
        let gaps =
            windows.into_iter().map(|(open, span)| pace::gap(failures, open, life.unwrap_or(span)));
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

impl Holds {
    pub(crate) fn all(&self, identity: Identity) -> impl Iterator<Item = &Hold> {
        let credential = self.credentials.get(&identity.credential);
        let request = self.requests.get(&identity.request);
        self.issuer.iter().chain(credential).chain(request)
    }

    fn set(&mut self, scope: Scope, identity: Identity, hold: Hold) {
        let newer = |kept: Option<&Hold>| kept.is_none_or(|kept| kept.at <= hold.at);
        match scope {
            Scope::Issuer if newer(self.issuer.as_ref()) => self.issuer = Some(hold),
            Scope::Credential if newer(self.credentials.get(&identity.credential)) => {
                self.credentials.insert(identity.credential, hold);
            }
            Scope::Request if newer(self.requests.get(&identity.request)) => {
                self.requests.insert(identity.request, hold);
            }
            Scope::Issuer | Scope::Credential | Scope::Request => {}
        }
    }

    /// A token came from a request of `at`: what was held before that is over.
    fn clear(&mut self, identity: Identity, at: Timestamp) {
        self.issuer = self.issuer.take().filter(|hold| hold.at > at);
        self.credentials.retain(|key, hold| *key != identity.credential || hold.at > at);
        self.requests.retain(|key, hold| *key != identity.request || hold.at > at);
    }
}
