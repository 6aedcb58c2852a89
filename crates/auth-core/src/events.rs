//! What happens to a credential, for a program that wants to hear of it.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::clock::Clock;
use crate::error::Error;
use crate::origin::Origin;
use crate::quota::RenewalCause;
use crate::token::Generation;

/// So many events are kept for a subscriber that is slow. There are a few for each token, so this is days of them.
const KEPT: usize = 256;

/// Something that happened to a credential. It holds no secret and no token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When, by the authenticator's clock.
    pub at: SystemTime,
    /// The credential's name.
    pub credential: Arc<str>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A token is going to be adopted from the store, or requested from the issuer (RFC 6749 §4.4).
    RenewalStarted {
        /// Why.
        cause: RenewalCause,
    },
    /// What came of that. It is missing if the attempt was cut off, by a runtime that was shut down or by a panic.
    RenewalFinished {
        /// Why it was begun.
        cause: RenewalCause,
        /// What came of it.
        outcome: RenewalOutcome,
        /// Token requests left for a caller without a token, by the strictest window; `None` if the quota is unlimited, or
        /// if the store cannot be read.
        units_left: Option<u32>,
        /// How long it took, by the clock that suspended time counts for.
        took: Duration,
    },
    /// An API refused the token (RFC 6750 §3.1), or the API key: said once for each token and API.
    Refused {
        /// Which API.
        origin: Origin,
        /// Which token was sent.
        generation: Generation,
        /// The status of the answer.
        status: u16,
    },
    /// Said once for each token, API and scope: an API answered 403, or wants a scope that the token does not have (`insufficient_scope`, RFC 6750 §3.1): another token would
    /// not help.
    InsufficientScope {
        /// Which API.
        origin: Origin,
        /// The scope that it names, if it does.
        scope: Option<String>,
    },
    /// An API refused one token after another (RFC 6750 §3.1): its refusals cost no more token requests until it takes one.
    BreakerOpened {
        /// Which API.
        origin: Origin,
        /// The token that it refused last.
        generation: Generation,
    },
    /// An API accepts the credential again.
    BreakerClosed {
        /// Which API.
        origin: Origin,
    },
    /// The client secret (RFC 6749 §2.3.1) was rotated, or the API key was replaced.
    Rotated,
    /// No token request may be sent for now (RFC 6749 §4.4). Said once for each new thing that goes wrong, however many
    /// callers it stops. What holds back a renewal ahead of time does not hold back a caller who has no token.
    Held {
        /// When the next may be; `None` if nobody can tell.
        until: Option<SystemTime>,
        /// Why.
        error: Error,
    },
    /// This subscriber was slow, and so many events before the next one are lost to it.
    Lost(u64),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "credential `{}`: {}", self.credential, self.kind)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RenewalStarted { cause } => write!(f, "getting a token ({cause})"),
            Self::RenewalFinished { cause, outcome, units_left, took } => {
                write!(f, "{outcome} ({cause}), after {took:?}")?;
                match units_left {
                    Some(units) => write!(f, "; {units} token requests left"),
                    None => Ok(()),
                }
            }
            Self::Refused { origin, generation, status } => {
                write!(f, "{origin} answered {status} to generation {generation}")
            }
            Self::InsufficientScope { origin, scope: Some(scope) } => {
                write!(f, "{origin} wants the scope `{scope}`")
            }
            Self::InsufficientScope { origin, scope: None } => {
                write!(f, "{origin} forbids what was asked for")
            }
            Self::BreakerOpened { origin, generation } => write!(
                f,
                "{origin} refused generation {generation} as well: its 401s pass through from now on, and cost nothing"
            ),
            Self::BreakerClosed { origin } => write!(f, "{origin} takes the credential again"),
            Self::Rotated => f.write_str("rotated"),
            Self::Held { error, .. } => write!(f, "held: {error}"),
            Self::Lost(count) => write!(f, "{count} events were lost to a slow subscriber"),
        }
    }
}

/// What came of the attempt to get a token (RFC 6749 §5).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RenewalOutcome {
    /// The issuer gave a token, which is in use.
    Fetched {
        /// Which of this authenticator's tokens.
        generation: Generation,
    },
    /// Another process had fetched a token, which is in use here as well.
    Adopted {
        /// Which of this authenticator's tokens.
        generation: Generation,
    },
    /// A token came, and was not put to use: another came before it, or it was refused meanwhile.
    NotNeeded,
    /// There is no other token than before.
    Failed(Error),
}

impl fmt::Display for RenewalOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetched { generation } => write!(f, "generation {generation} was fetched"),
            Self::Adopted { generation } => write!(f, "generation {generation} was adopted"),
            Self::NotNeeded => f.write_str("a token came that was not needed"),
            Self::Failed(_) => f.write_str("no token"),
        }
    }
}

impl RenewalOutcome {
    /// Of a token that came, and is in use as this one, if it is.
    pub(crate) fn of(generation: Option<Generation>, adopted: bool) -> Self {
        match generation {
            Some(generation) if adopted => Self::Adopted { generation },
            Some(generation) => Self::Fetched { generation },
            None => Self::NotNeeded,
        }
    }
}

/// The events of one credential from when it was subscribed to; see
/// [`Authenticator::events`](crate::Authenticator::events).
///
/// It does not keep the authenticator alive.
///
/// ```
/// # use auth_core::{Authenticator, EventKind};
/// # async fn watch(authenticator: &Authenticator) {
/// let mut events = authenticator.events();
/// tokio::spawn(async move {
///     while let Some(event) = events.next().await {
///         if let EventKind::Held { .. } | EventKind::BreakerOpened { .. } = event.kind {
///             eprintln!("{event}");
///         }
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    credential: Arc<str>,
    clock: Arc<dyn Clock>,
}

impl Events {
    /// The next event, once there is one; `None` when the authenticator is gone and every event was taken. 256 are kept for a
    /// subscriber that is slow. After that it loses the oldest, and is told how many ([`EventKind::Lost`]).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(count)) => {
                let kind = EventKind::Lost(count);
                Some(Event::now(&*self.clock, &self.credential, kind))
            }
        }
    }
}

impl Event {
    fn now(clock: &dyn Clock, credential: &Arc<str>, kind: EventKind) -> Self {
        Self { at: clock.now().wall.into(), credential: credential.clone(), kind }
    }
}

/// Where a credential's events are handed out. No sender waits for a subscriber.
///
/// Empty until the first one comes: the room for events is some tens of KiB, and most programs have none.
#[derive(Default)]
pub(crate) struct Hub(OnceLock<Box<Heard>>);

/// What there is once somebody listened.
struct Heard {
    credential: Arc<str>,
    clock: Arc<dyn Clock>,
    sender: broadcast::Sender<Event>,
}

impl Hub {
    /// Tells all who listen. Not under a lock: it takes one, and wakes.
    pub(crate) fn emit(&self, kind: EventKind) {
        if let Some(Heard { credential, clock, sender }) = self.heard() {
            // It fails when the last of them has gone just now, and then nobody misses it.
            let _ = sender.send(Event::now(&**clock, credential, kind));
        }
    }

    /// Whether anybody listens: for what it takes work to tell.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard().is_some()
    }

    /// To what happens to this credential, by this clock.
    pub(crate) fn subscribe(&self, credential: &Arc<str>, clock: &Arc<dyn Clock>) -> Events {
        let heard = self.0.get_or_init(|| {
            let sender = broadcast::Sender::new(KEPT);
            Box::new(Heard { credential: credential.clone(), clock: clock.clone(), sender })
        });
        Events {
            receiver: heard.sender.subscribe(),
            credential: heard.credential.clone(),
            clock: heard.clock.clone(),
        }
    }

    fn heard(&self) -> Option<&Heard> {
        self.0.get().map(|heard| &**heard).filter(|heard| heard.sender.receiver_count() > 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;
    use crate::clock::SystemClock;

    fn subscribe(hub: &Hub) -> Events {
        hub.subscribe(&"test".into(), &(Arc::new(SystemClock) as Arc<dyn Clock>))
    }

    fn next(events: &mut Events) -> Option<EventKind> {
        let mut next = task::spawn(events.next());
        assert_ready!(next.poll()).map(|event| event.kind)
    }

    #[test]
    fn what_happened_before_somebody_listened_is_not_kept() {
        let hub = Hub::default();
        hub.emit(EventKind::Rotated);
        assert!(!hub.is_heard() && hub.0.get().is_none());
        let mut events = subscribe(&hub);
        assert!(hub.is_heard());
        assert_pending!(task::spawn(events.next()).poll());
        drop(events);
        assert!(!hub.is_heard());
        hub.emit(EventKind::Rotated);
    }

    #[test]
    fn a_slow_subscriber_loses_the_oldest_and_is_told_how_many() {
        let hub = Hub::default();
        let (mut slow, mut quick) = (subscribe(&hub), subscribe(&hub));
        for _ in 0..KEPT + 44 {
            hub.emit(EventKind::Rotated);
            assert!(matches!(next(&mut quick), Some(EventKind::Rotated)));
        }
        assert!(matches!(next(&mut slow), Some(EventKind::Lost(44))));
        for _ in 0..KEPT {
            assert!(matches!(next(&mut slow), Some(EventKind::Rotated)));
        }
        assert_pending!(task::spawn(slow.next()).poll());
    }

    #[test]
    fn a_future_that_is_dropped_loses_nothing_and_the_end_comes_after_the_last_event() {
        let hub = Hub::default();
        let mut events = subscribe(&hub);
        assert_pending!(task::spawn(events.next()).poll());
        hub.emit(EventKind::Rotated);
        drop(task::spawn(events.next()));
        drop(hub);
        assert!(matches!(next(&mut events), Some(EventKind::Rotated)));
        assert!(next(&mut events).is_none());
    }
}
