//! Configuring and starting an issuer.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::routing::post;
use axum::{Router, middleware};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::{Clock, SystemClock};
use crate::credential::Grant;
use crate::error::{Kind, StartError};
use crate::fault::{Script, Stage};
use crate::issuer::Issuer;
use crate::jose::{ClientKeys, Nonces, PublicKey};
use crate::keys::{KeyError, SigningKey};
use crate::oauth::OAuth;
use crate::page::csrf::AdminAccess;
use crate::quota::{PlainQuota, Quota};
use crate::registry::Registry;
use crate::resource::Resource;
use crate::serve::{self, Server};
use crate::skew::SkewedClock;
use crate::state::State;
use crate::tokens::{Mint, Tokens};
use crate::{admin_api, api, metadata, page, random, token, upset};

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

/// Beyond it, clients' arithmetic would be put to the test rather than their care.
const LONGEST_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Settings of an [`Issuer`] that is to be started.
///
/// # Defaults
///
/// | Setting                                          | Default                                       |
/// |--------------------------------------------------|-----------------------------------------------|
/// | [`client`](Self::client)                         | one, with a random id and secret              |
/// | [`client_key`](Self::client_key)                 | none                                          |
/// | [`signing_key`](Self::signing_key)               | the process's own                             |
/// | [`dpop_nonces`](Self::dpop_nonces)               | false                                         |
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
    client_keys: Vec<(String, String)>,
    signing_key: Option<SigningKey>,
    dpop_nonces: bool,
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
    /// Empty if it was not given.
    secret: SecretString,
    /// `None` leaves one that is there as it is, and lets a new one have everything.
    grant: Option<Grant>,
}

impl IssuerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clients: Vec::new(),
            client_keys: Vec::new(),
            signing_key: None,
            dpop_nonces: false,
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
    /// is [`Issuer::client_id`]. Of two with the same id the later one counts. An empty secret is replaced by a random
    /// one when the issuer starts, or by that which a [`directory`](Self::directory) has: OAuth cannot send it.
    pub fn client(self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.registered(id.into(), secret.into(), Some(Grant::All))
    }

    /// Registers a client for some resources; otherwise as [`client`](Self::client). Its tokens have them as their `scope`,
    /// and open nothing else.
    pub fn client_for(
        self,
        id: impl Into<String>,
        secret: impl Into<String>,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Self {
        let grant = Grant::Only(resources.into_iter().collect());
        self.registered(id.into(), secret.into(), Some(grant))
    }

    /// Registers a client with a random secret; otherwise as [`client`](Self::client). One that a
    /// [`directory`](Self::directory) has already keeps the secret and the resources that it has.
    pub fn client_id(self, id: impl Into<String>) -> Self {
        self.registered(id.into(), String::new(), None)
    }

    fn registered(mut self, id: String, secret: String, grant: Option<Grant>) -> Self {
        let secret = SecretString::from(secret);
        match self.clients.iter_mut().find(|known| known.id == id) {
            Some(known) => (known.secret, known.grant) = (secret, grant),
            None => self.clients.push(Client { id, secret, grant }),
        }
        self
    }

    /// Keeps credentials, keys, revocations and the count of token requests in this directory, which is made if it is not
    /// there, over restarts; in memory otherwise. One issuer at a time can have it: await [`Issuer::shutdown`] before the next
    /// one starts.
    ///
    /// Of secrets and API keys only hashes are written: SHA-256, which guards the 256 random bits of those that are made here,
    /// and no password of yours. The signing key cannot be one: without it the tokens of yesterday would be worth nothing. All
    /// files are for this user alone.
    ///
    /// Give it a fixed port with [`bind`](Self::bind): tokens name the issuer's URL.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Registers a public key, as a JWK, that the client may authenticate with: `private_key_jwt` (RFC 7523 §2.2), by RS256,
    /// PS256, ES256 or EdDSA. May be called again for more keys of the same client. A client that was not registered before
    /// is, as by [`client_id`](Self::client_id).
    pub fn client_key(self, id: impl Into<String>, jwk_json: &str) -> Self {
        let id = id.into();
        let is_known = self.clients.iter().any(|known| known.id == id);
        let mut this = if is_known { self } else { self.client_id(id.clone()) };
        this.client_keys.push((id, jwk_json.to_owned()));
        this
    }

    /// Signs tokens with `key`; [`Issuer::rotate_keys`] puts another one in its place.
    pub fn signing_key(mut self, key: SigningKey) -> Self {
        self.signing_key = Some(key);
        self
    }

    /// Whether DPoP proofs must have a nonce of this issuer: the first one of a client is then refused with
    /// `use_dpop_nonce` (RFC 9449 §8 and §9). A token request that is refused so has spent its unit.
    pub fn dpop_nonces(mut self, demand: bool) -> Self {
        self.dpop_nonces = demand;
        self
    }

    /// Serves an audience. May be called again for more; the first is [`Issuer::audience`]. Tokens for any of them open
    /// the API.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How long tokens live, in whole seconds; a rest is cut off, and so is what exceeds a hundred years.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.min(LONGEST_LIFETIME);
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
    /// be read, when the operating system gives no randomness, when the key cannot be made, and when a client's key cannot be
    /// used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped leaves nothing behind but what it has written into a directory by then, which the next one
    /// goes on with.
    pub async fn start(mut self) -> Result<Issuer, StartError> {
        if self.loopback_only && !self.address.ip().is_loopback() {
            return Err(Kind::NotLoopback(self.address).into());
        }
        let mut client_keys = ClientKeys::default();
        for (id, jwk) in &self.client_keys {
            let key = PublicKey::parse(jwk).map_err(|what| Kind::ClientKey(id.clone(), what))?;
            client_keys.register(id, key);
        }
        let nonces = if self.dpop_nonces { Some(Nonces::new(&random::bytes()?)) } else { None };
        let listener =
            serve::bind(self.address).map_err(|source| Kind::Bind(self.address, source))?;
        let address = listener.local_addr().map_err(|source| Kind::Bind(self.address, source))?;
        let url = format!("http://{address}");

        if self.audiences.is_empty() {
            self.audiences.push(url.clone());
        }
        let now = self.clock.now();
        let quota = self.quotas.unwrap_or_else(|| self.quota.into());
        let unusable = |source| {
            StartError::from(Kind::Directory(self.directory.clone().unwrap_or_default(), source))
        };
        let registry = match &self.directory {
            None => Registry::new(quota),
            Some(path) => Registry::open(quota, path).map_err(unusable)?,
        };
        let mint = match registry.attached(Tokens::NAME) {
            Some(saved) => {
                let mut mint = Mint::restored(saved, now).ok_or_else(|| {
                    let what = "the keys that were kept in it cannot be read";
                    unusable(io::Error::new(io::ErrorKind::InvalidData, what))
                })?;
                if let Some(key) = self.signing_key {
                    mint.sign_with(key, now, self.lifetime);
                }
                mint
            }
            None => Mint::new(signing_key(self.signing_key).await?, random::hex::<8>()?),
        };
        let kept = registry.ids();
        if self.clients.is_empty() && kept.is_empty() {
            let (id, secret) = (random::hex::<16>()?, SecretString::default());
            self.clients.push(Client { id, secret, grant: None });
        }
        for Client { id, secret, grant } in &mut self.clients {
            // An empty one can never be presented (RFC 6749 §3.2), so that it was not given.
            let given = Some(secret.expose_secret()).filter(|secret| !secret.is_empty());
            let made = registry.register(id, given, grant.take(), now);
            let made = made.map_err(|source| Kind::Register(id.clone(), source))?;
            *secret = made.unwrap_or_else(|| secret.clone());
        }
        let scopes = Resource::ALL.map(|resource| resource.name().to_owned()).to_vec();
        let clock = Arc::new(SkewedClock::new(self.clock));
        let state = Arc::new(State {
            registry,
            tokens: Tokens::new(mint, url.clone(), &self.audiences, self.lifetime),
            oauth: OAuth::new(url, client_keys, nonces, scopes),
            audiences: self.audiences,
            tally: Default::default(),
            stage: Stage::new(self.script, clock.right()),
            faults_spend_quota: self.faults_spend_quota,
            switches: Default::default(),
            access: AdminAccess::new(address, self.loopback_only)?,
            once: Default::default(),
            clock: Arc::clone(&clock),
        });
        state.keep_tokens().map_err(unusable)?;
        let router = Router::new()
            .route(OAuth::TOKEN_PATH, post(token::token))
            .route(OAuth::REVOCATION_PATH, post(token::revoke))
            .merge(metadata::router(&state))
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

/// A key of the user's, or the process's own.
async fn signing_key(key: Option<SigningKey>) -> Result<SigningKey, Kind> {
    if let Some(key) = key {
        return Ok(key);
    }
    let key = tokio::task::spawn_blocking(SigningKey::shared).await;
    key.unwrap_or(Err(KeyError::GONE)).map_err(Kind::Key)
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
            .field("signing_key", &self.signing_key)
            .field("dpop_nonces", &self.dpop_nonces)
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
