//! Access tokens: minted and verified. Which of them were revoked is the registry's to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::unix_seconds;
use crate::credential::Serial;
use crate::keyring::{KeyRing, SavedKeys};
use crate::keys::SigningKey;
use crate::past::Held;

/// How many verified tokens are remembered: a debug build spends most of a verification outside of the assembly, and a
/// test sends the same few tokens thousands of times.
const REMEMBERED: usize = 1024;

/// The mint of one issuer.
pub(crate) struct Tokens {
    ring: Mutex<KeyRing>,
    validation: Validation,
    issuer: String,
    audiences: Vec<String>,
    /// Sets this issuer's `jti` apart from that of any other.
    instance: String,
    run: u64,
    lifetime: Duration,
    book: Mutex<Book>,
}

/// What a mint begins with: another one's keys, or its own.
pub(crate) struct Mint {
    ring: KeyRing,
    instance: String,
    run: u64,
    book: Book,
}

/// What is kept of a mint over a restart.
#[derive(Serialize, Deserialize)]
struct SavedMint {
    keys: SavedKeys,
    instance: String,
    /// How often it was started: tokens are numbered anew in each run, above those of the one before.
    run: u64,
    /// How long the tokens of this run live, in seconds.
    lifetime: u64,
}

/// So many tokens can be numbered in one run.
const RUN: u64 = 1 << 40;

impl Mint {
    /// One that has issued nothing yet.
    pub(crate) fn new(key: SigningKey, instance: String) -> Self {
        Self { ring: KeyRing::new(key), instance, run: 0, book: Book::default() }
    }

    /// The one that was [saved](Tokens::saved), in its next run; `None` if that is none.
    pub(crate) fn restored(saved: Value, now: SystemTime) -> Option<Self> {
        let saved: SavedMint = serde_json::from_value(saved).ok()?;
        let run = saved.run.checked_add(1)?;
        let book = Book { minted: run.checked_mul(RUN)?, verified: HashMap::new() };
        // What it signed in that run after it was saved may live for so long.
        let tokens_until = unix_seconds(now).saturating_add(saved.lifetime);
        let ring = KeyRing::restored(&saved.keys, tokens_until)?;
        Some(Self { ring, instance: saved.instance, run, book })
    }

    /// Signs with `key` from now on; those before it verify on.
    pub(crate) fn sign_with(&mut self, key: SigningKey, now: SystemTime, lifetime: Duration) {
        self.ring.rotate(key, now, now, lifetime);
    }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

/// The key that a token is bound to, by its thumbprint (RFC 7800 §3, RFC 9449 §6.1).
#[derive(Debug, Serialize, Deserialize)]
struct Confirmation {
    jkt: String,
}

/// What a new token is to say.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) client: &'a str,
    pub(crate) serial: Serial,
    pub(crate) audience: &'a str,
    pub(crate) scope: Option<&'a str>,
    /// The thumbprint of the key that it is bound to.
    pub(crate) jkt: Option<&'a str>,
}

/// A new token.
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) held: Held,
}

#[derive(Default)]
struct Book {
    minted: u64,
    verified: HashMap<Box<str>, Verified>,
}

/// A token of this issuer, and what of it can change its standing.
#[derive(Clone)]
pub(crate) struct Verified {
    /// Whom it was issued to.
    pub(crate) client: Arc<str>,
    pub(crate) serial: Serial,
    pub(crate) scope: Option<Arc<str>>,
    /// The thumbprint of the key that it is bound to.
    pub(crate) jkt: Option<Arc<str>>,
    /// Whether it is for an audience that this run serves, and in the name that it goes by. Another run may be the one.
    is_served: bool,
    kid: Arc<str>,
    pub(crate) number: u64,
    /// In Unix seconds.
    pub(crate) expires_at: u64,
}

impl Tokens {
    /// The name that it is kept under.
    pub(crate) const NAME: &'static str = "tokens";

    /// What is to be kept of it.
    pub(crate) fn saved(&self) -> Value {
        let keys = self.ring().saved();
        let (instance, run, lifetime) = (self.instance.clone(), self.run, self.lifetime.as_secs());
        let saved = SavedMint { keys, instance, run, lifetime };
        // Strings and numbers always serialise.
        serde_json::to_value(saved).unwrap_or_default()
    }

    pub(crate) fn new(
        mint: Mint,
        issuer: String,
        audiences: &[String],
        lifetime: Duration,
    ) -> Self {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Both are looked at here: a token of another run is to be known all the same.
        validation.validate_aud = false;
        // The library would ask the machine's clock, and be lenient.
        validation.validate_exp = false;
        let Mint { ring, instance, run, book } = mint;
        let (ring, book) = (Mutex::new(ring), Mutex::new(book));
        let audiences = audiences.to_vec();
        Self { ring, validation, issuer, audiences, instance, run, lifetime, book }
    }

    /// How long a token lives.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new token; `None` if it cannot be signed.
    pub(crate) fn mint(&self, wanted: &Wanted<'_>, now: SystemTime) -> Option<Minted> {
        let number = {
            let mut book = self.book();
            book.minted += 1;
            book.minted
        };
        let iat = unix_seconds(now);
        let exp = iat.saturating_add(self.lifetime.as_secs());
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: format!("{}@clients", wanted.client),
            aud: wanted.audience.to_owned(),
            iat,
            exp,
            azp: wanted.client.to_owned(),
            gty: "client-credentials".to_owned(),
            jti: format!("{}-{}-{number}", self.instance, wanted.serial.0),
            scope: wanted.scope.map(str::to_owned),
            cnf: wanted.jkt.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
        };
        let key = self.ring().signer(exp);
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(key.kid().to_owned());
        let token = jsonwebtoken::encode(&header, &claims, key.encoding()).ok()?;
        // A lifetime beyond the end of time is one that does not end.
        let expires_at = now.checked_add(self.lifetime).unwrap_or(now);
        Some(Minted { token, held: Held { number, issued_at: now, expires_at } })
    }

    /// The token, if it lives at `now`: signed here, for this API, not expired. Whether the request may
    /// carry it, if it is bound to a key, is to be seen still.
    pub(crate) fn unexpired(&self, token: &str, now: SystemTime) -> Option<Verified> {
        let verified = self.verify(token)?;
        let is_alive = verified.expires_at > unix_seconds(now);
        (verified.is_served && is_alive).then_some(verified)
    }

    /// The token, dead or alive, of this run or an earlier one; `None` if it is not one of this issuer's.
    pub(crate) fn known(&self, token: &str) -> Option<Verified> {
        self.verify(token)
    }

    /// The number that the next token will have.
    pub(crate) fn next(&self) -> u64 {
        self.book().minted + 1
    }

    /// The number of the next signing key, which nobody else gets.
    pub(crate) fn order_key(&self) -> usize {
        self.ring().order()
    }

    /// Signs with `key` from now on; see [`KeyRing::rotate`].
    pub(crate) fn rotate(&self, key: SigningKey, now: SystemTime, over: SystemTime) {
        self.ring().rotate(key, now, over, self.lifetime);
    }

    /// Takes away all keys but the one that signs.
    pub(crate) fn retire_keys(&self) {
        self.ring().retire();
    }

    /// The public keys whose tokens may live at `now`.
    pub(crate) fn published(&self, now: SystemTime) -> Vec<Value> {
        self.ring().published(now)
    }

    /// Checks all that does not change with time: key, signature and shape; and looks whether issuer and audience are those
    /// of this run.
    fn verify(&self, token: &str) -> Option<Verified> {
        let known = self.book().verified.get(token).cloned();
        if let Some(known) = known {
            // Its key may be gone by now.
            return self.ring().verifier(&known.kid).is_some().then_some(known);
        }
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = self.ring().verifier(&kid)?.clone();
        let decoded = jsonwebtoken::decode::<Claims>(token, key.decoding(), &self.validation);
        let claims = decoded.ok()?.claims;
        let (rest, number) = claims.jti.rsplit_once('-')?;
        let (instance, serial) = rest.rsplit_once('-')?;
        if instance != self.instance {
            return None;
        }
        let is_served = claims.iss == self.issuer && self.audiences.contains(&claims.aud);
        let verified = Verified {
            is_served,
            client: claims.azp.into(),
            serial: Serial(serial.parse().ok()?),
            scope: claims.scope.map(Arc::from),
            jkt: claims.cnf.map(|cnf| cnf.jkt.into()),
            kid: kid.into(),
            number: number.parse().ok()?,
            expires_at: claims.exp,
        };
        let mut book = self.book();
        if book.verified.len() >= REMEMBERED {
            book.verified.clear();
        }
        book.verified.insert(token.into(), verified.clone());
        Some(verified)
    }

    /// Never locked together with the ring.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) -> MutexGuard<'_, KeyRing> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
