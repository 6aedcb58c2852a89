//! One flight: the request goes out, its answer is read, and what it came to is written down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::credential::{Credential, Look};
use super::exchange::exchange;
use super::means::{Renewal, Renewed};
use super::outcome::{Acquired, Settlement};
use super::plan::Need;

use crate::answers::Fault;
use crate::clock::{Now, Timestamp};
use crate::error::Error;
use crate::events::EventKind;
use crate::failure::{Failure, FailureKind};
use crate::lifetime::Lifetime;
use crate::metrics;
use crate::quota::Cause;
use crate::quota::said::Said;
use crate::quota::spend::Spend;
use crate::record::StoredToken;
use crate::sync::timeout;
use crate::token::AccessToken;
use crate::wire::request::{Outgoing, TokenRequest};
use crate::wire::response::{self, Reading, TokenResponse, TokenType};

/// How long a token that was fetched waits to be written down before it is served.
const SETTLE_FIRST: Duration = Duration::from_secs(1);

/// Which of the second requests there was a reason for already.
#[derive(Default)]
pub(super) struct Second {
    pub(super) rotated: bool,
    nonce: bool,
}

impl Renewal {
    /// Sends the request, reads the answer, and writes down what it came to. `None` if there is a reason to send a second one at
    /// once.
    pub(super) async fn fly(
        &self,
        credential: &Credential,
        spend: Spend,
        need: &mut Need,
        second: &mut Second,
    ) -> Option<Renewed> {
        let expires_at = need.current.map(|current| current.expires_at);
        let counted = metrics::Request::begin(&self.name, spend.cause);
        let (mut outcome, said) = self.ask(credential, &spend, need).await;
        counted.end(outcome.as_ref().err().map(|failure| failure.kind));
        let again = match outcome.as_mut().err() {
            Some(failure) => {
                failure.changes_unseen = !credential.request.client.shows_change();
                self.take_step();
                self.again(failure, need, second).await
            }
            None => false,
        };
        self.take_step();
        if outcome.is_ok() {
            self.credentials.accepted();
        }
        let stored = outcome.as_ref().map(|acquired| self.sealed(credential, acquired));
        let settlement = Settlement {
            ended: self.clock.now(),
            identity: credential.identity,
            spend,
            outcome: stored.map_err(Clone::clone),
            said,
            expires_at,
        };
        self.open.ended(settlement.clone());
        let settled = timeout(SETTLE_FIRST, self.settle(&settlement)).await;
        let (retry_at, unsettled) = match settled {
            Ok(Ok(retry_at)) => (retry_at, None),
            Ok(Err(error)) => {
                self.warn_unsettled(&error);
                (None, Some(settlement))
            }
            Err(_) => (None, Some(settlement)),
        };
        if again {
            // What is not settled yet is, before anything else is spent.
            return None;
        }
        let result =
            outcome.map_err(|failure| Error::failed(self.name.clone(), &failure, retry_at));
        Some(Renewed { result, unsettled })
    }

    /// One exchange with the issuer.
    async fn ask(
        &self,
        credential: &Credential,
        spend: &Spend,
        need: &Need,
    ) -> (Result<Acquired, Failure>, Said) {
        let sent = self.take_step();
        let request = &credential.request;
        let metadata = self.metadata.metadata();
        let mtls = request.client.shows_certificate();
        let Some(endpoint) = request.at.token_endpoint(metadata.as_deref(), mtls) else {
            let bug = "there is no token endpoint yet; this is a bug";
            return (Err(Failure::new(FailureKind::NotSent, bug)), Said::default());
        };
        // A signer of the user's that panics must cost an error, and not what everybody else waits for.
        let made = catch_unwind(AssertUnwindSafe(|| request.to_http(endpoint, sent.wall)));
        let Outgoing { request: outgoing, mut secrets } = match made {
            Ok(Ok(outgoing)) => outgoing,
            Ok(Err(error)) => {
                let what =
                    format!("the token request cannot be signed, and nothing was sent: {error}");
                let failure = Fault::NotSent.failure(what).with_source(Some(Arc::new(error)));
                return (Err(failure), Said::default());
            }
            Err(_) => {
                let what = "the signer panicked, and nothing was sent; this is a bug in it";
                return (Err(Fault::NotSent.failure(what)), Said::default());
            }
        };
        let answer =
            exchange(&*self.transport, outgoing, &*self.clock, spend.boot, self.deadline).await;
        let response = match answer {
            Ok(response) => response,
            Err(failure) => return (Err(failure), Said::default()),
        };
        secrets.add(need.token.as_ref().map_or("", AccessToken::expose));
        let now = self.clock.now().wall;
        let demanded = if self.dpop.is_some() { TokenType::Dpop } else { TokenType::Bearer };
        let Reading { token, said, nonce } =
            response::read(response, now, &self.quota_refusals, demanded, &secrets);
        if let (Some(dpop), Some(nonce)) = (&self.dpop, nonce) {
            dpop.heed_issuer(nonce);
        }
        let date = said.date;
        (token.and_then(|token| self.acquire(request, token, spend, sent, date)), said)
    }

    /// Whether the secret is another one by now.
    pub(super) async fn rotates(&self, need: &mut Need, look: Look) -> bool {
        let rotated = self.credentials.look(&self.name, look).await;
        if rotated {
            tracing::info!(credential = %self.name, "the client secret was rotated");
            self.hub.emit(EventKind::Rotated);
            // What is asked for by hand is past the holds, whatever the secret.
            if need.cause != Cause::Manual {
                need.cause = Cause::Rotated;
            }
        }
        rotated
    }

    /// Whether a failure is followed by a second request at once; made a failure like any other if it is not.
    async fn again(&self, failure: &mut Failure, need: &mut Need, second: &mut Second) -> bool {
        match failure.kind {
            // Before it is written down, which holds the secret that was refused for a day.
            FailureKind::InvalidClient | FailureKind::Rejected
                if failure.kind == FailureKind::InvalidClient || failure.is_unauthorized =>
            {
                if second.rotated {
                    self.credentials.refused_again();
                    return false;
                }
                second.rotated = self.rotates(need, Look::Refused(self.clock.now().boot)).await;
                second.rotated
            }
            FailureKind::NonceRequired => {
                let again = !second.nonce && self.dpop.is_some();
                second.nonce = true;
                if !again {
                    let what = "the issuer wants a nonce in the proof, and does not take the one that it gave";
                    *failure = Fault::NoNonce.failure(what);
                }
                again
            }
            _ => false,
        }
    }

    /// As it goes into the record.
    pub(super) fn sealed(&self, credential: &Credential, acquired: &Acquired) -> StoredToken {
        let mut stored = acquired.unsealed();
        let Credential { keys, identity, .. } = credential;
        keys.seal(self.cell.key(), identity.request, &mut stored, &acquired.token);
        stored
    }

    fn acquire(
        &self,
        request: &TokenRequest,
        response: TokenResponse,
        spend: &Spend,
        sent: Now,
        date: Option<Timestamp>,
    ) -> Result<Acquired, Failure> {
        let claims = crate::jwt::claims(response.token.expose());
        let now = self.clock.now().wall;
        let lifetime = Lifetime::of(response.expires_in, claims, self.default_lifetime, now)
            .map_err(|problem| Fault::Lifetime.unusable(problem))?;
        self.advise(request, &response, date, now);
        Ok(Acquired::fetched(response.token, spend.cause, sent.wall, lifetime))
    }
}
