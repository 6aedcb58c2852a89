//! What was ordered of faults and events, and what is left of it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use secrecy::SecretString;

use super::Fault;
use super::draw::Draws;
use super::event::Event;
use super::script::Script;
use super::when::{Kind, Place, When};

/// Everything that was ordered of one issuer. It has no timers: each request asks what is due.
#[derive(Debug)]
pub(crate) struct Stage {
    start: SystemTime,
    scenes: Mutex<Scenes>,
}

#[derive(Debug, Default)]
struct Scenes {
    /// In the order in which they were given.
    next: Vec<Scene>,
    /// Of the token requests that meet none of the others.
    rest: Option<Fault>,
    /// In the order of time; those of the same time as they were given.
    events: VecDeque<(SystemTime, Event)>,
    /// Tokens that are to be revoked, in the order in which they were issued.
    doomed: Vec<(SystemTime, SecretString)>,
}

#[derive(Debug)]
struct Scene {
    place: Place,
    due: Due,
    fault: Fault,
}

#[derive(Debug)]
enum Due {
    Always,
    /// Never zero.
    Next(usize),
    Sometimes {
        probability: f64,
        draws: Draws,
    },
    /// `end` is `None` where the machine's time ends before it.
    Span {
        start: SystemTime,
        end: Option<SystemTime>,
    },
}

impl Stage {
    /// The script of an issuer that starts now.
    pub(crate) fn new(script: Script, start: SystemTime) -> Self {
        let stage = Self { start, scenes: Mutex::default() };
        for (place, when, fault) in script.faults {
            stage.push(place, when, fault, start);
        }
        // What is beyond the machine's time does not happen.
        let mut events: Vec<_> = script
            .events
            .into_iter()
            .filter_map(|(at, event)| Some((start.checked_add(at)?, event)))
            .collect();
        events.sort_by_key(|(at, _)| *at);
        stage.scenes().events = events.into();
        stage
    }

    /// Orders one more fault.
    pub(crate) fn push(&self, place: Place, when: When, fault: Fault, now: SystemTime) {
        let due = match when.0 {
            Kind::Always => Due::Always,
            Kind::Next(0) => return,
            Kind::Next(times) => Due::Next(times),
            Kind::Sometimes { probability, draws } => Due::Sometimes { probability, draws },
            Kind::During(time) => Due::Span { start: now, end: now.checked_add(time) },
            Kind::Between(from, to) => {
                let Some(start) = self.start.checked_add(from) else { return };
                Due::Span { start, end: self.start.checked_add(to) }
            }
        };
        self.scenes().next.push(Scene { place, due, fault });
    }

    /// Sets the fault of all token requests that have none of their own.
    pub(crate) fn set_rest(&self, fault: Fault) {
        self.scenes().rest = Some(fault);
    }

    /// Forgets all faults. Events are no faults.
    pub(crate) fn clear(&self) {
        let mut scenes = self.scenes();
        scenes.next.clear();
        scenes.rest = None;
    }

    /// The fault of the request that arrives now.
    pub(crate) fn take(&self, place: Place, now: SystemTime) -> Option<Fault> {
        let scenes = &mut *self.scenes();
        let found = scenes.next.iter_mut().position(|scene| {
            // What befalls a token passes all else by, and is not used up there.
            scene.place.covers(place)
                && (place == Place::Token || scene.fault.twist().is_none())
                && scene.due.strikes(now)
        });
        let Some(found) = found else {
            return scenes.rest.clone().filter(|_| place == Place::Token);
        };
        let fault = scenes.next[found].fault.clone();
        if matches!(scenes.next[found].due, Due::Next(0)) {
            scenes.next.remove(found);
        }
        Some(fault)
    }

    /// Lets all events happen that are due, in their order.
    ///
    /// Requests that arrive meanwhile wait: none of them sees an event that is half done.
    pub(crate) fn play(&self, now: SystemTime, mut happen: impl FnMut(Event)) {
        let mut scenes = self.scenes();
        while scenes.events.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, event)) = scenes.events.pop_front() {
                happen(event);
            }
        }
    }

    /// How many of these are due.
    pub(crate) fn count_due(&self, event: Event, now: SystemTime) -> usize {
        let scenes = self.scenes();
        let due = scenes.events.iter().take_while(|(at, _)| *at <= now);
        due.filter(|(_, due)| *due == event).count()
    }

    /// Has `token` revoked from `at` on.
    pub(crate) fn doom(&self, at: SystemTime, token: SecretString) {
        self.scenes().doomed.push((at, token));
    }

    /// The tokens that are to be revoked by now, each told once.
    pub(crate) fn take_doomed(&self, now: SystemTime) -> Vec<SecretString> {
        let doomed = &mut self.scenes().doomed;
        doomed.extract_if(.., |(at, _)| *at <= now).map(|(_, token)| token).collect()
    }

    fn scenes(&self) -> MutexGuard<'_, Scenes> {
        self.scenes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Due {
    /// Whether the request that is looked at meets it. One that is asked has used its turn, or its draw.
    fn strikes(&mut self, now: SystemTime) -> bool {
        match self {
            Self::Always => true,
            Self::Next(times) => {
                *times -= 1;
                true
            }
            Self::Sometimes { probability, draws } => draws.hits(*probability),
            Self::Span { start, end } => *start <= now && end.is_none_or(|end| now < end),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::fault::Twist;

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Faults are told apart by their status.
    fn taken(stage: &Stage, place: Place, now: u64) -> Option<u16> {
        stage.take(place, at(now)).and_then(|fault| fault.status_code())
    }

    #[test]
    fn what_befalls_a_token_is_used_up_and_hides_nothing_where_there_are_none() {
        let script = Script::new()
            .fault(Place::Everywhere, When::next(1), Fault::early_revocation(secs(1)))
            .fault(Place::Everywhere, When::always(), Fault::key_rotation())
            .fault(Place::Api, When::always(), Fault::status(503));
        let stage = Stage::new(script, at(0));
        assert_eq!(taken(&stage, Place::Keys, 0), None);
        assert_eq!(taken(&stage, Place::Api, 0), Some(503));
        let twists: Vec<_> = (0..2)
            .map(|_| stage.take(Place::Token, at(0)).and_then(|fault| fault.twist()))
            .collect();
        assert_eq!(twists, [Some(Twist::Revoked(secs(1))), Some(Twist::NewKey)]);
    }

    #[test]
    fn the_first_that_applies_is_met_where_it_was_ordered() {
        let script = Script::new()
            .fault(Place::Keys, When::always(), Fault::status(501))
            .fault(Place::Token, When::between(secs(10), secs(20)), Fault::status(502))
            .fault(Place::Everywhere, When::next(2), Fault::status(503));
        let stage = Stage::new(script, at(100));
        assert_eq!(taken(&stage, Place::Keys, 100), Some(501));
        assert_eq!(taken(&stage, Place::Token, 109), Some(503));
        assert_eq!(taken(&stage, Place::Token, 110), Some(502));
        assert_eq!(taken(&stage, Place::Token, 119), Some(502));
        assert_eq!(taken(&stage, Place::Api, 119), Some(503));
        assert_eq!(taken(&stage, Place::Token, 120), None);
        stage.push(Place::Token, When::during(secs(5)), Fault::status(504), at(200));
        stage.set_rest(Fault::status(505));
        assert_eq!(taken(&stage, Place::Token, 204), Some(504));
        assert_eq!(taken(&stage, Place::Token, 205), Some(505));
        assert_eq!(taken(&stage, Place::Api, 204), None);
        stage.clear();
        assert_eq!(taken(&stage, Place::Token, 204), None);
    }

    #[test]
    fn chance_repeats_itself_with_its_seed() {
        let sequence = |seed| {
            let script =
                Script::new().fault(Place::Token, When::probability(0.5, seed), Fault::down());
            let stage = Stage::new(script, at(0));
            // Requests elsewhere draw nothing.
            let take = |i| {
                assert!(stage.take(Place::Api, at(i)).is_none());
                stage.take(Place::Token, at(i)).is_some()
            };
            (0..200).map(take).collect::<Vec<_>>()
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }

    #[test]
    fn events_happen_once_in_the_order_of_their_times() {
        let script = Script::new()
            .event(secs(20), Event::RotateKeys)
            .event(secs(10), Event::ApiStatus(Some(401)))
            .event(secs(10), Event::RevokeAll)
            .event(Duration::MAX, Event::RevokeAll);
        let stage = Stage::new(script, at(0));
        let played = |now| {
            let mut events = Vec::new();
            stage.play(at(now), |event| events.push(event));
            events
        };
        let due = |now| stage.count_due(Event::RotateKeys, at(now));
        assert_eq!([due(9), due(10), due(19), due(20), due(5_000_000_000)], [0, 0, 0, 1, 1]);
        assert_eq!(played(9), []);
        stage.clear();
        assert_eq!(played(10), [Event::ApiStatus(Some(401)), Event::RevokeAll]);
        assert_eq!(played(19), []);
        assert_eq!(played(50), [Event::RotateKeys]);
        assert_eq!(played(5_000_000_000), []);
    }

    #[test]
    fn spans_beyond_the_end_of_time_do_not_end_and_do_not_panic() {
        let script = Script::new()
            .fault(Place::Api, When::between(Duration::MAX, Duration::MAX), Fault::status(501))
            .fault(Place::Api, When::between(secs(1), Duration::MAX), Fault::status(502))
            .fault(Place::Api, When::during(Duration::MAX), Fault::status(503));
        let stage = Stage::new(script, at(0));
        assert_eq!(taken(&stage, Place::Api, 0), Some(503));
        assert_eq!(taken(&stage, Place::Api, 5_000_000_000), Some(502));
    }

    #[test]
    #[should_panic(expected = "not a probability")]
    fn a_probability_is_at_most_one() {
        let _ = When::probability(1.1, 0);
    }
}
