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
            dpop: DpopVerifier::new(),
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
/// A leeway of 60 seconds; 4096 verified tokens remembered; no legacy keys; DPoP proofs for `https` and the origin in the request;
/// any `typ` that is not another kind of token's. Issuers, audiences, algorithms and the table have none, and must be named.
#[must_use]
pub struct RequireTokenBuilder {
    settings: VerifierSettings,
    access: Option<Access>,
    keys: KeyRing,
    dpop: DpopVerifier,
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

    /// Checks the proofs of tokens that are bound to a key (RFC 9449) like this.
    pub fn dpop(mut self, dpop: DpopVerifier) -> Self {
        self.dpop = dpop;
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

    /// How far the issuer's clock and this one may be apart.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = leeway;
        self
    }

    /// How many verified tokens are remembered, shared out among the CPUs; 0 verifies every token every time.
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
        let mut challenger = Challenger::new().dpop(self.dpop.algs());
        if let Some(realm) = self.realm {
            let fail = |_| {
                ConfigError::new("realm", "has characters that are not visible ASCII or spaces")
            };
            challenger = challenger.realm(realm).map_err(fail)?;
        }
        let clock = Arc::clone(&self.settings.clock);
        let guard = Guard {
            access,
            verifier: Verifier::new(self.settings)?,
            keys: self.keys,
            dpop: self.dpop,
            challenger,
            clock,
        };
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
