//! What to do about a token, as a pure function of the record, of what is needed, and of the time.

use std::time::Duration;

use crate::clock::{BootTime, Now, Timestamp};
use crate::hold::{Hold, Identity};
use crate::id::{FlightId, TokenId};
use crate::quota::exhausted::Exhausted;
use crate::quota::{Cause, Quota};
use crate::record::{Flight, Record, StoredToken};
use crate::token::AccessToken;

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
    /// The token at hand itself, since an issuer may repeat it.
    pub(crate) token: Option<AccessToken>,
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
    /// Tokens in the record that are of no use: they cannot be opened, or are not new enough.
    pub(crate) passed_over: Vec<TokenId>,
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
    if let Some(until) = need.refused_again(record, identity, now) {
        return Plan::Deny(Denied::RefusedAgain(until));
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
        let known = self.refused.contains(&token.id) || learnt.passed_over.contains(&token.id);
        let better = match &self.current {
            None => true,
            Some(current) if current.id == token.id => false,
            Some(current) => {
                token.expires_at() > current.expires_at
                    || (matches!(self.cause, Cause::Refused | Cause::Rotated)
                        && token.sent >= current.sent)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::fingerprint::Fingerprint;
    use crate::id::BootId;
    use crate::quota::spend::Spend;
    use crate::record::Terms;

    fn at(secs: u64) -> Now {
        let boot = BootTime { id: BootId::fixed(1), millis: secs * 1000 };
        Now { wall: Timestamp::from_secs(1_800_000_000 + secs.cast_signed()), boot }
    }

    fn identity() -> Identity {
        Identity { request: Fingerprint::of(b"r"), credential: Fingerprint::of(b"c") }
    }

    /// A record in which another process has left a token of an hour.
    fn with_token(id: TokenId) -> Record {
        let mut record = Record::new();
        let spend = Spend::new(FlightId::random(), Cause::Start, identity().request, at(0));
        let flight = spend.id;
        let quota = Quota::per_day(10);
        record.begin(spend, Duration::from_secs(12), &quota);
        let token = StoredToken {
            id,
            sent: at(0).wall,
            lifetime_ms: 3_600_000,
            cause: Cause::Start,
            sealed: String::new(),
        };
        let terms = Terms { identity: identity(), quota: &quota, expires_at: None, now: at(0) };
        record.settle_token(flight, token, &terms);
        record
    }

    fn need(cause: Cause) -> Need {
        Need { cause, current: None, refused: Vec::new(), token: None }
    }

    fn planned<'a>(record: &'a Record, need: &Need, learnt: &Learnt, now: Now) -> Plan<'a> {
        plan(record, need, learnt, identity(), &Quota::per_day(10), now)
    }

    #[test]
    fn a_token_of_another_process_is_adopted_unless_it_was_refused_or_is_dead_or_unreadable() {
        let id = TokenId::random();
        let record = with_token(id);
        let (none, fresh) = (Learnt::default(), need(Cause::Start));
        assert!(
            matches!(planned(&record, &fresh, &none, at(1)), Plan::Adopt(token) if token.id == id)
        );

        let refused = Need { refused: vec![id], ..need(Cause::Start) };
        assert!(matches!(planned(&record, &refused, &none, at(1)), Plan::Spend));
        let unreadable = Learnt { passed_over: vec![id], ..Learnt::default() };
        assert!(matches!(planned(&record, &fresh, &unreadable, at(1)), Plan::Spend));
        assert!(matches!(planned(&record, &fresh, &none, at(3600)), Plan::Spend));
    }

    #[test]
    fn a_renewal_adopts_only_what_lives_longer_and_a_refusal_whatever_is_another() {
        let record = with_token(TokenId::random());
        let holding = |cause, lives: u64| {
            let current = Current {
                id: TokenId::random(),
                cause: Cause::Start,
                sent: at(0).wall,
                expires_at: at(lives).wall,
            };
            Need { current: Some(current), ..need(cause) }
        };
        let none = Learnt::default();
        assert!(matches!(
            planned(&record, &holding(Cause::Expiring, 60), &none, at(1)),
            Plan::Adopt(_)
        ));
        assert!(matches!(
            planned(&record, &holding(Cause::Expiring, 7200), &none, at(1)),
            Plan::Spend
        ));
        assert!(matches!(
            planned(&record, &holding(Cause::Refused, 7200), &none, at(1)),
            Plan::Adopt(_)
        ));
    }

    #[test]
    fn a_flight_is_waited_for_until_it_was_seen_unchanged_for_its_time_to_live() {
        let mut record = Record::new();
        let spend = Spend::new(FlightId::random(), Cause::Start, identity().request, at(0));
        let flight = spend.id;
        record.begin(spend, Duration::from_secs(12), &Quota::per_day(10));
        let need = need(Cause::Start);
        // Long dead by the clock of the process that wrote it; this one has only just seen it.
        assert!(matches!(planned(&record, &need, &Learnt::default(), at(1000)), Plan::Wait(_)));
        let watching =
            |since| Learnt { watched: Some((flight, at(since).boot)), ..Learnt::default() };
        assert!(matches!(planned(&record, &need, &watching(1000), at(1011)), Plan::Wait(_)));
        let dead = planned(&record, &need, &watching(1000), at(1012));
        assert!(matches!(dead, Plan::Bury { gone: false, .. }), "{dead:?}");
        let gone = Learnt { gone: vec![flight], ..Learnt::default() };
        assert!(matches!(planned(&record, &need, &gone, at(1)), Plan::Bury { gone: true, .. }));
    }
}
