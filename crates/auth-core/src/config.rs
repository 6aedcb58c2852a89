//! From what a user writes down to an authenticator: checked once, at the earliest moment.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;
use std::{fmt, mem};

use http::StatusCode;

use crate::advice;
use crate::authenticator::Authenticator;
use crate::cell::Cell;
use crate::clock::{Clock, SystemClock};
use crate::credentials::{Checked, ClientCredentials};
use crate::error::ConfigError;
use crate::events::Hub;
use crate::fingerprint::Fingerprint;
use crate::origin::{Origin, Origins};
use crate::profile::Profile;
use crate::quota::Quota;
use crate::renewal::{Credentials, Found, OpenFlights, Renewal};
use crate::store::{LedgerKey, Store};
use crate::sync::atomic::AtomicU64;
use crate::wire::Transport;
use crate::wire::endpoint::HttpUrl;
use crate::wire::parameters::Parameters;
use crate::wire::response::QuotaRefusal;

const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// The slack of the shortest windows, 60 s, must cover the way to the issuer.
const DEADLINES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(50);

impl Authenticator {
    /// Begins to configure one; see [`Builder`] for what there is to choose.
    pub fn builder(credentials: ClientCredentials) -> Builder {
        Builder::new(credentials)
    }
}

/// Configures an [`Authenticator`].
///
/// # Defaults
///
/// | setting | default |
/// |---|---|
/// | [`store`](Self::store) | none: it must be chosen |
/// | [`transport`](Self::transport) | none: it must be chosen |
/// | [`profile`](Self::profile) | [`Profile::generic`] |
/// | [`quota`](Self::quota) | the profile's: `Quota::per_day(10)` unless it says otherwise |
/// | [`quota_refusal`](Self::quota_refusal) | the profile's, besides status 429, `too_many_requests` and `slow_down` |
/// | [`origin`](Self::origin) | the audience's if that is an absolute URL, or else those of the resources that are; otherwise one must be named |
/// | [`name`](Self::name) | the client id |
/// | [`deadline`](Self::deadline) | 10 s |
/// | [`default_lifetime`](Self::default_lifetime) | none: a token that does not say how long it lives is an error |
/// | [`insecure_loopback`](Self::insecure_loopback) | `false` |
/// | [`clock`](Self::clock) | [`SystemClock`] |
/// | [`header_copies`](Self::header_copies) | one for each CPU; one if there are more than 64 authenticators in the process |
#[must_use = "nothing happens until `build` is called"]
pub struct Builder {
    credentials: ClientCredentials,
    store: Option<Store>,
    transport: Option<Arc<dyn Transport>>,
    profile: Profile,
    quota: Option<Quota>,
    quota_refusals: Vec<(u16, String)>,
    origins: Vec<String>,
    name: Option<String>,
    deadline: Duration,
    default_lifetime: Option<Duration>,
    insecure_loopback: bool,
    clock: Option<Arc<dyn Clock>>,
    header_copies: Option<NonZeroUsize>,
}

impl Builder {
    pub(crate) fn new(credentials: ClientCredentials) -> Self {
        Self {
            credentials,
            store: None,
            transport: None,
            profile: Profile::generic(),
            quota: None,
            quota_refusals: Vec::new(),
            origins: Vec::new(),
            name: None,
            deadline: DEFAULT_DEADLINE,
            default_lifetime: None,
            insecure_loopback: false,
            clock: None,
            header_copies: None,
        }
    }

    /// Where the ledger is kept, and with it the tokens that are shared.
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// What carries token requests to the issuer. The adapter crates have ready-made ones.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// What is known of the issuer: its endpoint, how it wants to be spoken to, its quota and its words for it. What is set
    /// on the credentials or here counts before the profile, in whatever order.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How many token requests the issuer allows.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Says how this issuer refuses when its quota is spent, if not with status 429 or the error `too_many_requests` or
    /// `slow_down`: with this status, and with this text somewhere in the body, in upper or lower case; an empty text fits
    /// every body. May be called several times.
    pub fn quota_refusal(mut self, status: u16, text: impl Into<String>) -> Self {
        self.quota_refusals.push((status, text.into()));
        self
    }

    /// One more origin that the token may be sent to: any URL of it, such as `https://api.example`. Naming one replaces the
    /// audience's.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// What errors, logs and the status call this credential.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long one token request may take, from the connection to the last byte: 100 ms to 50 s. A deadline that comes
    /// while the transport still connects costs a unit, so keep it above the time that the transport allows for that.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long a token lives when neither the answer (`expires_in`) nor the token (`exp`) says so.
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = Some(lifetime);
        self
    }

    /// Allows plain `http` for a token endpoint and for origins on loopback: for an issuer in a test or on a laptop.
    pub fn insecure_loopback(mut self, allow: bool) -> Self {
        self.insecure_loopback = allow;
        self
    }

    /// Where time comes from.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// How many copies of the `Authorization` header are kept, each with a reference count of its own, so that threads on
    /// different CPUs do not wait for each other's: at most 64, and a power of two of them. The token's text is there once.
    pub fn header_copies(mut self, copies: NonZeroUsize) -> Self {
        self.header_copies = Some(copies);
        self
    }

    /// Checks everything. Sends nothing, and needs no runtime. A secret that is in a file or behind a command is read here, which
    /// blocks.
    ///
    /// # Errors
    ///
    /// Names the setting that is missing or wrong.
    pub fn build(mut self) -> Result<Authenticator, ConfigError> {
        let Some(store) = self.store.take() else {
            return Err(ConfigError::new(
                "store",
                "is not chosen; `Store::file(directory)` keeps the ledger over restarts, `Store::memory()` as long as the process lives",
            ));
        };
        let Some(transport) = self.transport.take() else {
            return Err(ConfigError::new(
                "transport",
                "is not chosen; the adapter crates have ready-made ones",
            ));
        };
        let quota = self.quota.take().unwrap_or_else(|| self.profile.quota.clone());
        quota.check()?;
        let mut quota_refusals = mem::take(&mut self.quota_refusals);
        quota_refusals.extend(self.profile.quota_refusals.iter().cloned());
        let quota_refusals =
            quota_refusals.into_iter().map(quota_refusal).collect::<Result<_, _>>()?;
        if !DEADLINES.contains(&self.deadline) {
            return Err(ConfigError::new("deadline", "must be between 100 ms and 50 s"));
        }
        if self.default_lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            return Err(ConfigError::new(
                "default_lifetime",
                "is zero: no token could ever be used",
            ));
        }
        let credentials = self.credentials.clone().filled(&self.profile);
        let Checked { mut request, dpop, source, sealing, doubts } =
            credentials.check(self.insecure_loopback, &self.profile)?;
        let origins = self.bound_origins(&request.parameters)?;
        let name = self.name.take().unwrap_or_else(|| request.client.id.clone());
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(ConfigError::new("name", "is empty or has control characters in it"));
        }
        let dpop = dpop.map(|dpop| Arc::new(dpop.with_origins(origins.as_slice().len())));
        request.dpop.clone_from(&dpop);
        let key = LedgerKey::new(&request.at.name(), &request.client.id);
        let credentials = Credentials::new(request, source, sealing);
        if !store.cell().is_durable() {
            warn_once_of_memory();
        } else if !credentials.is_shared() {
            return Err(ConfigError::new(
                "sealing_key",
                "is missing: this client has no secret that the tokens in the store could be sealed with; give it 128 random \
                 bits or more, the same in every process",
            ));
        } else if credentials.is_guessable() {
            tracing::warn!(
                credential = %name,
                "the client secret is shorter than 22 characters: whoever gets hold of the state could find it by guessing, \
                 and with it the tokens"
            );
        }
        for doubt in doubts {
            tracing::warn!(credential = %name, "{doubt}");
        }
        let is_system_clock = self.clock.is_none();
        let clock = self.clock.take().unwrap_or_else(|| Arc::new(SystemClock));
        let identity = credentials.now().identity;
        let name: Arc<str> = name.into();
        let renewal = Renewal {
            hub: Hub::default(),
            name,
            cell: Cell::new(store, key),
            credentials,
            dpop,
            metadata: Found::default(),
            insecure_loopback: self.insecure_loopback,
            gives_jwts: self.profile.gives_jwts,
            warned: advice::Once::new(),
            quota,
            quota_refusals,
            transport,
            clock: clock.clone(),
            deadline: self.deadline,
            default_lifetime: self.default_lifetime,
            open: OpenFlights::default(),
            step: AtomicU64::new(0),
        };
        let copies = self.header_copies.map(NonZeroUsize::get);
        let jitter = jitter(identity.request);
        Ok(Authenticator::new(renewal, clock, origins, jitter, copies, is_system_clock))
    }

    fn bound_origins(&mut self, parameters: &Parameters) -> Result<Origins, ConfigError> {
        let parse = |field, text: &str| {
            HttpUrl::parse(field, text, self.insecure_loopback).map(|url| Origin::of_url(&url))
        };
        let named = mem::take(&mut self.origins);
        if !named.is_empty() {
            let origins = named.iter().map(|text| parse("origin", text));
            return origins.collect::<Result<_, _>>().map(Origins::new);
        }
        if let Some(audience) = parameters.audience.as_deref() {
            if audience.contains("://") {
                return Ok(Origins::new(vec![parse("audience", audience)?]));
            }
        } else {
            let is_http = |resource: &&String| {
                resource.split_once("://").is_some_and(|(scheme, _)| {
                    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
                })
            };
            let resources = parameters.resources.iter().filter(is_http);
            let origins: Vec<_> =
                resources.map(|text| parse("resource", text)).collect::<Result<_, _>>()?;
            if !origins.is_empty() {
                return Ok(Origins::new(origins));
            }
        }
        Err(ConfigError::new(
            "origin",
            "is missing: the audience is no URL, so say where the token may be sent, such as https://api.example",
        ))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("credentials", &self.credentials)
            .field("store", &self.store)
            .field("quota", &self.quota)
            .field("origins", &self.origins)
            .field("name", &self.name)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A status below 400 is no refusal, and 401 says that the client is not known.
fn quota_refusal((status, text): (u16, String)) -> Result<QuotaRefusal, ConfigError> {
    match StatusCode::from_u16(status) {
        Ok(status) if status.as_u16() >= 400 && status != StatusCode::UNAUTHORIZED => {
            Ok(QuotaRefusal { status, text })
        }
        _ => Err(ConfigError::new(
            "quota_refusal",
            format!("{status} is no status of a refusal: it must be 400 or more, and not 401"),
        )),
    }
}

fn warn_once_of_memory() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "the token ledger is kept in memory: a restart forgets what was spent, so a process that restarts in a loop \
             spends a token request with every start"
        );
    });
}

/// In 0..=1; the same for one request as long as the process lives, and another in every other process.
fn jitter(request: Fingerprint) -> f64 {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| u64::from_le_bytes(crate::id::random_bytes()));
    let [a, b, c, d, e, f, g, h, ..] = *request.as_bytes();
    let mixed = *PROCESS ^ u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
