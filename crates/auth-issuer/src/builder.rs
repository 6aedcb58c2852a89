//! What an issuer is to be like.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use secrecy::SecretString;

use crate::api::Manners;
use crate::clock::{Clock, SystemClock};
use crate::credential::Grant;
use crate::fault::Script;
use crate::keys::SigningKey;
use crate::quota::{PlainQuota, Quota};
use crate::resource::Resource;

/// Beyond it, clients' arithmetic would be put to the test rather than their care.
const LONGEST_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Settings of an [`Issuer`](crate::Issuer) that is to be started.
///
/// # Defaults
///
/// | Setting                                          | Default                                       |
/// |--------------------------------------------------|-----------------------------------------------|
/// | [`client`](Self::client)                         | one, with a random id and secret              |
/// | [`resources`](Self::resources)                   | everything, and any scope                     |
/// | [`client_key`](Self::client_key)                 | none                                          |
/// | [`signing_key`](Self::signing_key)               | the process's own                             |
/// | [`dpop_nonces`](Self::dpop_nonces)               | false                                         |
/// | [`audience`](Self::audience)                     | the issuer's URL                              |
/// | [`lifetime`](Self::lifetime)                     | 24 hours                                      |
/// | [`quota`](Self::quota)                           | 10 token requests per client                  |
/// | [`quota_window`](Self::quota_window)             | 24 hours, rolling                             |
/// | [`faults_spend_quota`](Self::faults_spend_quota) | true                                          |
/// | [`permission_error`](Self::permission_error)     | v2's envelope, JSON, with the code `insufficient_scope` |
/// | [`demand_versions`](Self::demand_versions)       | false                                         |
/// | [`directory`](Self::directory)                   | none: all is in memory                        |
/// | [`clock`](Self::clock)                           | [`SystemClock`]                               |
/// | [`bind`](Self::bind)                             | a free port of 127.0.0.1                      |
/// | [`url`](Self::url)                               | `http://` and the address that it listens on  |
#[must_use]
pub struct IssuerBuilder {
    pub(crate) clients: Vec<Client>,
    pub(crate) new_grant: Grant,
    pub(crate) client_keys: Vec<(String, String)>,
    pub(crate) signing_key: Option<SigningKey>,
    pub(crate) dpop_nonces: bool,
    pub(crate) audiences: Vec<String>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) lifetime: Duration,
    pub(crate) quota: PlainQuota,
    pub(crate) quotas: Option<Quota>,
    pub(crate) faults_spend_quota: bool,
    pub(crate) manners: Manners,
    pub(crate) script: Script,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) address: SocketAddr,
    pub(crate) url: Option<String>,
    pub(crate) loopback_only: bool,
}

pub(crate) struct Client {
    pub(crate) id: String,
    /// Empty if it was not given.
    pub(crate) secret: SecretString,
    /// `None` leaves one that is there as it is, and lets a new one have what the builder says of such.
    pub(crate) grant: Option<Grant>,
}

impl IssuerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clients: Vec::new(),
            new_grant: Grant::All,
            client_keys: Vec::new(),
            signing_key: None,
            dpop_nonces: false,
            audiences: Vec::new(),
            directory: None,
            lifetime: Duration::from_secs(24 * 60 * 60),
            quota: PlainQuota::default(),
            quotas: None,
            faults_spend_quota: true,
            manners: Manners::default(),
            script: Script::new(),
            clock: Arc::new(SystemClock),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            url: None,
            loopback_only: true,
        }
    }

    /// Registers a client that may have everything, and any scope that it asks for. May be called again for more; the first
    /// is [`Issuer::client_id`](crate::Issuer::client_id). Of two with the same id the later one counts. An empty secret is replaced by a random
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

    /// What a client may have that is new and was registered without more: by [`client_id`](Self::client_id), or because there
    /// was no other. Its tokens have these resources as their `scope`. Without this it may have everything, and any scope.
    pub fn resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Self {
        self.new_grant = Grant::Only(resources.into_iter().collect());
        self
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
    /// there, over restarts; in memory otherwise. One issuer at a time can have it: await [`Issuer::shutdown`](crate::Issuer::shutdown) before the next
    /// one starts.
    ///
    /// Of secrets and API keys only hashes are written: SHA-256, which guards the 256 random bits of those that are made here,
    /// and no password of yours. The signing key cannot be one: without it the tokens of yesterday would be worth nothing. All
    /// files are for this user alone, and a directory that is another user's, or that others can write to, is refused.
    ///
    /// Which assertions and DPoP proofs were used is not kept: in the minutes for which one is good, it can be used once in each
    /// run.
    ///
    /// Give it a fixed port with [`bind`](Self::bind), or a [`url`](Self::url): tokens name it.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Registers a public key, as a JWK, that the client may authenticate with: `private_key_jwt` (RFC 7523 §2.2), by RS256,
    /// PS256, ES256 or EdDSA. May be called again for more keys of the same client. A client that was not registered before
    /// is, as by [`client_id`](Self::client_id).
    ///
    /// An assertion is good once in a run of the issuer: another run on the same [`directory`](Self::directory) takes it again
    /// until it expires.
    pub fn client_key(self, id: impl Into<String>, jwk_json: &str) -> Self {
        let id = id.into();
        let is_known = self.clients.iter().any(|known| known.id == id);
        let mut this = if is_known { self } else { self.client_id(id.clone()) };
        this.client_keys.push((id, jwk_json.to_owned()));
        this
    }

    /// Signs tokens with `key`; [`Issuer::rotate_keys`](crate::Issuer::rotate_keys) puts another one in its place.
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

    /// Serves an audience. May be called again for more; the first is [`Issuer::audience`](crate::Issuer::audience). Tokens for any of them open
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

    /// The body of v2's 403 to a token that lacks the permission, which the vendor documents nowhere; empty if `body` is. The
    /// status and the challenge (RFC 6750 §3.1) stay.
    ///
    /// # Panics
    ///
    /// On a `content_type` that cannot stand in a header.
    #[track_caller]
    pub fn permission_error(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let Ok(content_type) = HeaderValue::from_str(content_type) else {
            panic!("not a content type: {content_type:?}");
        };
        self.manners.permission_error = (content_type, body.into());
        self
    }

    /// Whether the API refuses a request that does not say which version it means: v2 one without `Flexport-Version: 2` (400),
    /// v1 one that does not `Accept` `application/vnd.flexport.v1` (406).
    pub fn demand_versions(mut self, demand: bool) -> Self {
        self.manners.demands_versions = demand;
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

    /// The URL that clients know the issuer by: `https://issuer.test`, where a proxy stands before it, or `http://host:8400`,
    /// where it is bound to all addresses of a machine. It is the `iss` of tokens, stands in the metadata, and is what DPoP
    /// proofs and assertions must name. It has no path, no query and no user; a slash at its end is cut off.
    ///
    /// It changes nothing about where the issuer listens.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Permits [`bind`](Self::bind) an address that other machines can reach. Secrets and tokens go over it without TLS: do
    /// this on no network that you do not own. The settings page and the admin API stay with this machine all the same.
    pub fn allow_non_loopback(mut self) -> Self {
        self.loopback_only = false;
        self
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
            .field("new_grant", &self.new_grant)
            .field("signing_key", &self.signing_key)
            .field("dpop_nonces", &self.dpop_nonces)
            .field("audiences", &self.audiences)
            .field("directory", &self.directory)
            .field("lifetime", &self.lifetime)
            .field("quota", &self.quota)
            .field("quotas", &self.quotas)
            .field("faults_spend_quota", &self.faults_spend_quota)
            .field("manners", &self.manners)
            .field("address", &self.address)
            .field("url", &self.url)
            .field("loopback_only", &self.loopback_only)
            .finish_non_exhaustive()
    }
}
