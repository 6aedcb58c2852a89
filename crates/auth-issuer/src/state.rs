//! What the handlers of one issuer share.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use secrecy::ExposeSecret as _;

use crate::api::Manners;
use crate::clock::Clock as _;
use crate::counters::Tally;
use crate::fault::{Event, Fault, Place, Stage, Twist};
use crate::keys::SigningKey;
use crate::oauth::OAuth;
use crate::page::csrf::AdminAccess;
use crate::page::once::Once;
use crate::record::TokenRequestRecord;
use crate::registry::Registry;
use crate::skew::{Skew, SkewedClock};
use crate::tokens::Tokens;

/// In memory, behind locks that are held for a few instructions and never across an await.
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
        let now = self.clock.right();
        self.stage.play(now, |event| self.happen(event));
        for token in self.stage.take_doomed(now) {
            // As with all of them.
            let _ = self.revoke(token.expose_secret());
        }
    }

    /// Does to a new token what a fault wants done to it once it was issued.
    pub(crate) fn dooms(&self, token: &str, twist: Option<Twist>) {
        let Some(Twist::Revoked(after)) = twist else { return };
        // Beyond the machine's time it lives on.
        if let Some(at) = self.clock.right().checked_add(after) {
            self.stage.doom(at, token.to_owned().into());
        }
        self.play();
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

    /// Makes `token` invalid from now on; false if it is not one of this issuer's.
    ///
    /// # Errors
    ///
    /// When it could not be written down: it is invalid in this run alone.
    pub(crate) fn revoke(&self, token: &str) -> io::Result<bool> {
        let is_ours = self.tokens.revoke(token, self.clock.now());
        if is_ours {
            self.keep_tokens()?;
        }
        Ok(is_ours)
    }

    /// Makes every token minted so far invalid; otherwise as [`revoke`](Self::revoke).
    pub(crate) fn revoke_all(&self) -> io::Result<()> {
        self.tokens.revoke_all();
        self.keep_tokens()
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
            tracing::error!(%error, "keys and revocations could not be written down");
        })
    }

    /// Whether `token` opens anything now.
    pub(crate) fn is_valid(&self, token: &str) -> bool {
        let verified = self.tokens.valid(token, self.clock.now());
        verified.is_some_and(|verified| self.registry.is_enabled(&verified.client, verified.serial))
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
