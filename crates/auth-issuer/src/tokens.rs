//! Access tokens: minted, verified, revoked.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::clock::unix_seconds;
use crate::keys::SigningKey;
use crate::past::Held;

/// How many verified tokens are remembered: a debug build spends most of a verification outside of the assembly, and a
/// test sends the same few tokens thousands of times.
const REMEMBERED: usize = 1024;

/// The mint of one issuer.
pub(crate) struct Tokens {
    /// The last one signs. The others verify what they have signed.
    keys: RwLock<Vec<Arc<SigningKey>>>,
    validation: Validation,
    issuer: String,
    /// Sets this issuer's `jti` apart from that of any other.
    instance: String,
    lifetime: Duration,
    book: Mutex<Book>,
}

/// What a token says (RFC 7519 §4, RFC 9068 §2.2, and Auth0's `azp` and `gty`).
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: u64,
    exp: u64,
    azp: String,
    gty: String,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

#[derive(Default)]
struct Book {
    minted: u64,
    /// All tokens with a smaller number are revoked.
    revoked_below: u64,
    revoked: HashSet<u64>,
    verified: HashMap<Box<str>, Verified>,
}

/// What a token says that was signed here.
#[derive(Clone)]
pub(crate) struct Verified {
    number: u64,
    expires_at: u64,
    pub(crate) client: Arc<str>,
    pub(crate) scope: Option<Arc<str>>,
}

/// A new token.
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) held: Held,
}

impl Tokens {
    pub(crate) fn new(
        key: Arc<SigningKey>,
        issuer: String,
        audiences: &[String],
        instance: String,
        lifetime: Duration,
    ) -> Self {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The library would ask the machine's clock, and be lenient.
        validation.validate_exp = false;
        let keys = RwLock::new(vec![key]);
        Self { keys, validation, issuer, instance, lifetime, book: Mutex::default() }
    }

    /// How long a token lives.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new token for `client`; `None` if it cannot be signed.
    pub(crate) fn mint(
        &self,
        client: &str,
        audience: &str,
        scope: Option<&str>,
        now: SystemTime,
    ) -> Option<Minted> {
        let number = {
            let mut book = self.book();
            book.minted += 1;
            book.minted
        };
        let iat = unix_seconds(now);
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: format!("{client}@clients"),
            aud: audience.to_owned(),
            iat,
            exp: iat.saturating_add(self.lifetime.as_secs()),
            azp: client.to_owned(),
            gty: "client-credentials".to_owned(),
            jti: format!("{}-{number}", self.instance),
            scope: scope.map(str::to_owned),
        };
        let key = self.key(<[_]>::last)?;
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(key.kid.clone());
        let token = jsonwebtoken::encode(&header, &claims, &key.encoding).ok()?;
        // A lifetime beyond the end of time is one that does not end.
        let expires_at = now.checked_add(self.lifetime).unwrap_or(now);
        Some(Minted { token, held: Held { number, issued_at: now, expires_at } })
    }

    /// Signs with a new key from now on. Tokens of the former ones stay as valid as they are.
    ///
    /// The key is made on the spot, which takes some hundred milliseconds; if it cannot be made, the last one stays.
    pub(crate) fn rotate(&self) {
        match SigningKey::generate() {
            Some(key) => {
                self.keys.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(key));
            }
            None => tracing::warn!("no new key can be made"),
        }
    }

    fn key<F>(&self, choose: F) -> Option<Arc<SigningKey>>
    where
        F: FnOnce(&[Arc<SigningKey>]) -> Option<&Arc<SigningKey>>,
    {
        choose(&self.keys.read().unwrap_or_else(PoisonError::into_inner)).cloned()
    }

    /// What `token` says, if it is valid at `now`: signed here, for an audience of this issuer, neither expired nor revoked.
    pub(crate) fn open(&self, token: &str, now: SystemTime) -> Option<Verified> {
        let verified = self.verify(token)?;
        let is_valid = verified.expires_at > unix_seconds(now) && !self.is_revoked(verified.number);
        is_valid.then_some(verified)
    }

    /// Whether the token of this number was revoked.
    pub(crate) fn is_revoked(&self, number: u64) -> bool {
        let book = self.book();
        number < book.revoked_below || book.revoked.contains(&number)
    }

    /// Makes `token` invalid from now on; false if it is not one of this issuer's.
    pub(crate) fn revoke(&self, token: &str) -> bool {
        let Some(verified) = self.verify(token) else { return false };
        self.book().revoked.insert(verified.number);
        true
    }

    /// Makes every token minted so far invalid.
    pub(crate) fn revoke_all(&self) {
        let mut book = self.book();
        book.revoked_below = book.minted + 1;
        book.revoked.clear();
    }

    /// Checks all that cannot change: signature, issuer, audience and shape.
    fn verify(&self, token: &str) -> Option<Verified> {
        if let Some(verified) = self.book().verified.get(token) {
            return Some(verified.clone());
        }
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = self.key(|keys| keys.iter().find(|key| key.kid == kid))?;
        let claims =
            jsonwebtoken::decode::<Claims>(token, &key.decoding, &self.validation).ok()?.claims;
        let (instance, number) = claims.jti.rsplit_once('-')?;
        if instance != self.instance {
            return None;
        }
        let verified = Verified {
            number: number.parse().ok()?,
            expires_at: claims.exp,
            client: claims.azp.into(),
            scope: claims.scope.map(Arc::from),
        };
        let mut book = self.book();
        if book.verified.len() >= REMEMBERED {
            book.verified.clear();
        }
        book.verified.insert(token.into(), verified.clone());
        Some(verified)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
