//! Configuring and starting an issuer.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::post;
use axum::{Router, middleware};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::{Clock, SystemClock};
use crate::credential::Grant;
use crate::error::{Kind, StartError};
use crate::fault::{Script, Stage};
use crate::issuer::Issuer;
use crate::keys::SigningKey;
use crate::page::csrf::AdminAccess;
use crate::quota::{PlainQuota, Quota};
use crate::registry::Registry;
use crate::resource::Resource;
use crate::serve::{self, Server};
use crate::skew::SkewedClock;
use crate::state::State;
use crate::tokens::Tokens;
use crate::{admin_api, api, page, random, token, upset};

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
/// | [`directory`](Self::directory)                   | none: all is in memory                        |
/// | [`clock`](Self::clock)                           | [`SystemClock`]                               |
/// | [`bind`](Self::bind)                             | a free port of 127.0.0.1                      |
#[must_use]
pub struct IssuerBuilder {
    clients: Vec<Client>,
    audiences: Vec<String>,
    directory: Option<PathBuf>,
    lifetime: Duration,
    quota: PlainQuota,
    quotas: Option<Quota>,
    faults_spend_quota: bool,
    script: Script,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    loopback_only: bool,
}

struct Client {
    id: String,
    secret: SecretString,
    grant: Grant,
}

impl IssuerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clients: Vec::new(),
            audiences: Vec::new(),
            directory: None,
            lifetime: Duration::from_secs(24 * 60 * 60),
            quota: PlainQuota::default(),
            quotas: None,
            faults_spend_quota: true,
            script: Script::new(),
            clock: Arc::new(SystemClock),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            loopback_only: true,
        }
    }

    /// Registers a client that may have everything, and any scope that it asks for. May be called again for more; the first
    /// is [`Issuer::client_id`]. Of two with the same id the later secret counts. An empty secret is replaced by a random
    /// one when the issuer starts: OAuth cannot send it.
    pub fn client(self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.registered(id.into(), secret.into(), Grant::All)
    }

    /// Registers a client for some resources; otherwise as [`client`](Self::client). Its tokens have them as their `scope`,
    /// and open nothing else.
    pub fn client_for(
        self,
        id: impl Into<String>,
        secret: impl Into<String>,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Self {
        self.registered(id.into(), secret.into(), Grant::Only(resources.into_iter().collect()))
    }

    /// Registers a client with a random secret; otherwise as [`client`](Self::client).
    pub fn client_id(self, id: impl Into<String>) -> Self {
        self.client(id, "")
    }

    fn registered(mut self, id: String, secret: String, grant: Grant) -> Self {
        let secret = SecretString::from(secret);
        match self.clients.iter_mut().find(|known| known.id == id) {
            Some(known) => (known.secret, known.grant) = (secret, grant),
            None => self.clients.push(Client { id, secret, grant }),
        }
        self
    }

    /// Keeps credentials, keys and the count of token requests in this directory, which is made if it is not there, over
    /// restarts; in memory otherwise. One issuer at a time can have it.
    ///
    /// Of secrets and API keys only hashes are written. The signing key cannot be one: without it the tokens of yesterday
    /// would be worth nothing. All files are for this user alone.
    ///
    /// Give it a fixed port with [`bind`](Self::bind), or an audience: tokens name the issuer's URL.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
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
        self.quotas = None;
        self
    }

    /// Lets every client make as many token requests as it likes.
    pub fn unlimited_quota(mut self) -> Self {
        self.quota.limit = None;
        self.quotas = None;
        self
    }

    /// How long after it was spent a unit of quota is back.
    pub fn quota_window(mut self, window: Duration) -> Self {
        self.quota.window = window;
        self.quotas = None;
        self
    }

    /// The quota of each client with all that vendors make of it: several windows, calendars, a lag, and other refusals. It
    /// replaces what [`quota`](Self::quota), [`unlimited_quota`](Self::unlimited_quota) and
    /// [`quota_window`](Self::quota_window) said before, and each of them replaces it.
    pub fn quotas(mut self, quota: Quota) -> Self {
        self.quotas = Some(quota);
        self
    }

    /// Whether a token request that a [`Fault`](crate::Fault) answers spends a unit. One that is only delayed always
    /// does.
    pub fn faults_spend_quota(mut self, spend: bool) -> Self {
        self.faults_spend_quota = spend;
        self
    }

    /// What the issuer is to meet from its start on.
    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
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
    /// When the address cannot be bound or is not a loopback address, when the directory cannot be had or what is in it cannot
    /// be read, when the operating system gives no randomness, and when the key cannot be made.
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

        if self.audiences.is_empty() {
            self.audiences.push(url.clone());
        }
        let now = self.clock.now();
        let quota = self.quotas.unwrap_or_else(|| self.quota.into());
        let registry = match &self.directory {
            None => Registry::new(quota),
            Some(path) => Registry::open(quota, path)
                .map_err(|source| Kind::Directory(path.clone(), source))?,
        };
        let kept = registry.ids();
        if self.clients.is_empty() && kept.is_empty() {
            let (id, secret) = (random::hex::<16>()?, SecretString::default());
            self.clients.push(Client { id, secret, grant: Grant::All });
        }
        for client in &mut self.clients {
            // `client_id` left it to us; and an empty secret can never be presented (RFC 6749 §3.2).
            if client.secret.expose_secret().is_empty() {
                client.secret = random::hex::<32>()?.into();
            }
            let Client { id, secret, grant } = client;
            registry.register(id, secret.expose_secret(), grant.clone(), now).map_err(
                |source| Kind::Directory(self.directory.clone().unwrap_or_default(), source),
            )?;
        }
        let instance = random::hex::<8>()?;
        let clock = Arc::new(SkewedClock::new(self.clock));
        let state = Arc::new(State {
            registry,
            tokens: Tokens::new(key, url.clone(), &self.audiences, instance, self.lifetime),
            audiences: self.audiences,
            tally: Default::default(),
            stage: Stage::new(self.script, clock.right()),
            faults_spend_quota: self.faults_spend_quota,
            switches: Default::default(),
            access: AdminAccess::new(address, self.loopback_only)?,
            once: Default::default(),
            clock: Arc::clone(&clock),
        });
        let router = Router::new()
            .route(Issuer::TOKEN_PATH, post(token::token))
            .merge(api::router(&state))
            .merge(page::router(&state))
            .merge(admin_api::router(&state))
            .layer(middleware::from_fn_with_state(Arc::clone(&state), upset::play))
            .with_state(Arc::clone(&state));
        let server = Server::start(listener, router, clock);
        // Of one that was kept from an earlier run there is only the hash of a secret.
        let first = match self.clients.into_iter().next() {
            Some(Client { id, secret, .. }) => (id, secret),
            None => (kept.into_iter().next().unwrap_or_default(), SecretString::default()),
        };
        Ok(Issuer::new(state, server, address, first))
    }
}

impl Default for IssuerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for IssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients: Vec<&str> = self.clients.iter().map(|known| known.id.as_str()).collect();
        f.debug_struct("IssuerBuilder")
            .field("clients", &clients)
            .field("audiences", &self.audiences)
            .field("directory", &self.directory)
            .field("lifetime", &self.lifetime)
            .field("quota", &self.quota)
            .field("quotas", &self.quotas)
            .field("faults_spend_quota", &self.faults_spend_quota)
            .field("address", &self.address)
            .field("loopback_only", &self.loopback_only)
            .finish_non_exhaustive()
    }
}
