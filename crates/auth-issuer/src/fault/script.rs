//! A script: faults and events, written down beforehand.

use std::time::Duration;

use super::Fault;
use super::event::Event;
use super::when::{Place, When};

/// What an issuer is to meet from its start on; see [`IssuerBuilder::script`](crate::IssuerBuilder::script).
///
/// By code, or by a file: see [`from_toml`](Self::from_toml).
///
/// ```
/// use std::time::Duration;
///
/// use auth_issuer::{Event, Fault, Place, Script, When};
///
/// let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
/// let script = Script::new()
///     // Down for four minutes: nobody gets through, and nobody pays.
///     .fault(Place::Everywhere, When::between(minutes(1), minutes(5)), Fault::down())
///     .fault(Place::Token, When::probability(0.1, 42), Fault::status(503))
///     .fault(Place::Api, When::next(3), Fault::delay(Duration::from_secs(2)))
///     .event(minutes(10), Event::RevokeAll)
///     .event(minutes(20), Event::ClockBehind(minutes(3)));
/// # let _ = script;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Script {
    pub(super) faults: Vec<(Place, When, Fault)>,
    pub(super) events: Vec<(Duration, Event)>,
}

impl Script {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `fault` befall these requests. Of several that apply to a request, it meets the one that was given first.
    pub fn fault(mut self, place: Place, when: When, fault: Fault) -> Self {
        self.faults.push((place, when, fault));
        self
    }

    /// Lets `event` happen so long after the start: with the first request that arrives then or later.
    ///
    /// # Panics
    ///
    /// On a status outside of 200 to 999.
    #[track_caller]
    pub fn event(mut self, at: Duration, event: Event) -> Self {
        event.check();
        self.events.push((at, event));
        self
    }
}
