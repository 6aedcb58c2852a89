//! What to do about a token, as a pure function of the record, of what is needed, and of the time.

use std::time::Duration;

use crate::clock::{BootTime, Now, Timestamp};
use crate::hold::{Hold, Identity};
use crate::id::{FlightId, TokenId};
use crate::quota::ledger::Exhausted;
use crate::quota::{Cause, Quota};
use crate::record::{Flight, Record, StoredToken};

/// A request that answered a refusal is followed by no other for this long, whether it brought a token or not.
const REFUSED_AGAIN: Duration = Duration::from_secs(60 * 60);

/// What a caller is in need of.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) cause: Cause,
    /// The token at hand, if there is one.
    pub(crate) current: Option<Current>,
    /// Tokens that an API refused: none of them is adopted again.
    pub(crate) refused: Vec<TokenId>,
}

/// The token at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) id: TokenId,
    pub(crate) cause: Cause,
    pub(crate) sent: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// What this process has learnt on the way, besides the record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learnt {
    /// The foreign flight that is waited for, and since when, by this process's own boot clock.
    pub(crate) watched: Option<(FlightId, BootTime)>,
    /// Flights of this process that did not get to report.
    pub(crate) gone: Vec<FlightId>,
    /// Tokens in the record that cannot be opened.
    pub(crate) unreadable: Vec<TokenId>,
}

#[derive(Debug)]
pub(crate) enum Plan<'a> {
    /// Another process has fetched what is needed.
    Adopt(&'a StoredToken),
    /// Another process is fetching it.
    Wait(Flight),
    /// A flight is dead, and must be counted as a failure before anything else.
    Bury { flight: FlightId, gone: bool },
    /// Nothing may be sent now.
    Deny(Denied),
    /// A unit may be spent.
    Spend,
}

#[derive(Debug)]
pub(crate) enum Denied {
    Held(Hold, Timestamp),
    Exhausted(Exhausted),
    RefusedAgain(Timestamp),
}

pub(crate) fn plan<'a>(
    record: &'a Record,
    need: &Need,
    learnt: &Learnt,
    identity: Identity,
    quota: &Quota,
    now: Now,
) -> Plan<'a> {
    if let Some(token) =
        record.tokens.get(&identity.request).filter(|token| need.takes(token, learnt, now))
    {
        return Plan::Adopt(token);
    }
    if let Some(until) = need.refused_again(record, identity, now) {
        return Plan::Deny(Denied::RefusedAgain(until));
    }
    if let Some(flight) = record.flights.get(&identity.request) {
        let gone = learnt.gone.contains(&flight.id);
        let watched = learnt.watched.filter(|(id, _)| *id == flight.id);
        let dead = watched
            .and_then(|(_, since)| now.boot.since(since))
            .is_some_and(|seen| seen >= flight.ttl());
        return if gone || dead {
            Plan::Bury { flight: flight.id, gone }
        } else {
            Plan::Wait(*flight)
        };
    }
    if let Some((hold, until)) = record.hold(identity, need.cause, now) {
        return Plan::Deny(Denied::Held(hold.clone(), until));
    }
    match record.ledger.decide(quota, need.cause, now) {
        Ok(()) => Plan::Spend,
        Err(exhausted) => Plan::Deny(Denied::Exhausted(exhausted)),
    }
}

impl Need {
    fn takes(&self, token: &StoredToken, learnt: &Learnt, now: Now) -> bool {
        let alive = token.expires_at() > now.wall;
        let known = self.refused.contains(&token.id) || learnt.unreadable.contains(&token.id);
        let better = match &self.current {
            None => true,
            Some(current) if current.id == token.id => false,
            Some(current) => {
                self.cause == Cause::Refused || token.expires_at() > current.expires_at
            }
        };
        alive && !known && better
    }

    /// A refusal of the token at hand, when a request has answered one already: of this very token, without bringing
    /// another, or of the one before it, which brought this one.
    fn refused_again(&self, record: &Record, identity: Identity, now: Now) -> Option<Timestamp> {
        let current = self.current.as_ref().filter(|_| self.cause == Cause::Refused)?;
        let after = (current.cause != Cause::Refused).then_some(current.sent);
        record.ledger.refused_until(identity.request, after, REFUSED_AGAIN, now)
    }
}
