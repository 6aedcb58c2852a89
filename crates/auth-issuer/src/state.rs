//! What the handlers of one issuer share.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::StatusCode;
use secrecy::ExposeSecret as _;

use crate::api::Manners;
use crate::clock::Clock as _;
use crate::counters::Tally;
use crate::fault::{Event, Fault, Place, Stage, Twist};
use crate::keys::{KeyError, SigningKey};
use crate::oauth::OAuth;
use crate::page::csrf::AdminAccess;
use crate::page::once::Once;
use crate::record::TokenRequestRecord;
use crate::registry::Registry;
use crate::skew::{Skew, SkewedClock};
use crate::tokens::{Tokens, Verified};

/// In memory, behind locks that are never held across an await. With a directory, that of the registry is held while the disk
/// writes: a line for each token request and each revocation, and all of it for what is changed by hand and for keys. That of
/// the stage is held while the events of a script happen, which may write too, but make no key.
pub(crate) struct State {
    pub(crate) clock: Arc<SkewedClock>,
    pub(crate) registry: Registry,
    pub(crate) audiences: Vec<String>,
    pub(crate) tokens: Tokens,
    pub(crate) oauth: OAuth,
    pub(crate) tally: Tally,
    pub(crate) stage: Stage,
    pub(crate) faults_spend_quota: bool,
    pub(crate) manners: Manners,
    pub(crate) switches: Mutex<Switches>,
    /// For rotations of the script that are due.
    pub(crate) ready_keys: Mutex<VecDeque<SigningKey>>,
    /// Held while one is made.
    pub(crate) making_keys: Mutex<()>,
    /// Who may use the settings page and the admin API.
    pub(crate) access: AdminAccess,
    /// What the settings page is to show once.
    pub(crate) once: Once,
}

/// What changes while the issuer runs and is too small for a file of its own.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    api_status: Option<StatusCode>,
    last_token_request: Option<TokenRequestRecord>,
}

impl State {
    /// Whether a token request that meets `fault` spends a unit.
    pub(crate) fn charges(&self, fault: Option<&Fault>) -> bool {
        fault.is_none_or(|fault| fault.is_charged(self.faults_spend_quota))
    }

    /// The fault of the request that arrives now.
    pub(crate) fn fault(&self, place: Place) -> Option<Fault> {
        self.stage.take(place, self.clock.right())
    }

    /// Lets the events of the script happen that are due.
    ///
    /// The keys that they need are made before the stage is locked for them, which takes some hundred milliseconds each: on
    /// a blocking thread, if there is one to wait for.
    pub(crate) async fn play(self: &Arc<Self>) {
        let now = self.clock.right();
        if self.lacks_keys(now) {
            let this = Arc::clone(self);
            // It is cancelled only with the runtime.
            let _ = tokio::task::spawn_blocking(move || this.make_keys(now)).await;
        }
        self.play_due(now);
    }

    /// The same where nothing can be waited for.
    pub(crate) fn play_here(&self) {
        let now = self.clock.right();
        self.make_keys(now);
        self.play_due(now);
    }

    fn play_due(&self, now: SystemTime) {
        self.stage.play(now, |event| {
            if event != Event::RotateKeys {
                return self.happen(event);
            }
            // Without one the last key stays, which was logged.
            if let Some(key) = self.ready_keys().pop_front() {
                tracing::debug!(?event, "an event happens");
                // As with a revocation.
                let _ = self.rotate_keys_to(key);
            }
        });
        self.revoke_doomed(now);
    }

    fn revoke_doomed(&self, now: SystemTime) {
        for token in self.stage.take_doomed(now) {
            if let Some(token) = self.tokens.known(token.expose_secret()) {
                // As with all of them.
                let _ = self.revoke(&token);
            }
        }
    }

    /// Does to a new token what a fault wants done to it once it was issued.
    pub(crate) fn dooms(&self, token: &str, twist: Option<Twist>) {
        let Some(Twist::Revoked(after)) = twist else { return };
        let now = self.clock.right();
        // Beyond the machine's time it lives on.
        if let Some(at) = now.checked_add(after) {
            self.stage.doom(at, token.to_owned().into());
        }
        self.revoke_doomed(now);
    }

    fn lacks_keys(&self, now: SystemTime) -> bool {
        self.stage.count_due(Event::RotateKeys, now) > self.ready_keys().len()
    }

    /// Makes what is lacking, one after the other: whoever arrives meanwhile waits for the same keys.
    fn make_keys(&self, now: SystemTime) {
        let _one_at_a_time = self.making_keys.lock().unwrap_or_else(PoisonError::into_inner);
        while self.lacks_keys(now) {
            match SigningKey::pooled(self.tokens.order_key()) {
                Ok(key) => self.ready_keys().push_back(key),
                Err(error) => {
                    tracing::warn!(%error, "the signing key stays");
                    return;
                }
            }
        }
    }

    fn ready_keys(&self) -> MutexGuard<'_, VecDeque<SigningKey>> {
        self.ready_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `event` happen now.
    pub(crate) fn happen(&self, event: Event) {
        tracing::debug!(?event, "an event happens");
        match event {
            Event::ClockAhead(by) => self.clock.set(Skew::Ahead(by)),
            Event::ClockBehind(by) => self.clock.set(Skew::Behind(by)),
            Event::RevokeAll => {
                // It was logged. Nobody waits for an answer, and it is tried again when the issuer stops.
                let _ = self.revoke_all();
            }
            Event::RotateKeys => self.rotate_keys(),
            Event::ApiStatus(status) => {
                self.set_api_status(status.and_then(|status| StatusCode::from_u16(status).ok()));
            }
        }
    }

    /// Makes a token invalid from now on.
    ///
    /// # Errors
    ///
    /// When it could not be written down: it is invalid in this run alone.
    pub(crate) fn revoke(&self, token: &Verified) -> io::Result<()> {
        let kept = self.registry.revoke(token.number, token.expires_at, self.clock.earlier());
        kept.inspect_err(|error| tracing::error!(%error, "a revocation could not be written down"))
    }

    /// Makes every token minted so far invalid; otherwise as [`revoke`](Self::revoke).
    pub(crate) fn revoke_all(&self) -> io::Result<()> {
        let kept = self.registry.revoke_below(self.tokens.next());
        kept.inspect_err(|error| tracing::error!(%error, "a revocation could not be written down"))
    }

    /// Signs with a key that is made on the spot, if it is not one of the process's first. If none can be made, the last one
    /// stays.
    fn rotate_keys(&self) {
        match SigningKey::pooled(self.tokens.order_key()) {
            Ok(key) => {
                // As with a revocation.
                let _ = self.rotate_keys_to(key);
            }
            Err(error) => tracing::warn!(%error, "the signing key stays"),
        }
    }

    /// The same, with a key that is made on a blocking thread.
    pub(crate) async fn rotate_keys_aside(&self) {
        let number = self.tokens.order_key();
        let key = tokio::task::spawn_blocking(move || SigningKey::pooled(number)).await;
        match key.unwrap_or(Err(KeyError::GONE)) {
            Ok(key) => {
                // As with a revocation.
                let _ = self.rotate_keys_to(key);
            }
            Err(error) => tracing::warn!(%error, "the signing key stays"),
        }
    }

    pub(crate) fn rotate_keys_to(&self, key: SigningKey) -> io::Result<()> {
        self.tokens.rotate(key, self.clock.now(), self.clock.earlier());
        self.keep_tokens()
    }

    pub(crate) fn retire_keys(&self) -> io::Result<()> {
        self.tokens.retire_keys();
        self.keep_tokens()
    }

    /// Keeps what tokens need to be told apart after a restart.
    ///
    /// # Errors
    ///
    /// Those of the file system, which are logged.
    pub(crate) fn keep_tokens(&self) -> io::Result<()> {
        let kept = self.registry.attach(Tokens::NAME, || self.tokens.saved());
        kept.inspect_err(|error| {
            tracing::error!(%error, "the keys could not be written down");
        })
    }

    /// The token, if it lives at `now`: signed here, for this API, neither expired nor revoked.
    pub(crate) fn valid(&self, token: &str, now: SystemTime) -> Option<Verified> {
        let token = self.tokens.unexpired(token, now);
        token.filter(|token| !self.registry.is_revoked(token.number))
    }

    /// Whether `token` opens anything now.
    pub(crate) fn is_valid(&self, token: &str) -> bool {
        let valid = self.valid(token, self.clock.now());
        valid.is_some_and(|valid| self.registry.is_enabled(&valid.client, valid.serial))
    }

    /// What the API answers to everything, if not what it should.
    pub(crate) fn api_status(&self) -> Option<StatusCode> {
        self.switches().api_status
    }

    pub(crate) fn set_api_status(&self, status: Option<StatusCode>) {
        self.switches().api_status = status;
    }

    pub(crate) fn last_token_request(&self) -> Option<TokenRequestRecord> {
        self.switches().last_token_request.clone()
    }

    pub(crate) fn set_last_token_request(&self, record: TokenRequestRecord) {
        self.switches().last_token_request = Some(record);
    }

    fn switches(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::fault::Script;
    use crate::issuer::Issuer;

    #[tokio::test]
    async fn a_key_that_the_script_wants_is_made_while_nobody_else_has_to_wait() {
        let clock = ManualClock::new();
        let script = Script::new()
            .event(Duration::from_secs(1), Event::RotateKeys)
            .event(Duration::from_secs(2), Event::RotateKeys);
        let builder = Issuer::builder().script(script).clock(clock.clone());
        let issuer = builder.start().await.unwrap();
        let state = Arc::clone(issuer.state());
        let keys = || state.tokens.published(clock.now()).len();
        clock.advance(Duration::from_secs(1));
        let mut play = Box::pin(state.play());
        {
            // As if it took long.
            let _making = state.making_keys.lock().unwrap();
            let mut context = Context::from_waker(Waker::noop());
            assert!(play.as_mut().poll(&mut context).is_pending());
            assert!(state.fault(Place::Api).is_none());
            issuer.heal();
        }
        assert_eq!(keys(), 1);
        play.await;
        assert_eq!(keys(), 2);
        state.play().await;
        assert_eq!(keys(), 2, "it happens once");
        clock.advance(Duration::from_secs(1));
        assert!(!issuer.is_valid("x"));
        assert_eq!(keys(), 3);
        assert!(state.ready_keys().is_empty());
    }
}
