//! Whether a request comes from the holder of the key that its token is bound to (RFC 9449 §4.3, §7).

use std::time::Duration;

use auth_core::Origin;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, Method, Request, Uri};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::claims::Confirmation;
use super::dpop_seen::{DpopSeen, NotFresh};
use super::error::ConfigError;
use super::presented::Presented;
use super::proof::{Proof, ProofAlgorithm, ProofError};
use super::provider;
use super::target::{is_target, origin};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Clocks disagree by a few seconds, and requests take some more on their way.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

/// Some 13 GB. More is a slip, or a way to say that there should be no bound, which there has to be.
const MOST_REMEMBERED: usize = 1 << 28;

/// Checks proofs, and remembers which have been used.
///
/// The signatures are checked by the crypto provider of `jsonwebtoken`, which the final binary chooses and installs.
///
/// # Several processes
///
/// Each process remembers the proofs that were used there, and no others (RFC 9449 §11.1). Of several instances behind one name, each
/// takes a proof once, as a process does that has begun anew: whoever has got hold of a proof and its token can repeat the one request
/// that they are for, once at each, for as long as the proof is young enough. That is up to twice the [`window`](Self::window), if
/// the client's clock is ahead by as much. Where that is too much, have a narrower window, or send all requests with one token to one
/// instance.
///
/// # Defaults
///
/// [All algorithms](ProofAlgorithm::ALL); `iat` within 60 seconds either side of the clock; the target's origin out of the request;
/// `https`; a million proofs remembered.
#[derive(Debug)]
pub struct DpopVerifier {
    algorithms: Vec<ProofAlgorithm>,
    window: i64,
    origin: Option<Origin>,
    https: bool,
    seen: DpopSeen,
}

/// What a proof is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProofRequest<'a> {
    /// Its method.
    pub(crate) method: &'a Method,
    /// Its target, as the server has got it.
    pub(crate) uri: &'a Uri,
    /// Its fields.
    pub(crate) headers: &'a HeaderMap,
}

/// A proof that is good for its request. That it counts once is for whoever lets the request through: one that is refused for
/// something else may be sent again as it is.
#[must_use]
pub(crate) struct UnusedProof<'a> {
    seen: &'a DpopSeen,
    jkt: String,
    jti: String,
    end: i64,
    now: i64,
}

impl DpopVerifier {
    /// With the defaults.
    pub fn new() -> Self {
        Self {
            algorithms: ProofAlgorithm::ALL.to_vec(),
            window: seconds(DEFAULT_WINDOW),
            origin: None,
            https: true,
            seen: DpopSeen::new(),
        }
    }

    /// Accepts proofs that are signed like this, and no others. Metadata and challenges list them in this order.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = ProofAlgorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// How far `iat` may be from the clock, either way, in whole seconds.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = seconds(window);
        self
    }

    /// The origin that clients send requests to, as behind a proxy. Best set everywhere: without it the `Host` field decides which
    /// server a proof is for, and a proof that was made for another one can be shown here with that one's name.
    #[must_use]
    pub fn external_origin(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Clients reach this server by plain `http`, where neither the URI nor [`external_origin`](Self::external_origin) says
    /// otherwise.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.https = false;
        self
    }

    /// Remembers about so many proofs, of those that were used in this process ([and no others](Self#several-processes)). When they are
    /// used up, a proof that is good is answered with 503 until there is room again: to forget one would be to let it in twice.
    #[must_use]
    pub fn capacity(mut self, proofs: usize) -> Self {
        self.seen = DpopSeen::with_capacity(proofs);
        self
    }

    /// The accepted algorithms, as a challenge lists them (RFC 9449 §7.1).
    pub fn algs(&self) -> String {
        self.algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" ")
    }

    /// Whether proofs can be checked with these settings.
    ///
    /// # Errors
    ///
    /// When no proof could ever count, or the memory for them would have no bound, or the crypto provider does not have an algorithm.
    pub(crate) fn check_settings(&self) -> Result<(), ConfigError> {
        if self.algorithms.is_empty() {
            return Err(ConfigError::new("dpop.algorithms", "are none: name at least one"));
        }
        if self.window < 1 {
            return Err(ConfigError::new("dpop.window", "is less than a second"));
        }
        let capacity = self.seen.capacity();
        if capacity == 0 {
            let problem = "is 0, so every proof would be one too many: remember at least one";
            return Err(ConfigError::new("dpop.capacity", problem));
        }
        if capacity > MOST_REMEMBERED {
            let problem = format!("is more than {MOST_REMEMBERED}, and so many take gigabytes");
            return Err(ConfigError::new("dpop.capacity", problem));
        }
        let algorithms: Vec<_> =
            self.algorithms.iter().map(|algorithm| algorithm.of_tokens()).collect();
        provider::check(&algorithms).map_err(|error| error.at("dpop.algorithms"))
    }

    /// Whether a token that is bound like this may come with the scheme that it came with: what a server checks that takes no
    /// proofs.
    ///
    /// # Errors
    ///
    /// A token that is bound to a key and came as a bearer token, and the other way round (RFC 9449 §7.1, §7.2).
    pub(crate) fn check_scheme(
        presented: &Presented<'_>,
        bound_to: &Confirmation,
    ) -> Result<(), ProofError> {
        match (presented, &bound_to.jkt) {
            (Presented::Bearer(_), Some(_)) => Err(ProofError::BoundTokenAsBearer),
            (Presented::Dpop(_), None) => Err(ProofError::TokenNotBound),
            _ => Ok(()),
        }
    }

    /// Whether the request may use the token that it presents, which must have been verified before and is bound like this.
    /// `now` is in Unix seconds. The proof, where there has to be one, is not used up yet.
    ///
    /// # Errors
    ///
    /// When the token is bound to a key and the request has no proof of it, or one that is not for this request, this token and
    /// this time; and as [`check_scheme`](Self::check_scheme).
    pub(crate) fn check(
        &self,
        presented: &Presented<'_>,
        bound_to: &Confirmation,
        request: ProofRequest<'_>,
        now: i64,
    ) -> Result<Option<UnusedProof<'_>>, ProofError> {
        Self::check_scheme(presented, bound_to)?;
        match (presented, &bound_to.jkt) {
            (Presented::Dpop(token), Some(jkt)) => {
                self.check_proof(token, jkt, request, now).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The signature comes last, since it alone costs more than to look; a proof that fails is not remembered.
    fn check_proof(
        &self,
        token: &str,
        jkt: &str,
        request: ProofRequest<'_>,
        now: i64,
    ) -> Result<UnusedProof<'_>, ProofError> {
        let mut fields = request.headers.get_all(DPOP).iter();
        let field = fields.next().ok_or(ProofError::Missing)?;
        if fields.next().is_some() {
            return Err(ProofError::Several);
        }
        let text = field.to_str().map_err(|_| ProofError::Malformed)?;
        let proof = Proof::parse(text, &self.algorithms)?;
        let claims = &proof.claims;

        if !is_same(&proof.thumbprint, jkt) {
            return Err(ProofError::OtherKey);
        }
        if claims.htm != request.method.as_str() {
            return Err(ProofError::OtherMethod);
        }
        let found = match &self.origin {
            Some(_) => None,
            None => origin(request.uri, request.headers, self.https),
        };
        let origin = self.origin.as_ref().or(found.as_ref()).ok_or(ProofError::OtherTarget)?;
        if !is_target(&claims.htu, origin, request.uri.path()) {
            return Err(ProofError::OtherTarget);
        }
        if now.abs_diff(claims.iat()) > self.window.unsigned_abs() {
            return Err(ProofError::Time);
        }
        let expected = URL_SAFE_NO_PAD.encode(Sha256::digest(token));
        if !claims.ath.as_ref().is_some_and(|ath| is_same(ath, &expected)) {
            return Err(ProofError::OtherToken);
        }
        if !proof.is_signed() {
            return Err(ProofError::Signature);
        }
        let end = claims.iat().saturating_add(self.window);
        let (jkt, jti) = (proof.thumbprint, proof.claims.jti);
        Ok(UnusedProof { seen: &self.seen, jkt, jti, end, now })
    }
}

impl UnusedProof<'_> {
    /// Uses it up: no request may have it afterwards.
    ///
    /// # Errors
    ///
    /// When another one has used it before, or it cannot be remembered.
    pub(crate) fn use_up(self) -> Result<(), ProofError> {
        let Self { seen, jkt, jti, end, now } = self;
        seen.enter(&jkt, &jti, end, now).map_err(|error| match error {
            NotFresh::Replayed => ProofError::Replayed,
            NotFresh::Full => ProofError::TooMany,
        })
    }
}

impl Default for DpopVerifier {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, B> From<&'a Request<B>> for ProofRequest<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self { method: request.method(), uri: request.uri(), headers: request.headers() }
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
