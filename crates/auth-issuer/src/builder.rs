//! Configuring and starting an issuer.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use secrecy::{ExposeSecret, SecretString};

use crate::client::Clients;
use crate::clock::{Clock, SystemClock};
use crate::error::{Kind, StartError};
use crate::issuer::Issuer;
use crate::keys::SigningKey;
use crate::quota::Quota;
use crate::serve::{self, Server};
use crate::state::State;
use crate::tokens::Tokens;
use crate::{api, random, token};

impl Issuer {
    /// Starts an issuer with the [defaults of its builder](IssuerBuilder#defaults) on the present tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`IssuerBuilder::start`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Settings to start an issuer with.
    pub fn builder() -> IssuerBuilder {
        IssuerBuilder::new()
    }
}

/// Settings of an [`Issuer`] that is to be started.
///
/// # Defaults
///
/// | Setting                                          | Default                                       |
/// |--------------------------------------------------|-----------------------------------------------|
/// | [`client`](Self::client)                         | one, with a random id and secret              |
/// | [`audience`](Self::audience)                     | the issuer's URL                              |
/// | [`lifetime`](Self::lifetime)                     | 24 hours                                      |
/// | [`quota`](Self::quota)                           | 10 token requests per client                  |
/// | [`quota_window`](Self::quota_window)             | 24 hours, rolling                             |
/// | [`faults_spend_quota`](Self::faults_spend_quota) | true                                          |
/// | [`clock`](Self::clock)                           | [`SystemClock`]                               |
/// | [`bind`](Self::bind)                             | a free port of 127.0.0.1                      |
#[must_use]
pub struct IssuerBuilder {
    clients: Vec<(String, SecretString)>,
    audiences: Vec<String>,
    lifetime: Duration,
    quota: Quota,
    faults_spend_quota: bool,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    loopback_only: bool,
}

impl IssuerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clients: Vec::new(),
            audiences: Vec::new(),
            lifetime: Duration::from_secs(24 * 60 * 60),
            quota: Quota::default(),
            faults_spend_quota: true,
            clock: Arc::new(SystemClock),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            loopback_only: true,
        }
    }

    /// Registers a client. May be called again for more; the first is [`Issuer::client_id`]. Of two with the same id
    /// the later secret counts. An empty secret is replaced by a random one when the issuer starts: OAuth cannot send
    /// it.
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        let (id, secret) = (id.into(), SecretString::from(secret.into()));
        match self.clients.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = secret,
            None => self.clients.push((id, secret)),
        }
        self
    }

    /// Registers a client with a random secret; otherwise as [`client`](Self::client).
    pub fn client_id(self, id: impl Into<String>) -> Self {
        self.client(id, "")
    }

    /// Serves an audience. May be called again for more; the first is [`Issuer::audience`]. Tokens for any of them open
    /// the API.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How long tokens live, in whole seconds; a rest is cut off.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How many token requests each client may make in a [`quota_window`](Self::quota_window).
    pub fn quota(mut self, limit: u32) -> Self {
        self.quota.limit = Some(limit);
        self
    }

    /// Lets every client make as many token requests as it likes.
    pub fn unlimited_quota(mut self) -> Self {
        self.quota.limit = None;
        self
    }

    /// How long after it was spent a unit of quota is back.
    pub fn quota_window(mut self, window: Duration) -> Self {
        self.quota.window = window;
        self
    }

    /// Whether a token request that a [`Fault`](crate::Fault) answers spends a unit. One that is only delayed always
    /// does.
    pub fn faults_spend_quota(mut self, spend: bool) -> Self {
        self.faults_spend_quota = spend;
        self
    }

    /// What the issuer takes for the time: a [`ManualClock`](crate::ManualClock), or any `Fn() -> SystemTime`.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where to listen; port 0 is a free one.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Permits [`bind`](Self::bind) an address that other machines can reach. The issuer does what anybody asks of it,
    /// without TLS: do this on no network that you do not own.
    pub fn allow_non_loopback(mut self) -> Self {
        self.loopback_only = false;
        self
    }

    /// Starts the issuer on the present tokio runtime, which needs its I/O and time drivers enabled.
    ///
    /// The first start of a process also makes the signing key, on a blocking thread.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound or is not a loopback address, when the operating system gives no randomness,
    /// and when the key cannot be made.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped leaves nothing behind.
    pub async fn start(mut self) -> Result<Issuer, StartError> {
        if self.loopback_only && !self.address.ip().is_loopback() {
            return Err(Kind::NotLoopback(self.address).into());
        }
        let key = tokio::task::spawn_blocking(SigningKey::shared);
        let key = key.await.ok().flatten().ok_or(Kind::Key)?;
        let listener =
            serve::bind(self.address).map_err(|source| Kind::Bind(self.address, source))?;
        let address = listener.local_addr().map_err(|source| Kind::Bind(self.address, source))?;
        let url = format!("http://{address}");

        if self.clients.is_empty() {
            self.clients.push((random::hex::<16>()?, SecretString::default()));
        }
        if self.audiences.is_empty() {
            self.audiences.push(url.clone());
        }
        for (_, secret) in &mut self.clients {
            // `client_id` left it to us; and an empty secret can never be presented (RFC 6749 §3.2).
            if secret.expose_secret().is_empty() {
                *secret = random::hex::<32>()?.into();
            }
        }
        let instance = random::hex::<8>()?;
        let state = Arc::new(State {
            clients: Clients::new(self.quota, &self.clients),
            tokens: Tokens::new(key, url.clone(), &self.audiences, instance, self.lifetime),
            audiences: self.audiences,
            tally: Default::default(),
            faults: Default::default(),
            faults_spend_quota: self.faults_spend_quota,
            switches: Default::default(),
            clock: Arc::clone(&self.clock),
        });
        let router = Router::new()
            .route(Issuer::TOKEN_PATH, post(token::token))
            .merge(api::router(&state))
            .with_state(Arc::clone(&state));
        let server = Server::start(listener, router, self.clock);
        let (client_id, client_secret) = self.clients.swap_remove(0);
        Ok(Issuer::new(state, server, address, client_id, client_secret))
    }
}

impl Default for IssuerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for IssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients: Vec<&str> = self.clients.iter().map(|(id, _)| id.as_str()).collect();
        f.debug_struct("IssuerBuilder")
            .field("clients", &clients)
            .field("audiences", &self.audiences)
            .field("lifetime", &self.lifetime)
            .field("quota", &self.quota)
            .field("faults_spend_quota", &self.faults_spend_quota)
            .field("address", &self.address)
            .field("loopback_only", &self.loopback_only)
            .finish_non_exhaustive()
    }
}
