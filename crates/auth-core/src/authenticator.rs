//! The handle that requests ask for their token.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};

use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::origin::{Origin, Origins, Target};
use crate::per_cpu::PerCpu;
use crate::renewal::Renewal;
use crate::renewal::flight::{Boarding, Wish};
use crate::shared::Shared;
use crate::standing::Standing;
use crate::status::Status;
use crate::store::BoxFuture;
use crate::token::{Authorization, Freshness, Generation, Snapshot};

/// One credential, and the token that it buys. A cheap handle: clones share everything.
///
/// While the token is fresh, [`authorization`](Self::authorization) is one load of a snapshot, one reading of a coarse
/// clock and one clone of a header; and so it is while a renewal is under way. When the token grows old (at 80 to 90 % of
/// its lifetime), the first request that notices starts a renewal in a task of its own, and is served with the token at
/// hand. Without a token all callers wait for one flight, and share its failure too.
///
/// Nothing is spawned until a token is needed. The renewal runs on the tokio runtime of the caller that started it; if that
/// runtime is gone, or kept and not run, the next caller on another runtime starts another. The runtime needs its timers
/// (`enable_time`).
///
/// The path of a fresh token asks the wall clock alone. A wall clock that is set back by less than the token's age goes
/// unnoticed there, and the token may be sent that much past its end: until an API refuses it, which costs one renewal.
///
/// A caller outside of tokio can wait for a flight, and cannot tell whether anybody drives it.
#[derive(Clone)]
pub struct Authenticator {
    shared: Arc<Shared>,
}

impl Authenticator {
    pub(crate) fn new(
        renewal: Renewal,
        clock: Arc<dyn Clock>,
        origins: Origins,
        jitter: f64,
        copies: Option<usize>,
        is_system_clock: bool,
    ) -> Self {
        let shared = Shared::new(renewal, clock, origins, jitter, copies, is_system_clock);
        Self { shared: Arc::new(shared) }
    }

    /// The token, if it can be sent at once: fresh, or old with a renewal under way.
    ///
    /// Takes no lock and allocates nothing while the token is fresh. Inside a tokio runtime it starts the renewal of a token
    /// that grows old; outside it only serves.
    #[inline]
    pub fn try_authorization(&self) -> Option<Authorization> {
        let snapshot = self.shared.snapshot.load();
        let snapshot = snapshot.as_ref()?;
        let wall = self.shared.coarse();
        match snapshot.freshness(wall) {
            Freshness::Fresh => snapshot.authorization(),
            Freshness::Ageing if self.is_served(snapshot, wall) => snapshot.authorization(),
            Freshness::Ageing | Freshness::Expired => None,
        }
    }

    /// Puts the token into these headers, if it can be sent at once, and says which it is: what
    /// [`try_authorization`](Self::try_authorization) gives, without a stop on the way. Replaces an `Authorization` that is
    /// there; without a token nothing changes.
    #[inline]
    pub fn try_insert(&self, headers: &mut HeaderMap) -> Option<Generation> {
        let snapshot = self.shared.snapshot.load();
        let snapshot = snapshot.as_ref()?;
        let wall = self.shared.coarse();
        match snapshot.freshness(wall) {
            Freshness::Fresh => {}
            Freshness::Ageing if self.is_served(snapshot, wall) => {}
            Freshness::Ageing | Freshness::Expired => return None,
        }
        headers.insert(AUTHORIZATION, snapshot.header().clone());
        Some(snapshot.generation)
    }

    /// The token, once there is one.
    ///
    /// # Errors
    ///
    /// When there is no valid token and none can be had now: see [`Error`] for why, and [`Error::retry_at`] for when to
    /// come back. Asking again before that costs nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the token request alone, which then serves the others, or the next caller.
    #[inline]
    pub fn authorization(&self) -> impl Future<Output = Result<Authorization, Error>> + Send {
        Authorize { authenticator: self, waiting: None }
    }

    /// Says that an API answered 401 to the token of this generation.
    ///
    /// If that token is still the one that requests carry, it becomes *suspect*: one renewal is started, and the token is
    /// served on until that succeeds, since one misconfigured API must not take the others down. A generation that has been
    /// replaced already changes nothing. Calling it again changes nothing.
    ///
    /// A token that came of a refusal is not replaced because of another one for an hour, and neither is one whose replacement was
    /// tried in vain; all of them together have a fifth of the quota.
    pub fn refuse(&self, generation: Generation) {
        if self.shared.suspect(generation)
            && let Boarding::Failed(_) = self.start(Wish::After(generation))
        {
            self.shared.clear(generation);
        }
    }

    /// Refuses the token of this generation, and waits for one that follows it: for a request that is to be sent again
    /// after a 401.
    ///
    /// # Errors
    ///
    /// When no newer token can be had; the refused one is then served on to other requests, and the API's own 401 is the
    /// answer to give back.
    ///
    /// # Cancel safety
    ///
    /// As for [`authorization`](Self::authorization).
    pub async fn replacement(&self, refused: Generation) -> Result<Authorization, Error> {
        if refused > self.shared.generation() {
            // Not one of this authenticator's: then any of its tokens is another.
            return self.authorization().await;
        }
        if let Some(error) = self.shared.unanswered(refused) {
            return Err(error);
        }
        self.refuse(refused);
        self.wait(Wish::After(refused)).await
    }

    /// Gets a new token now, whatever the one at hand is worth, and past the pace and the holds that failures have set: for
    /// an operator who has just mended what was wrong. The quota is kept all the same.
    ///
    /// # Errors
    ///
    /// When no token can be had. The one at hand is served on.
    ///
    /// # Cancel safety
    ///
    /// As for [`authorization`](Self::authorization).
    pub async fn renew(&self) -> Result<Authorization, Error> {
        self.wait(Wish::Manual(self.shared.generation())).await
    }

    /// Whether a request to `uri` gets this credential: its origin must be one of those that it is bound to.
    #[inline]
    pub fn target(&self, uri: &Uri) -> Target {
        self.shared.origins.target(uri)
    }

    /// The origins that the credential is bound to, in no particular order.
    pub fn origins(&self) -> &[Origin] {
        self.shared.origins.as_slice()
    }

    pub(crate) fn renewal(&self) -> &Renewal {
        &self.shared.renewal
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(crate) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.shared.snapshot.load_full()
    }

    /// The token was given back: it is served no more.
    pub(crate) fn give_up(&self, snapshot: &Snapshot) {
        self.shared.give_up(snapshot);
    }

    /// The next caller is to try anew.
    pub(crate) fn forget_failure(&self) {
        self.shared.flights.forget_failure();
    }

    /// Where the handles of this credential meet.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    pub(crate) fn generation(&self) -> Generation {
        self.shared.generation()
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.shared.standing
    }

    pub(crate) fn bound(&self) -> &Origins {
        &self.shared.origins
    }

    /// As many copies of something as this authenticator would make of its header now: for what an adapter clones for every
    /// request, and which several threads would otherwise count in one place.
    pub fn per_cpu<T>(&self, make: impl FnMut() -> T) -> PerCpu<T> {
        PerCpu::new(self.shared.copies(), make)
    }

    /// The credential's name.
    pub fn name(&self) -> &str {
        &self.shared.renewal.name
    }

    /// What there is to show: the token's age, the budget as the store has it now, the last error.
    ///
    /// Reads the store (at most 5 s), inside a tokio runtime; a store that cannot be read is part of the answer.
    pub async fn status(&self) -> Status {
        let snapshot = self.shared.snapshot.load_full();
        self.shared.renewal.status(snapshot.as_deref(), self.shared.last_error()).await
    }

    fn wait(&self, wish: Wish) -> impl Future<Output = Result<Authorization, Error>> + Send {
        self.shared.wait(wish)
    }

    /// Whether a token that is due for renewal can be sent, which is then under way.
    #[inline]
    fn is_served(&self, snapshot: &Snapshot, wall: Timestamp) -> bool {
        // While it is under way a request is served as if nothing were.
        (self.shared.flights.is_flying() && snapshot.is_alive(wall)) || self.renews(snapshot)
    }

    #[cold]
    #[inline(never)]
    fn renews(&self, snapshot: &Snapshot) -> bool {
        let now = self.shared.clock.now();
        if snapshot.freshness_at(now) == Freshness::Expired {
            return false;
        }
        if snapshot.redated(now).is_some() {
            self.shared.redate_at(now);
        }
        if !self.shared.flights.is_flying() {
            let wish =
                if snapshot.suspect { Wish::After(snapshot.generation) } else { Wish::Renewal };
            self.start(wish);
        }
        true
    }

    fn start(&self, wish: Wish) -> Boarding {
        self.shared.start(wish)
    }

    pub(crate) fn failed(&self, problem: &str) -> Error {
        Error::runtime(self.shared.renewal.name.clone(), problem)
    }
}

/// The future of [`Authenticator::authorization`]: three words while the token is fresh.
struct Authorize<'a> {
    authenticator: &'a Authenticator,
    waiting: Option<BoxFuture<'a, Result<Authorization, Error>>>,
}

impl Authorize<'_> {
    #[cold]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Result<Authorization, Error>> {
        let authenticator = self.authenticator;
        if self.waiting.is_none()
            && let Some(authorization) = authenticator.try_authorization()
        {
            return Poll::Ready(Ok(authorization));
        }
        let wait = || Box::pin(authenticator.wait(Wish::Any)) as BoxFuture<'_, _>;
        self.waiting.get_or_insert_with(wait).as_mut().poll(cx)
    }
}

impl Future for Authorize<'_> {
    type Output = Result<Authorization, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.waiting.is_none() {
            let shared = &self.authenticator.shared;
            let snapshot = shared.snapshot.load();
            if let Some(snapshot) = snapshot.as_ref()
                && snapshot.freshness(shared.coarse()) == Freshness::Fresh
            {
                return snapshot.ready();
            }
        }
        self.poll_slow(cx)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("name", &self.shared.renewal.name)
            .field("origins", &self.shared.origins)
            .field("snapshot", &self.shared.snapshot.load().as_deref())
            .finish_non_exhaustive()
    }
}
