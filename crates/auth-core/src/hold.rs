//! Why no token request may be sent for now, by whom it concerns, and until when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{BootTime, Now, Timestamp};
use crate::failure::{FailureKind, Scope};
use crate::fingerprint::Fingerprint;

/// Requests that never left are "in a row" when they are no further apart than this.
const IN_A_ROW: Duration = Duration::from_secs(600);

/// So many credentials and requests can be held back at a time; of more, those go free whose hold ends first. The quota
/// stands all the same.
const KEPT: usize = 64;

/// What is left of a hold's words where a record has no room for them, in bytes.
const SHORT: usize = 96;

/// A hold that another boot dated this far into the future was set by a clock that was wrong.
const WRONG_CLOCK: Duration = Duration::from_secs(60);

/// Which token, and with which credential: what a request is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) request: Fingerprint,
    pub(crate) credential: Fingerprint,
}

/// The last failure, and until when it keeps others from trying.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) kind: FailureKind,
    pub(crate) detail: String,
    set_at: Timestamp,
    boot: BootTime,
    until: Timestamp,
    /// How many requests in a row never left this machine.
    #[serde(default)]
    pub(crate) unsent: u32,
}

impl Hold {
    pub(crate) fn new(kind: FailureKind, detail: String, until: Timestamp, now: Now) -> Self {
        Self { kind, detail, set_at: now.wall, boot: now.boot, until, unsent: 0 }
    }

    /// When it ends, if it has not. A hold protects the pace and not the budget, so a clock that jumps ends it rather early
    /// than late.
    pub(crate) fn ends(&self, now: Now) -> Option<Timestamp> {
        let length = self.until.saturating_since(self.set_at);
        let end = match now.boot.since(self.boot) {
            Some(elapsed) => self.until.min(now.wall + length.saturating_sub(elapsed)),
            None if self.set_at > now.wall + WRONG_CLOCK => return None,
            None => self.until,
        };
        (end > now.wall).then_some(end)
    }
}

/// The holds of one scope. What a renewal ahead of time met does not stop a caller that has no token, so the two are kept
/// apart. In boxes, since most of the time there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    all: Option<Box<Hold>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proactive: Option<Box<Hold>>,
}

impl Slot {
    /// The later end counts: one request's pace must not shorten what the issuer said to another.
    fn set(&mut self, proactive: bool, hold: Hold, now: Now) {
        let kept = if proactive { &mut self.proactive } else { &mut self.all };
        let unsent = hold.unsent;
        if kept.as_ref().and_then(|kept| kept.ends(now)).is_none_or(|end| end <= hold.until) {
            *kept = Some(Box::new(hold));
        } else if let Some(kept) = kept {
            kept.unsent = unsent;
        }
    }

    /// Drops what is over, and what was set before a request of `sent` brought a token.
    fn clear(&mut self, sent: Option<Timestamp>, now: Now) {
        let stays =
            |hold: &Hold| hold.ends(now).is_some() && sent.is_none_or(|sent| hold.set_at > sent);
        self.all = self.all.take().filter(|hold| stays(hold));
        self.proactive = self.proactive.take().filter(|hold| stays(hold));
    }

    /// When the last of the two ends.
    fn ends(&self, now: Now) -> Option<Timestamp> {
        self.all.iter().chain(&self.proactive).filter_map(|hold| hold.ends(now)).max()
    }

    fn is_empty(&self) -> bool {
        self.all.is_none() && self.proactive.is_none()
    }
}

/// All holds of an OAuth client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holds {
    #[serde(default)]
    issuer: Slot,
    #[serde(default)]
    credentials: BTreeMap<Fingerprint, Slot>,
    #[serde(default)]
    requests: BTreeMap<Fingerprint, Slot>,
}

impl Holds {
    /// The hold that ends last of those that stop a request, and when it does.
    pub(crate) fn stopping(
        &self,
        identity: Identity,
        proactive: bool,
        now: Now,
    ) -> Option<(&Hold, Timestamp)> {
        let slots = [
            Some(&self.issuer),
            self.credentials.get(&identity.credential),
            self.requests.get(&identity.request),
        ];
        let stops = slots
            .into_iter()
            .flatten()
            .flat_map(|slot| slot.all.iter().chain(slot.proactive.iter().filter(|_| proactive)));
        stops
            .filter_map(|hold| hold.ends(now).map(|end| (&**hold, end)))
            .max_by_key(|(_, end)| *end)
    }

    /// How many requests in a row never left this machine, up to now.
    pub(crate) fn unsent(&self, now: Now) -> u32 {
        let held = self.issuer.all.iter().chain(&self.issuer.proactive);
        let recent = held.filter(|hold| {
            hold.kind == FailureKind::NotSent && now.wall.saturating_since(hold.set_at) < IN_A_ROW
        });
        recent.map(|hold| hold.unsent).max().unwrap_or(0)
    }

    pub(crate) fn set(
        &mut self,
        scope: Scope,
        identity: Identity,
        proactive: bool,
        hold: Hold,
        now: Now,
    ) {
        let slot = match scope {
            Scope::Issuer => &mut self.issuer,
            Scope::Credential => self.credentials.entry(identity.credential).or_default(),
            Scope::Request => self.requests.entry(identity.request).or_default(),
        };
        slot.set(proactive, hold, now);
    }

    /// A token came from a request that was decided at `sent`: what was held before that is over.
    pub(crate) fn clear(&mut self, identity: Identity, sent: Timestamp, now: Now) {
        self.issuer.clear(Some(sent), now);
        if let Some(slot) = self.credentials.get_mut(&identity.credential) {
            slot.clear(Some(sent), now);
        }
        if let Some(slot) = self.requests.get_mut(&identity.request) {
            slot.clear(Some(sent), now);
        }
        self.prune(now);
    }

    /// A request that was given up for lost has brought a token after all.
    pub(crate) fn found(&mut self) {
        let stays = |hold: &Hold| hold.kind != FailureKind::Lost;
        self.issuer.all = self.issuer.all.take().filter(|hold| stays(hold));
        self.issuer.proactive = self.issuer.proactive.take().filter(|hold| stays(hold));
    }

    /// Cuts long words; whether there were any.
    pub(crate) fn shorten(&mut self) -> bool {
        let slots = [&mut self.issuer].into_iter();
        let slots = slots.chain(self.credentials.values_mut()).chain(self.requests.values_mut());
        let holds = slots.flat_map(|slot| slot.all.iter_mut().chain(&mut slot.proactive));
        let long = holds.filter(|hold| hold.detail.len() > SHORT);
        let cut = long.map(|hold| {
            let room =
                (0..=SHORT - '…'.len_utf8()).rev().find(|&at| hold.detail.is_char_boundary(at));
            hold.detail.truncate(room.unwrap_or(0));
            hold.detail.push('…');
        });
        cut.count() > 0
    }

    /// Forgets what is over, so that the record does not grow with every secret and scope that was ever tried. The issuer's
    /// slot stays: it counts the requests that never left.
    pub(crate) fn prune(&mut self, now: Now) {
        for slots in [&mut self.credentials, &mut self.requests] {
            slots.retain(|_, slot| {
                slot.clear(None, now);
                !slot.is_empty()
            });
            while slots.len() > KEPT {
                let Some(first) = slots.iter().min_by_key(|(_, slot)| slot.ends(now)) else {
                    break;
                };
                let first = *first.0;
                slots.remove(&first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BootId;

    fn at(secs: u64) -> Now {
        let boot = BootTime { id: BootId::fixed(1), millis: secs * 1000 };
        Now { wall: Timestamp::from_secs(1_800_000_000 + secs.cast_signed()), boot }
    }

    fn hold(secs: u64, length: u64) -> Hold {
        let now = at(secs);
        Hold::new(
            FailureKind::Unavailable,
            String::new(),
            now.wall + Duration::from_secs(length),
            now,
        )
    }

    fn identity() -> Identity {
        Identity { request: Fingerprint::of(b"r"), credential: Fingerprint::of(b"c") }
    }

    #[test]
    fn one_requests_pace_does_not_shorten_what_the_issuer_said_to_another() {
        for order in [[7200, 30], [30, 7200]] {
            let mut holds = Holds::default();
            for length in order {
                holds.set(Scope::Issuer, identity(), false, hold(0, length), at(0));
            }
            let (_, end) = holds.stopping(identity(), false, at(60)).unwrap();
            assert_eq!(end, at(7200).wall);
        }
    }

    #[test]
    fn a_renewals_hold_does_not_stop_a_caller_without_a_token() {
        let mut holds = Holds::default();
        holds.set(Scope::Issuer, identity(), true, hold(0, 7200), at(0));
        assert!(holds.stopping(identity(), true, at(1)).is_some());
        assert!(holds.stopping(identity(), false, at(1)).is_none());
    }

    #[test]
    fn a_token_ends_what_was_held_before_its_request_and_nothing_later() {
        let mut holds = Holds::default();
        holds.set(Scope::Issuer, identity(), false, hold(10, 7200), at(10));
        holds.clear(identity(), at(9).wall, at(11));
        assert!(
            holds.stopping(identity(), false, at(12)).is_some(),
            "set while that request was under way"
        );
        holds.clear(identity(), at(10).wall, at(13));
        assert!(holds.stopping(identity(), false, at(14)).is_none());
    }

    #[test]
    fn a_hold_by_a_wrong_clock_ends_when_its_time_has_passed() {
        let year = Duration::from_secs(365 * 86_400);
        let wrong = Now { wall: at(0).wall + year, boot: at(0).boot };
        let hold = Hold::new(
            FailureKind::NotSent,
            String::new(),
            wrong.wall + Duration::from_secs(30),
            wrong,
        );
        assert_eq!(hold.ends(at(29)), Some(at(30).wall));
        assert_eq!(hold.ends(at(30)), None);
        let next_boot = Now { boot: BootTime { id: BootId::fixed(2), millis: 0 }, ..at(1) };
        assert_eq!(hold.ends(next_boot), None);
    }
}
