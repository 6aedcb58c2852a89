//! The layer, and what it is made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use auth_core::Clock;
use tower_layer::Layer;

use super::access::Access;
use super::algorithm::Algorithm;
use super::challenge::Challenger;
use super::claims::Claims;
use super::dpop::DpopVerifier;
use super::error::ConfigError;
use super::guard::Guard;
use super::jwks::Jwks;
use super::key_ring::KeyRing;
use super::service::RequireToken;
use super::verifier::{Verifier, VerifierSettings};

/// More is a slip: what has to be there for remembered tokens before the first one comes is allocated when the layer is built.
const MOST_REMEMBERED: usize = 1 << 20;

/// A [`Layer`] for servers: lets requests through that show a token, or a legacy key, for what they ask.
///
/// ```
/// use auth_tower::server::{Access, Algorithm, Jwks, Need, RequireTokenLayer};
/// use http::Method;
///
/// # fn layer(transport: impl auth_core::Transport) -> Result<RequireTokenLayer, Box<dyn std::error::Error>> {
/// let access = Access::builder()
///     .route(Method::GET, "/v2/shipments/{id}", Need::scope("shipments"))
///     .public(Method::GET, "/health")
///     .build()?;
/// let layer = RequireTokenLayer::builder(Jwks::url("https://issuer.example/jwks.json", transport))
///     .issuer("https://issuer.example/")
///     .audience("https://api.example")
///     .algorithms([Algorithm::Rs256])
///     .access(access)
///     .build()?;
/// # Ok(layer)
/// # }
/// ```
///
/// A request that passes has the [`Claims`] of its token in its extensions, or the [`KeyId`](super::KeyId) of its key, and its
/// `Authorization` is marked sensitive. Cloning is cheap, and clones share what has been verified.
///
/// # Routers inside routers
///
/// The table is compared with the path that the layer gets to see. A router that was nested has had its prefix cut off (axum's `nest`
/// does that), so a layer around the inner one sees `/shipments` where the client has written `/v2/shipments`. A table of whole paths
/// refuses all of these; but one with a row for the shorter path judges by that, and a row that is public there opens what is not
/// meant. Put the layer around the outermost router, with whole paths, or write the table of an inner one without the prefix.
///
/// # Readiness
///
/// `poll_ready` is the inner service's. A request that has to wait for the issuer's keys gives that readiness back, a permit for
/// instance, and makes a clone of the inner service ready once its token was found good: a limit on concurrency may stand on
/// either side of this layer.
#[derive(Clone)]
pub struct RequireTokenLayer {
    guard: Arc<Guard>,
}

impl RequireTokenLayer {
    /// With keys from there. All issuers sign with keys of this one set, so it must be trusted with the name of each.
    pub fn builder(jwks: Jwks) -> RequireTokenBuilder {
        RequireTokenBuilder {
            settings: VerifierSettings::new(jwks),
            access: None,
            keys: KeyRing::new([]),
            dpop: None,
            realm: None,
        }
    }
}

impl<S> Layer<S> for RequireTokenLayer {
    type Service = RequireToken<S>;

    fn layer(&self, inner: S) -> RequireToken<S> {
        RequireToken::new(inner, Arc::clone(&self.guard))
    }
}

impl fmt::Debug for RequireTokenLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireTokenLayer").field("guard", &self.guard).finish()
    }
}

/// Settings of a [`RequireTokenLayer`].
///
/// # Defaults
///
/// A leeway of 60 seconds; 1024 verified tokens remembered for each CPU; no legacy keys; DPoP not announced, and proofs, where a token needs one, for
/// `https` and the origin in the request; any `typ` that is not another kind of token's. Issuers, audiences, algorithms and the table have none, and must be named.
#[must_use]
pub struct RequireTokenBuilder {
    settings: VerifierSettings,
    access: Option<Access>,
    keys: KeyRing,
    dpop: Option<DpopVerifier>,
    realm: Option<String>,
}

impl RequireTokenBuilder {
    /// Takes tokens of this issuer (`iss`), compared exactly. May be called again for more.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.settings.issuers.push(issuer.into());
        self
    }

    /// Takes tokens for this audience (`aud`). May be called again for more: a token has to name one of them.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.settings.audiences.push(audience.into());
        self
    }

    /// Takes tokens that are signed like this, and no others (RFC 8725 §3.1).
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.settings.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Which endpoint needs what.
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Takes these legacy keys where the table says so. Keep a clone to revert them while the server runs.
    pub fn api_keys(mut self, keys: KeyRing) -> Self {
        self.keys = keys;
        self
    }

    /// Checks the proofs of tokens that are bound to a key (RFC 9449) like this, and says in each challenge for bearer tokens that those
    /// would do as well (RFC 9449 §7.1). Without it such tokens need their proofs all the same, and are checked with the defaults;
    /// only whoever shows one is told so.
    pub fn dpop(mut self, dpop: DpopVerifier) -> Self {
        self.dpop = Some(dpop);
        self
    }

    /// Asked for every request, whether its token was revoked; so it has to be quick, and must not block.
    pub fn revoked(mut self, revoked: impl Fn(&Claims) -> bool + Send + Sync + 'static) -> Self {
        self.settings.revoked = Some(Arc::new(revoked));
        self
    }

    /// Takes only tokens whose `typ` is `at+jwt` (RFC 9068 §4).
    pub fn only_at_jwt(mut self, only: bool) -> Self {
        self.settings.only_at_jwt = only;
        self
    }

    /// How far the issuer's clock and this one may be apart; an hour at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = leeway;
        self
    }

    /// How many verified tokens are remembered for each CPU of the machine (64 of them at most); 0 verifies every token every time.
    /// Each takes the size of its claims and a little more; a pointer for every eight is there at once. 1,048,576 at most.
    pub fn remembered(mut self, tokens: usize) -> Self {
        self.settings.remembered = tokens;
        self
    }

    /// Names the realm in each challenge (RFC 9110 §11.5).
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Where time comes from.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Checks everything. Nothing is fetched before the first request.
    ///
    /// # Errors
    ///
    /// A setting that is missing or cannot be, by its name; and a binary without a crypto provider for `jsonwebtoken`
    /// (see [the module](super#the-crypto-provider)).
    pub fn build(self) -> Result<RequireTokenLayer, ConfigError> {
        let missing = "is missing: say what each endpoint needs, with `Access::builder()`";
        let access = self.access.ok_or_else(|| ConfigError::new("access", missing))?;
        if self.settings.remembered > MOST_REMEMBERED {
            let problem = format!("is more than {MOST_REMEMBERED}, and so many take gigabytes");
            return Err(ConfigError::new("remembered", problem));
        }
        let is_announced = self.dpop.is_some();
        let dpop = self.dpop.unwrap_or_default();
        let mut challenger = Challenger::new(dpop.algs());
        if is_announced {
            challenger = challenger.announcing_dpop();
        }
        if let Some(realm) = self.realm {
            challenger = challenger.realm(realm)?;
        }
        let clock = Arc::clone(&self.settings.clock);
        let verifier = Verifier::new(self.settings)?;
        // Whoever has said nothing of proofs is not to be held up by an algorithm that is there for them alone.
        if is_announced {
            dpop.check_settings()?;
        }
        let guard = Guard { access, verifier, keys: self.keys, dpop, challenger, clock };
        Ok(RequireTokenLayer { guard: Arc::new(guard) })
    }
}

impl fmt::Debug for RequireTokenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireTokenBuilder")
            .field("issuers", &self.settings.issuers)
            .field("audiences", &self.settings.audiences)
            .field("algorithms", &self.settings.algorithms)
            .finish_non_exhaustive()
    }
}
