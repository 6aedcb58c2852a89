//! What makes claims out of a token: every check, in order, with the keys and the time at hand.

mod header;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use auth_core::{Clock, Now, SystemClock, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use self::header::Header;
use super::algorithm::Algorithm;
use super::cache::{Cache, Digest};
use super::claims::Claims;
use super::error::{ConfigError, Invalid, Reason, Rejected};
use super::jwks::{Jwks, Others, Source};
use super::keys::Verdict;
use super::provider;

/// The longest token that is read at all.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Clocks that are further apart are broken.
const MOST_LEEWAY: Duration = Duration::from_secs(60 * 60);

/// How often one request may look again with other keys: they can change twice while it looks, and hardly more often.
const MOST_ROUNDS: u32 = 2;

/// Whether a token was revoked.
pub(crate) type Revoked = dyn Fn(&Claims) -> bool + Send + Sync;

/// What a verifier is made of.
pub(crate) struct VerifierSettings {
    /// Where the keys are. All issuers sign with keys of this one set, so it must be trusted with the name of each.
    pub(crate) jwks: Jwks,
    /// Whose tokens are taken (`iss`), compared exactly. At least one.
    pub(crate) issuers: Vec<String>,
    /// What this API is called in tokens (`aud`). At least one; a token has to name one of them.
    pub(crate) audiences: Vec<String>,
    /// How tokens may be signed. At least one.
    pub(crate) algorithms: Vec<Algorithm>,
    /// How far the issuer's clock and this one may be apart.
    pub(crate) leeway: Duration,
    /// Whether only tokens are taken whose `typ` is `at+jwt` (RFC 9068 §4).
    pub(crate) only_at_jwt: bool,
    /// How many verified tokens are remembered for each CPU; 0 for none.
    pub(crate) remembered: usize,
    /// Asked for every request, those with a remembered token too.
    pub(crate) revoked: Option<Arc<Revoked>>,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
}

impl VerifierSettings {
    /// With the defaults, and without issuers, audiences and algorithms.
    pub(crate) fn new(jwks: Jwks) -> Self {
        Self {
            jwks,
            issuers: Vec::new(),
            audiences: Vec::new(),
            algorithms: Vec::new(),
            leeway: Duration::from_secs(60),
            only_at_jwt: false,
            remembered: 1024,
            revoked: None,
            clock: Arc::new(SystemClock::default()),
        }
    }
}

/// Verifies tokens.
pub(crate) struct Verifier {
    source: Source,
    cache: Cache,
    issuers: Vec<String>,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    leeway: Duration,
    only_at_jwt: bool,
    revoked: Option<Arc<Revoked>>,
    clock: Arc<dyn Clock>,
}

/// How far a token gets with the keys at hand.
enum Step {
    Done(Result<Claims, Invalid>),
    /// It opens nothing, unless there are other keys.
    Otherwise(Otherwise),
}

struct Otherwise {
    invalid: Invalid,
    /// The generation of the keys at hand; 0 for none.
    seen: u64,
    /// When it was issued, by its own words, if none of the keys at hand is its key. A key that is known and did not make the
    /// signature would have to be another by now: possible, but no reason to doubt what there is.
    issued: Option<Timestamp>,
}

impl Verifier {
    /// Checks the settings. Nothing is fetched.
    pub(crate) fn new(settings: VerifierSettings) -> Result<Self, ConfigError> {
        let empty = |field, texts: &[String]| match texts {
            [] => Err(ConfigError::new(field, "are none: name at least one")),
            texts if texts.iter().any(String::is_empty) => {
                Err(ConfigError::new(field, "have an empty one among them"))
            }
            _ => Ok(()),
        };
        empty("issuers", &settings.issuers)?;
        empty("audiences", &settings.audiences)?;
        if settings.algorithms.is_empty() {
            return Err(ConfigError::new("algorithms", "are none: name at least one"));
        }
        if settings.leeway > MOST_LEEWAY {
            return Err(ConfigError::new(
                "leeway",
                "is more than an hour: tokens would hardly end",
            ));
        }
        let source = settings.jwks.source(settings.clock.clone())?;
        provider::check(&settings.algorithms)?;
        Ok(Self {
            source,
            cache: Cache::new(settings.remembered),
            issuers: settings.issuers,
            audiences: settings.audiences,
            algorithms: settings.algorithms,
            leeway: settings.leeway,
            only_at_jwt: settings.only_at_jwt,
            revoked: settings.revoked,
            clock: settings.clock,
        })
    }

    /// What can be said of `token` at once; `None` if it takes other keys, which [`verify`](Self::verify) waits for.
    pub(crate) fn cached(&self, token: &str) -> Option<Result<Claims, Invalid>> {
        let now = self.clock.now();
        if self.source.is_stale(now) {
            return None;
        }
        match self.step(token, now) {
            Step::Done(result) => Some(result),
            Step::Otherwise(otherwise) => {
                // Without any keys it is not for this token to say what is wrong.
                let is_open = otherwise.seen == 0
                    || self.source.may_have_others(otherwise.seen, now)
                    || self.is_newer(otherwise.issued);
                (!is_open).then_some(Err(otherwise.invalid))
            }
        }
    }

    /// What can be said of `token`, other keys awaited if it takes some. Cancel safe.
    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, Rejected> {
        let came = self.clock.now();
        let mut rounds = 0;
        if self.source.is_stale(came) {
            let others = self.source.others(self.source.generation(), came).await;
            if self.source.is_over(self.clock.now()) {
                return Err(self.unavailable());
            }
            rounds += u32::from(others != Others::Unknown);
        }
        loop {
            let now = self.clock.now();
            let otherwise = match self.step(token, now) {
                Step::Done(result) => return result.map_err(Rejected::Invalid),
                Step::Otherwise(otherwise) => otherwise,
            };
            let Otherwise { invalid, seen, issued } = otherwise;
            let others = match rounds {
                MOST_ROUNDS => Others::Same,
                _ => self.source.others(seen, now).await,
            };
            // Keys that were asked for since it came have its own among them, whatever the issuer's clock says.
            let is_newer = self.source.may_lack(came.wall) && self.is_newer(issued);
            match others {
                Others::New => rounds += 1,
                // It waited for a flight that had begun before it was issued, which says nothing of its key.
                Others::Same if seen != 0 && is_newer && rounds < MOST_ROUNDS => rounds += 1,
                // Its key may be a new one. A 401 would make the client spend another token, with the same key.
                _ if seen == 0 || (is_newer && self.source.doubt()) => {
                    return Err(self.unavailable());
                }
                Others::Same | Others::Unknown => return Err(Rejected::Invalid(invalid)),
            }
        }
    }

    /// Whether a token that was `issued` then may be signed with a key that is newer than those at hand: issuers publish a key
    /// before they sign with it. Their clocks are not quite ours.
    fn is_newer(&self, issued: Option<Timestamp>) -> bool {
        issued.is_some_and(|issued| self.source.may_lack(issued + self.leeway))
    }

    fn unavailable(&self) -> Rejected {
        Rejected::Unavailable { retry_after: self.source.retry_after(self.clock.now()) }
    }

    fn step(&self, token: &str, now: Now) -> Step {
        if token.len() > LONGEST_TOKEN {
            return Step::Done(Err(Reason::TooLong.into()));
        }
        self.source.look_after(now);
        let keys = self.source.current();
        let generation = keys.as_ref().map_or(0, |keys| keys.generation());
        let digest: Digest = Sha256::digest(token).into();
        if let Some(claims) = self.cache.get(&digest, generation) {
            return Step::Done(self.still(claims, now.wall));
        }
        let parts = match Parts::of(token).and_then(|parts| {
            let header = Header::parse(parts.header)?;
            Ok((parts, header.allowed(&self.algorithms, self.only_at_jwt)?, header))
        }) {
            Ok(parts) => parts,
            Err(invalid) => return Step::Done(Err(invalid)),
        };
        let (parts, algorithm, header) = parts;
        let kid = header.kid.as_deref();
        let verdict = keys.as_ref().map_or(Verdict::Unknown, |keys| {
            keys.verify(kid, algorithm, parts.signed, parts.signature)
        });
        let (reason, is_unknown) = match verdict {
            Verdict::Verified => return Step::Done(self.verified(&parts, digest, generation, now)),
            Verdict::Forged => (Reason::Signature, false),
            Verdict::OtherAlgorithm => (Reason::Algorithm, false),
            Verdict::Unknown => (Reason::UnknownKey, true),
            Verdict::Unnamed => (Reason::Signature, true),
        };
        // No key helps a token that says itself that it is not for here, or over.
        let is_for_here = self.claims(parts.payload).and_then(|claims| {
            self.in_time(&claims, now.wall)?;
            Ok(claims)
        });
        match is_for_here {
            Ok(claims) => {
                let issued = claims.issued_at().filter(|_| is_unknown);
                Step::Otherwise(Otherwise { invalid: reason.into(), seen: generation, issued })
            }
            Err(invalid) if generation == 0 => Step::Done(Err(invalid)),
            Err(_) => Step::Done(Err(reason.into())),
        }
    }

    /// What a token is worth whose signature is good.
    fn verified(
        &self,
        parts: &Parts<'_>,
        digest: Digest,
        generation: u64,
        now: Now,
    ) -> Result<Claims, Invalid> {
        let claims = self.claims(parts.payload)?;
        self.in_time(&claims, now.wall)?;
        self.cache.insert(digest, generation, claims.clone(), now.wall);
        self.not_revoked(claims)
    }

    /// What a token says, and whether it is for here: all that cannot change.
    fn claims(&self, payload: &str) -> Result<Claims, Invalid> {
        let text = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Invalid::from(Reason::Malformed))?;
        let claims = Claims::parse(text)?;
        if !self.issuers.iter().any(|issuer| issuer == claims.issuer()) {
            return Err(Reason::Issuer.into());
        }
        if !claims.audience().iter().any(|audience| self.audiences.contains(audience)) {
            return Err(Reason::Audience.into());
        }
        Ok(claims)
    }

    /// Of a token that was good: all that can change but the keys.
    fn still(&self, claims: Claims, now: Timestamp) -> Result<Claims, Invalid> {
        self.in_time(&claims, now)?;
        self.not_revoked(claims)
    }

    /// RFC 7519 §4.1.4 (from `exp` on, the token is over), §4.1.5 and §4.1.6.
    fn in_time(&self, claims: &Claims, now: Timestamp) -> Result<(), Invalid> {
        let begins = |at: Option<Timestamp>| at.is_none_or(|at| at <= now + self.leeway);
        if now >= claims.expires_at() + self.leeway {
            return Err(Reason::Expired.into());
        }
        if !begins(claims.not_before()) {
            return Err(Reason::NotYetValid.into());
        }
        if !begins(claims.issued_at()) {
            let issued = "the token was issued in the future";
            return Err(Invalid::because(Reason::NotYetValid, issued));
        }
        Ok(())
    }

    fn not_revoked(&self, claims: Claims) -> Result<Claims, Invalid> {
        match &self.revoked {
            Some(revoked) if revoked(&claims) => Err(Reason::Revoked.into()),
            _ => Ok(claims),
        }
    }
}

/// A JWS in its compact form (RFC 7515 §7.1).
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, Invalid> {
        let parts = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, payload) = signed.split_once('.')?;
            // Five parts are a JWE (RFC 7516 §7.1), which has a key of this side's.
            (!payload.contains('.')).then_some(Self { header, payload, signature, signed })
        };
        parts().ok_or_else(|| Reason::Malformed.into())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("source", &self.source)
            .field("issuers", &self.issuers)
            .field("audiences", &self.audiences)
            .field("algorithms", &self.algorithms)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
