//! What the handlers of one issuer share.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http::StatusCode;

use crate::clock::Clock as _;
use crate::counters::Tally;
use crate::fault::{Event, Fault, Place, Stage};
use crate::keys::SigningKey;
use crate::oauth::OAuth;
use crate::page::csrf::AdminAccess;
use crate::page::once::Once;
use crate::record::TokenRequestRecord;
use crate::registry::Registry;
use crate::skew::{Skew, SkewedClock};
use crate::tokens::{Tokens, Verified};

/// In memory, behind locks that are never held across an await. With a directory, that of the registry is held while the disk
/// writes: a line for each token request and each revocation, and all of it for what is changed by hand and for keys.
pub(crate) struct State {
    pub(crate) clock: Arc<SkewedClock>,
    pub(crate) registry: Registry,
    pub(crate) audiences: Vec<String>,
    pub(crate) tokens: Tokens,
    pub(crate) oauth: OAuth,
    pub(crate) tally: Tally,
    pub(crate) stage: Stage,
    pub(crate) faults_spend_quota: bool,
    pub(crate) switches: Mutex<Switches>,
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
    pub(crate) fn play(&self) {
        self.stage.play(self.clock.right(), |event| self.happen(event));
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

    pub(crate) fn rotate_keys_to(&self, key: SigningKey) -> io::Result<()> {
        self.tokens.rotate(key, self.clock.now());
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

    fn switches(&self) -> std::sync::MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
