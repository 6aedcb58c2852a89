//! What the answers of APIs say of the token, and what follows.

use http::{HeaderMap, StatusCode};

use crate::authenticator::Authenticator;
use crate::events::EventKind;
use crate::quota::Cause;
use crate::standing::Verdict;
use crate::token::Generation;
use crate::wire::refusal::{self, Word};

impl Authenticator {
    /// Takes note of an API's answer to a request that carried the token of this generation. `origin` is the number of the API's origin
    /// among the credential's.
    ///
    /// `true` if the token was refused and another may help: then [`refuse`](Self::refuse) or
    /// [`replacement`](Self::replacement) follows.
    #[inline]
    pub(crate) fn heed(
        &self,
        origin: usize,
        generation: Generation,
        status: StatusCode,
        headers: &HeaderMap,
        grpc: bool,
    ) -> bool {
        let is_usual =
            status.is_success() && !grpc && self.standing().is_settled(origin, generation);
        !is_usual && self.heed_closely(origin, generation, status, headers, grpc)
    }

    #[cold]
    #[inline(never)]
    fn heed_closely(
        &self,
        origin: usize,
        generation: Generation,
        status: StatusCode,
        headers: &HeaderMap,
        grpc: bool,
    ) -> bool {
        match refusal::read(status, headers, grpc) {
            Word::Accepted => {
                if !self.standing().is_settled(origin, generation)
                    && self.standing().accepted(origin, generation)
                {
                    self.say_closed(origin);
                }
                false
            }
            Word::Refused { by_name } => self.refused(origin, generation, status, by_name),
            Word::OutOfScope { scope } => {
                // It was read, and is good.
                self.standing().trust(generation);
                self.say_out_of_scope(origin, scope);
                false
            }
            Word::Nothing => false,
        }
    }

    fn refused(
        &self,
        origin: usize,
        generation: Generation,
        status: StatusCode,
        by_name: bool,
    ) -> bool {
        let snapshot = self.snapshot();
        let of_refusal = snapshot
            .as_ref()
            .is_some_and(|snapshot| matches!(snapshot.cause, Cause::Refused | Cause::Rotated));
        let current = snapshot.map_or(Generation::NONE, |snapshot| snapshot.generation);
        let (origins, current) = (self.origins().len(), (current, of_refusal));
        match self.standing().refused((origin, origins), generation, current, by_name) {
            Verdict::Late => true,
            Verdict::Suspect => {
                self.say_refused(origin, generation, status, true);
                true
            }
            Verdict::Open { now } => {
                if now {
                    self.say_opened(origin, generation);
                }
                false
            }
            Verdict::NeverWorked => {
                self.say_refused(origin, generation, status, false);
                false
            }
        }
    }

    /// Once for each token and API; loudly if the token has never worked, since then nothing is done about it.
    fn say_refused(&self, at: usize, generation: Generation, status: StatusCode, has_worked: bool) {
        let Some(origin) = self.origins().get(at) else { return };
        if !self.standing().told.is_news(("refused", at, generation)) {
            return;
        }
        let status = status.as_u16();
        if has_worked {
            tracing::info!(credential = self.name(), %origin, %generation, status, "an API refused the token");
        } else {
            tracing::warn!(
                credential = self.name(), %origin, %generation, status,
                "an API refused a token that has never worked, without a reason: that costs no token request, and the API may be \
                 set up wrongly"
            );
        }
        let origin = origin.clone();
        self.renewal().hub.emit(EventKind::Refused { origin, generation, status });
    }

    fn say_out_of_scope(&self, origin: usize, scope: Option<String>) {
        let Some(origin) = self.origins().get(origin) else { return };
        if !self.standing().told.is_news(("scope", origin, self.generation(), &scope)) {
            return;
        }
        tracing::debug!(
            credential = self.name(), %origin, scope,
            "the token is good, and not for this; another would not help"
        );
        let origin = origin.clone();
        self.renewal().hub.emit(EventKind::InsufficientScope { origin, scope });
    }

    fn say_opened(&self, origin: usize, generation: Generation) {
        let Some(origin) = self.origins().get(origin) else { return };
        tracing::warn!(
            credential = self.name(), %origin, %generation,
            "an API refused one token after the other: its 401s pass through, and cost no token request, until it takes one"
        );
        let origin = origin.clone();
        self.renewal().hub.emit(EventKind::BreakerOpened { origin, generation });
    }

    fn say_closed(&self, origin: usize) {
        let Some(origin) = self.origins().get(origin) else { return };
        tracing::info!(
            credential = self.name(), %origin,
            "the API that refused every token takes them again"
        );
        let origin = origin.clone();
        self.renewal().hub.emit(EventKind::BreakerClosed { origin });
    }
}
