//! What a request must show, and whether it does: every check, in order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use auth_core::Clock;
use bytes::Bytes;
use http::header::{AUTHORIZATION, Entry};
use http::{Method, Request, Response};

use super::access::{Access, Refused};
use super::certificate::PeerCertificate;
use super::challenge::{Challenger, Refusal};
use super::claims::{Claims, Confirmation};
use super::dpop::{DpopVerifier, ProofRequest, UnusedProof};
use super::error::Rejected;
use super::grpc;
use super::key_ring::{KeyId, KeyRing};
use super::need::Need;
use super::presented::{Presented, Scheme};
use super::verifier::Verifier;

/// A token that waits for the issuer's keys.
pub(super) type Verification = Pin<Box<dyn Future<Output = Result<Claims, Rejected>> + Send>>;

/// What becomes of a request.
pub(super) enum Step {
    Pass,
    Refuse(Box<Response<Bytes>>),
    /// It takes keys that are not at hand.
    Verify(Verification),
}

/// Everything that a request is judged by.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) access: Access,
    pub(super) verifier: Verifier,
    pub(super) keys: KeyRing,
    pub(super) dpop: DpopVerifier,
    pub(super) challenger: Challenger,
    pub(super) clock: Arc<dyn Clock>,
}

/// Who sends a request.
enum Caller {
    /// Nobody has to know.
    Anybody,
    Token(Claims),
    Key(KeyId),
}

/// What is known of a request's credential so far.
enum Judged<'a> {
    Good(Caller),
    Bad(Refusal<'a>),
    /// Another key set may have the key that this token is signed with.
    Open(&'a str),
}

impl Guard {
    /// Judges a request by what is at hand, without waiting for anything. One that passes has its caller in its extensions.
    pub(super) fn admit<B>(self: &Arc<Self>, request: &mut Request<B>) -> Step {
        let caller = match self.judge(request, None) {
            Judged::Good(caller) => caller,
            Judged::Bad(refusal) => return Step::Refuse(self.refuse(request, &refusal)),
            Judged::Open(token) => {
                let (guard, token) = (Arc::clone(self), token.to_owned());
                return Step::Verify(Box::pin(async move { guard.verifier.verify(&token).await }));
            }
        };
        welcome(request, caller);
        Step::Pass
    }

    /// The same, once it has turned out what its token is worth.
    pub(super) fn admit_verified<B>(
        &self,
        request: &mut Request<B>,
        verified: Result<Claims, Rejected>,
    ) -> Result<(), Box<Response<Bytes>>> {
        let caller = match self.judge(request, Some(verified)) {
            Judged::Good(caller) => caller,
            Judged::Bad(refusal) => return Err(self.refuse(request, &refusal)),
            // Nothing is open once it was verified.
            Judged::Open(_) => return Err(self.refuse(request, &Refusal::NothingShown)),
        };
        welcome(request, caller);
        Ok(())
    }

    fn judge<'a, B>(
        &'a self,
        request: &'a Request<B>,
        verified: Option<Result<Claims, Rejected>>,
    ) -> Judged<'a> {
        // `GET host:80` has no path that a router would see as well (RFC 9112 §3.2.3).
        let uri = request.uri();
        if uri.scheme().is_none()
            && uri.authority().is_some()
            && request.method() != Method::CONNECT
        {
            return Judged::Bad(Refused::Unlisted.into());
        }
        let need = match self.access.find(request.method(), request.uri().path()) {
            Ok(need) if need.is_nothing() => return Judged::Good(Caller::Anybody),
            Ok(need) => need,
            Err(refused) => return Judged::Bad(refused.into()),
        };
        let presented = match Presented::read(request.headers(), request.uri().query()) {
            Ok(presented) => presented,
            Err(error) => return Judged::Bad(error.into()),
        };
        let token = match &presented {
            Presented::Nothing => return Judged::Bad(Refusal::NothingShown),
            Presented::Key(key) => return key_judged(need, key, self.keys.check(key)),
            Presented::Bearer(token) if !need.takes_token() => {
                return key_judged(need, token, self.keys.check(token));
            }
            Presented::Bearer(token) | Presented::Dpop(token) => *token,
        };
        if !need.takes_token() {
            return Judged::Bad(Refusal::TokenNotTaken(presented.scheme()));
        }
        let verified =
            verified.or_else(|| Some(self.verifier.cached(token)?.map_err(Rejected::from)));
        let claims = match verified {
            Some(Ok(claims)) => claims,
            Some(Err(rejected)) => return self.no_token(need, &presented, token, rejected),
            // A key is known at once. It has no proofs, so the scheme of those is not its own.
            None if need.takes_key() && presented.scheme() == Scheme::Bearer => {
                match self.keys.check(token) {
                    Some(known) => return Judged::Good(Caller::Key(known)),
                    None => return Judged::Open(token),
                }
            }
            None => return Judged::Open(token),
        };
        let proof = match self.holds(request, &presented, &claims) {
            Ok(proof) => proof,
            Err(refusal) => return Judged::Bad(refusal),
        };
        if !need.is_met_by(|scope| claims.has_scope(scope)) {
            return Judged::Bad(Refusal::InsufficientScope { scheme: presented.scheme(), need });
        }
        // Last: what is refused for something else has used no proof up.
        match proof.map_or(Ok(()), UnusedProof::use_up) {
            Ok(()) => Judged::Good(Caller::Token(claims)),
            Err(error) => Judged::Bad(error.into()),
        }
    }

    /// A credential that is no valid token: it may be a key all the same.
    fn no_token<'a>(
        &self,
        need: &Need,
        presented: &Presented<'_>,
        text: &str,
        rejected: Rejected,
    ) -> Judged<'a> {
        let scheme = presented.scheme();
        if scheme == Scheme::Bearer
            && let Some(known) = self.keys.check(text)
        {
            return key_judged(need, text, Some(known));
        }
        Judged::Bad(match rejected {
            Rejected::Invalid(invalid) => {
                Refusal::InvalidToken { scheme, description: invalid.description() }
            }
            Rejected::Unavailable { retry_after } => Refusal::Unavailable { retry_after },
        })
    }

    /// Whether the sender holds what its token is bound to, and the proof of that, which is still to be used up.
    fn holds<'a, B>(
        &self,
        request: &Request<B>,
        presented: &Presented<'_>,
        claims: &Claims,
    ) -> Result<Option<UnusedProof<'_>>, Refusal<'a>> {
        let scheme = presented.scheme();
        let unbound = Confirmation::default();
        let bound_to = claims.confirmation().unwrap_or(&unbound);
        if bound_to.other {
            let description = "the token is bound in a way that this server does not check";
            return Err(Refusal::InvalidToken { scheme, description });
        }
        let certificate = request.extensions().get::<PeerCertificate>();
        PeerCertificate::check(certificate, bound_to)
            .map_err(|error| Refusal::Certificate { scheme, error })?;
        DpopVerifier::check_scheme(presented, bound_to)?;
        // Without a key there is no proof, and nothing to ask the clock for.
        if bound_to.jkt.is_none() {
            return Ok(None);
        }
        let now = self.clock.now().wall.as_millis().div_euclid(1000);
        Ok(self.dpop.check(presented, bound_to, ProofRequest::from(request), now)?)
    }

    fn refuse<B>(&self, request: &Request<B>, refusal: &Refusal<'_>) -> Box<Response<Bytes>> {
        let answer = self.challenger.answer(refusal);
        tracing::debug!(status = answer.status.as_u16(), ?refusal, "request refused");
        Box::new(match grpc::is_grpc(request) {
            true => grpc::response(answer),
            false => answer.into_response(),
        })
    }
}

/// A credential that is a key, or has to be one, and which key of the ring it is.
fn key_judged<'a>(need: &Need, text: &str, known: Option<KeyId>) -> Judged<'a> {
    let scheme = Scheme::Bearer;
    Judged::Bad(match known {
        Some(known) if need.takes_key() => return Judged::Good(Caller::Key(known)),
        Some(_) => Refusal::KeyNotTaken,
        None if is_jwt(text) && need.takes_token() => Refusal::TokenAsKey,
        None if is_jwt(text) => Refusal::TokenNotTaken(scheme),
        None => {
            let description = "the API key is unknown, or was revoked";
            Refusal::InvalidToken { scheme, description }
        }
    })
}

/// Lets the handler know who it is, and keeps the credential out of its logs.
fn welcome<B>(request: &mut Request<B>, caller: Caller) {
    if let Entry::Occupied(mut fields) = request.headers_mut().entry(AUTHORIZATION) {
        fields.iter_mut().for_each(|value| value.set_sensitive(true));
    }
    match caller {
        Caller::Anybody => {}
        Caller::Token(claims) => {
            request.extensions_mut().insert(claims);
        }
        Caller::Key(key) => {
            request.extensions_mut().insert(key);
        }
    }
}

/// By its looks (RFC 7515 §7.1).
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.matches('.').count() == 2
}
