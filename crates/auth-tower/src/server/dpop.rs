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
use super::presented::Presented;
use super::proof::{Proof, ProofAlgorithm, ProofError};
use super::target::{is_target, origin};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Clocks disagree by a few seconds, and requests take some more on their way.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

/// Checks proofs, and remembers which have been used.
///
/// The signatures are checked by the crypto provider of `jsonwebtoken`, which the final binary chooses and installs.
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

    /// Remembers about so many proofs. When they are used up, a proof that is good is answered with 503 until there is room again: to forget one would be to let it in twice.
    #[must_use]
    pub fn capacity(mut self, proofs: usize) -> Self {
        self.seen = DpopSeen::with_capacity(proofs);
        self
    }

    /// The accepted algorithms, as a challenge lists them (RFC 9449 §7.1).
    pub fn algs(&self) -> String {
        self.algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" ")
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
    /// `now` is in Unix seconds. The proof is used up if so.
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
    ) -> Result<(), ProofError> {
        Self::check_scheme(presented, bound_to)?;
        match (presented, &bound_to.jkt) {
            (Presented::Dpop(token), Some(jkt)) => self.check_proof(token, jkt, request, now),
            _ => Ok(()),
        }
    }

    /// The signature comes last, since it alone costs more than to look; a proof that fails is not remembered.
    fn check_proof(
        &self,
        token: &str,
        jkt: &str,
        request: ProofRequest<'_>,
        now: i64,
    ) -> Result<(), ProofError> {
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
        self.seen.enter(jkt, &claims.jti, end, now).map_err(|error| match error {
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
