//! The credential as it is now, and what is derived from it. A secret that is rotated makes another one.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::BootTime;
use crate::hold::Identity;
use crate::preflight;
use crate::seal::Keys;
use crate::secret::ClientSecret;
use crate::source::SecretSource;
use crate::sync::{Mutex, MutexGuard, PoisonError, timeout};
use crate::wire::request::TokenRequest;

/// A source that is slower than this has nothing to say; the secret at hand is used.
const PATIENCE: Duration = Duration::from_secs(6);

/// How often a source is asked while the issuer refuses the secret that it gave.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How long a source is not believed after a secret that was rotated was refused as well; four times as long with each that
/// follows, up to a day. A source that has another secret at every look would cost a unit at every look.
const DISTRUST: Duration = Duration::from_secs(30 * 60);
const LONGEST_DISTRUST: Duration = Duration::from_secs(24 * 60 * 60);

/// A request for a token, with the keys and the identity that go with its secret.
pub(crate) struct Credential {
    pub(crate) request: TokenRequest,
    pub(crate) keys: Keys,
    pub(crate) identity: Identity,
}

impl Credential {
    fn new(request: TokenRequest, sealing: Option<&ClientSecret>) -> Self {
        let keys = keys(&request, sealing);
        let identity =
            Identity { request: request.fingerprint(&keys), credential: request.credential(&keys) };
        Self { request, keys, identity }
    }
}

/// What tokens are sealed with: what the user says, or else the secret, or what the private key has for it; or else something that no
/// other process knows.
fn keys(request: &TokenRequest, sealing: Option<&ClientSecret>) -> Keys {
    static PROCESS: LazyLock<[u8; 32]> = LazyLock::new(crate::id::random_bytes);
    let client = &request.client;
    if let Some(secret) = sealing.or(client.secret.as_ref()) {
        return Keys::derive(secret.expose().as_bytes());
    }
    match client.signer.as_ref().and_then(|signer| signer.derivation_secret()) {
        Some(secret) => Keys::derive(&secret),
        None => Keys::derive(&*PROCESS),
    }
}

/// When to look whether the secret has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Look {
    /// Before a token request: at files.
    Before(BootTime),
    /// The issuer has just refused the secret: everywhere.
    Refused(BootTime),
    /// The issuer refused the secret some time ago: everywhere, and not often.
    Held(BootTime),
    /// The user asks: everywhere.
    ByHand,
}

/// How far a source is believed.
#[derive(Default)]
struct Trust {
    /// When it was last asked while the secret was held.
    asked: Option<BootTime>,
    /// The secrets in a row that were rotated and refused, and when the last was looked for.
    refused: u32,
    looked: Option<BootTime>,
}

impl Trust {
    fn may_look(&mut self, when: Look) -> bool {
        let (now, is_held) = match when {
            Look::ByHand => return true,
            Look::Before(now) | Look::Refused(now) => (now, false),
            Look::Held(now) => (now, true),
        };
        let within = |since: Option<BootTime>, pause: Duration| {
            since.and_then(|since| now.since(since)).is_some_and(|ago| ago < pause)
        };
        if self.refused > 0 {
            let pause = DISTRUST * 4_u32.saturating_pow((self.refused - 1).min(4));
            if within(self.looked, pause.min(LONGEST_DISTRUST)) {
                return false;
            }
        }
        if is_held {
            if within(self.asked, ASK_AGAIN) {
                return false;
            }
            self.asked = Some(now);
        }
        self.looked = Some(now);
        true
    }
}

impl Rotation {
    // Nothing under this lock can panic half-way.
    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The credential that is in use, and where its secret comes from.
pub(crate) struct Credentials {
    now: Mutex<Arc<Credential>>,
    /// None for a secret that cannot change.
    rotation: Option<Box<Rotation>>,
    sealing: Option<ClientSecret>,
}

/// Where the next secret comes from.
struct Rotation {
    source: SecretSource,
    trust: Mutex<Trust>,
}

impl Credentials {
    pub(crate) fn new(
        request: TokenRequest,
        source: Option<SecretSource>,
        sealing: Option<ClientSecret>,
    ) -> Self {
        let credential = Credential::new(request, sealing.as_ref());
        // One that cannot change is not asked.
        let rotation = source
            .filter(|source| !source.is_literal())
            .map(|source| Box::new(Rotation { source, trust: Mutex::default() }));
        Self { now: Mutex::new(Arc::new(credential)), rotation, sealing }
    }

    pub(crate) fn now(&self) -> Arc<Credential> {
        self.lock().clone()
    }

    /// Whether the tokens in a store can be opened by other processes.
    pub(crate) fn is_shared(&self) -> bool {
        let now = self.now();
        let client = &now.request.client;
        self.sealing.is_some()
            || client.secret.is_some()
            || client.signer.as_ref().is_some_and(|signer| signer.derivation_secret().is_some())
    }

    /// Whether they can be opened by whoever guesses a short secret.
    pub(crate) fn is_guessable(&self) -> bool {
        let now = self.now();
        let secret = self.sealing.as_ref().or(now.request.client.secret.as_ref());
        secret.is_some_and(ClientSecret::is_guessable)
    }

    /// Reads the source again; whether the secret has changed. What cannot be read, or is no secret, changes nothing.
    pub(crate) async fn look(&self, name: &str, when: Look) -> bool {
        let Some(rotation) = &self.rotation else { return false };
        let source = &rotation.source;
        let is_idle = matches!(when, Look::Before(_)) && !source.is_file();
        if is_idle || !rotation.trust().may_look(when) {
            return false;
        }
        let blocking = source.clone();
        let read = tokio::task::spawn_blocking(move || blocking.read());
        let read = match timeout(PATIENCE, read).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err(format!("{source:?} cannot be read: the reader panicked")),
            Err(_) => Err(format!("{source:?} cannot be read in time")),
        };
        let checked = read.and_then(|secret| {
            let check = preflight::secret("client_secret", secret.expose());
            check.map(|()| secret).map_err(|error| error.to_string())
        });
        match checked {
            Ok(secret) => self.put(secret),
            Err(problem) => {
                tracing::warn!(
                    credential = name,
                    problem,
                    "the secret is not read again; the one at hand is used"
                );
                false
            }
        }
    }

    fn put(&self, secret: ClientSecret) -> bool {
        let mut now = self.lock();
        if now.request.client.secret.as_ref().is_some_and(|held| held.is(&secret)) {
            return false;
        }
        let mut request = now.request.clone();
        request.client.secret = Some(secret);
        *now = Arc::new(Credential::new(request, self.sealing.as_ref()));
        true
    }

    /// A secret that was rotated was refused as well.
    pub(crate) fn refused_again(&self) {
        if let Some(rotation) = &self.rotation {
            let mut trust = rotation.trust();
            trust.refused = trust.refused.saturating_add(1);
        }
    }

    /// A token came.
    pub(crate) fn accepted(&self) {
        if let Some(rotation) = &self.rotation {
            rotation.trust().refused = 0;
        }
    }

    /// How long a look may take.
    pub(crate) fn patience(&self) -> Duration {
        if self.rotation.is_some() { PATIENCE } else { Duration::ZERO }
    }

    // The only change is a single store, so a poisoned lock is as good as new.
    fn lock(&self) -> MutexGuard<'_, Arc<Credential>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
