//! Everybody who may ask: credentials and the legacy key, in memory, and in a directory if there is one.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use secrecy::SecretString;

use crate::admin_error::{AdminError, Kind};
use crate::credential::{Credential, Grant, Known, Serial};
use crate::directory::{Directory, Found};
use crate::hash::SecretHash;
use crate::info::{CredentialInfo, NewCredentials};
use crate::kept::{Entry, Kept, LegacyKey};
use crate::past::{Held, Outcome, PastRequest};
use crate::quota::{OverAnswer, Quota, QuotaHeaders, Standing, WindowLeft, charge};
use crate::random;
use crate::resource::Resource;

/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// The credentials and the key of one issuer.
pub(crate) struct Registry {
    quota: Quota,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kept: Kept,
    directory: Option<Directory>,
}

/// A token request that has been charged for.
pub(crate) struct Begun {
    /// By which to say how it ended; `None` if nobody is registered with its id.
    pub(crate) number: Option<u64>,
    /// What the answer says of the quota.
    pub(crate) spent: Result<QuotaHeaders, Uncharged>,
}

/// Why a token request was not charged, and gets no token.
#[derive(Debug)]
pub(crate) enum Uncharged {
    OverQuota(Box<OverAnswer>),
    /// It could not be written down.
    NotKept,
}

/// What a valid token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Granted,
    /// The resource was not ticked, or not asked for.
    BeyondScope,
    /// Its credential was disabled, or deleted.
    Ended,
}

impl Registry {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, inner: Mutex::default() }
    }

    /// Reads what stands in `path`, and keeps everything there from now on.
    ///
    /// # Errors
    ///
    /// As [`Directory::open`] and [`Directory::replace`].
    pub(crate) fn open(quota: Quota, path: &Path) -> io::Result<Self> {
        let (directory, found) = Directory::open::<Kept, Entry>(path)?;
        let mut inner = Inner::default();
        if let Some(Found { snapshot, entries }) = found {
            inner.kept = snapshot;
            for entry in &entries {
                inner.kept.apply(&quota, entry);
            }
        }
        inner.directory = Some(directory);
        inner.save()?;
        Ok(Self { quota, inner: Mutex::new(inner) })
    }

    /// Whether there is a directory.
    pub(crate) fn is_kept(&self) -> bool {
        self.inner().directory.is_some()
    }

    /// Whether a request that is refused for another reason spends a unit.
    pub(crate) fn counts_failures(&self) -> bool {
        self.quota.counts_failures()
    }

    /// What is left of the quota of `id`; `None` if there is no such credential.
    pub(crate) fn left(&self, id: &str, now: SystemTime) -> Option<Vec<WindowLeft>> {
        let inner = self.inner();
        inner.kept.credentials.get(id).map(|known| known.spends.left(&self.quota, now))
    }

    /// Registers a client as a builder was told to: an id that is there already gets this secret and this grant, as far as
    /// they were given, and keeps its history. A new one without a grant may have everything.
    ///
    /// The secret that was made for a new one without any.
    pub(crate) fn register(
        &self,
        id: &str,
        secret: Option<&str>,
        grant: Option<Grant>,
        now: SystemTime,
    ) -> Result<Option<SecretString>, AdminError> {
        let mut inner = self.inner();
        let mut made = None;
        match inner.kept.credentials.get_mut(id) {
            Some(known) => {
                known.secret = secret.map_or(known.secret, SecretHash::of);
                known.grant = grant.unwrap_or_else(|| known.grant.clone());
            }
            None => {
                let hash = match secret {
                    Some(secret) => SecretHash::of(secret),
                    None => {
                        let secret = random::hex::<32>()?;
                        let hash = SecretHash::of(&secret);
                        made = Some(secret.into());
                        hash
                    }
                };
                let grant = grant.unwrap_or(Grant::All);
                inner.kept.insert(id.to_owned(), id.to_owned(), hash, grant, now);
            }
        }
        inner.save()?;
        Ok(made)
    }

    /// Makes a credential for `resources`.
    pub(crate) fn create(
        &self,
        name: &str,
        resources: impl IntoIterator<Item = Resource>,
        now: SystemTime,
    ) -> Result<NewCredentials, AdminError> {
        let name = name.trim();
        let is_printable = !name.chars().any(|c| c.is_control() || is_format(c));
        if name.is_empty() || name.chars().count() > LONGEST_NAME || !is_printable {
            return Err(Kind::Name.into());
        }
        let (client_id, client_secret) = (random::hex::<16>()?, random::hex::<32>()?);
        let grant = Grant::Only(resources.into_iter().collect());
        let mut inner = self.inner();
        if inner.kept.credentials.values().any(|known| known.name == name) {
            return Err(Kind::NameTaken.into());
        }
        let secret = SecretHash::of(&client_secret);
        inner.kept.insert(client_id.clone(), name.to_owned(), secret, grant, now);
        if let Err(error) = inner.save() {
            inner.kept.credentials.remove(&client_id);
            return Err(error.into());
        }
        Ok(NewCredentials { client_id, client_secret: client_secret.into() })
    }

    /// Enables or disables a credential. A disabled one gets no tokens, and those that it has open nothing meanwhile.
    pub(crate) fn set_enabled(&self, id: &str, is_enabled: bool) -> Result<(), AdminError> {
        self.change(id, |credential| credential.is_enabled = is_enabled)
    }

    /// Gives a credential a new secret, and forgets the old one. Tokens go on.
    pub(crate) fn rotate(&self, id: &str) -> Result<SecretString, AdminError> {
        let secret = random::hex::<32>()?;
        self.change(id, |credential| credential.secret = SecretHash::of(&secret))?;
        Ok(secret.into())
    }

    /// Forgets a credential. Its tokens open nothing from now on.
    pub(crate) fn delete(&self, id: &str) -> Result<(), AdminError> {
        let mut inner = self.inner();
        let gone = inner.kept.credentials.remove(id).ok_or(Kind::Unknown)?;
        inner.kept.spent_by_deleted += gone.spent;
        if let Err(error) = inner.save() {
            inner.kept.spent_by_deleted -= gone.spent;
            inner.kept.credentials.insert(id.to_owned(), gone);
            return Err(error.into());
        }
        Ok(())
    }

    /// Makes the legacy key.
    pub(crate) fn create_key(&self, now: SystemTime) -> Result<SecretString, AdminError> {
        self.new_key(now, false)
    }

    /// Makes another legacy key in the place of the present one, which opens nothing from now on.
    pub(crate) fn revert_key(&self, now: SystemTime) -> Result<SecretString, AdminError> {
        self.new_key(now, true)
    }

    fn new_key(&self, now: SystemTime, is_expected: bool) -> Result<SecretString, AdminError> {
        let key = random::hex::<32>()?;
        let mut inner = self.inner();
        match (inner.kept.key.is_some(), is_expected) {
            (true, false) => return Err(Kind::KeyThere.into()),
            (false, true) => return Err(Kind::NoKey.into()),
            _ => {}
        }
        let new = LegacyKey { hash: SecretHash::of(&key), created: now };
        let old = inner.kept.key.replace(new);
        if let Err(error) = inner.save() {
            inner.kept.key = old;
            return Err(error.into());
        }
        Ok(key.into())
    }

    /// When the present legacy key was made; `None` if there is none.
    pub(crate) fn key_created(&self) -> Option<SystemTime> {
        self.inner().kept.key.as_ref().map(|key| key.created)
    }

    /// Whether `key` is the present legacy key.
    pub(crate) fn knows_key(&self, key: &str) -> bool {
        self.inner().kept.key.as_ref().is_some_and(|known| known.hash.matches(key))
    }

    /// What was kept along with the credentials under this name.
    pub(crate) fn attached(&self, name: &str) -> Option<serde_json::Value> {
        self.inner().kept.attached.get(name).cloned()
    }

    /// Keeps something along with the credentials.
    pub(crate) fn attach(
        &self,
        name: &str,
        value: impl FnOnce() -> serde_json::Value,
    ) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.directory.is_none() {
            return Ok(());
        }
        // As it is now: an older one must not be the last to be written.
        inner.kept.attached.insert(name.to_owned(), value());
        inner.save()
    }

    /// All credentials, the oldest first.
    pub(crate) fn credentials(&self) -> Vec<CredentialInfo> {
        let inner = self.inner();
        inner.kept.in_order().into_iter().map(CredentialInfo::of).collect()
    }

    /// The same, each with how it stands with its quota.
    pub(crate) fn standings(&self, now: SystemTime) -> Vec<(CredentialInfo, Standing)> {
        let inner = self.inner();
        let told = |known: &Credential| {
            (CredentialInfo::of(known), known.spends.standing(&self.quota, now))
        };
        inner.kept.in_order().into_iter().map(told).collect()
    }

    /// The ids of all credentials, the oldest first.
    pub(crate) fn ids(&self) -> Vec<String> {
        let inner = self.inner();
        inner.kept.in_order().into_iter().map(|known| known.client_id.clone()).collect()
    }

    /// How many units all credentials have spent, ever; those that are gone too.
    pub(crate) fn spent(&self) -> u64 {
        let inner = self.inner();
        let spent: u64 = inner.kept.credentials.values().map(|credential| credential.spent).sum();
        spent + inner.kept.spent_by_deleted
    }

    /// How many of these were spent by credentials that are gone.
    pub(crate) fn spent_by_deleted(&self) -> u64 {
        self.inner().kept.spent_by_deleted
    }

    /// Charges for a token request, and remembers it.
    ///
    /// One that names nobody has no quota to exceed: it is refused for what it is.
    pub(crate) fn begin(
        &self,
        id: &str,
        audience: &str,
        is_charged: bool,
        is_revoked: impl FnOnce(u64) -> bool,
        now: SystemTime,
    ) -> Begun {
        let mut inner = self.inner();
        let Some(credential) = inner.kept.credentials.get_mut(id) else {
            return Begun { number: None, spent: Ok(QuotaHeaders::default()) };
        };
        let spent = match is_charged {
            true => charge(&mut credential.spends, &self.quota, now),
            false => Ok(QuotaHeaders::default()),
        };
        let request = PastRequest {
            at: now,
            cause: credential.cause(audience, is_revoked, now),
            outcome: None,
            spent: is_charged && spent.is_ok(),
        };
        let number = Some(credential.begun(request));
        let entry = Entry::Begun { client: id.to_owned(), request };
        if let Err(error) = inner.write_down(&entry) {
            tracing::error!(%error, "a token request could not be written down");
            return Begun { number, spent: Err(Uncharged::NotKept) };
        }
        Begun { number, spent: spent.map_err(Uncharged::OverQuota) }
    }

    /// How a token request ended, and the token that it brought, for an audience.
    pub(crate) fn end(
        &self,
        id: &str,
        number: Option<u64>,
        outcome: Outcome,
        token: Option<(String, Held)>,
    ) {
        let Some(number) = number else { return };
        let mut inner = self.inner();
        let entry = Entry::Ended { client: id.to_owned(), number, outcome, token };
        inner.kept.apply(&self.quota, &entry);
        if let Err(error) = inner.write_down(&entry) {
            tracing::error!(%error, "the end of a token request could not be written down");
        }
    }

    /// Whether `id` is registered with `secret`.
    pub(crate) fn authenticate(&self, id: &str, secret: &str) -> Known {
        let inner = self.inner();
        match inner.kept.credentials.get(id) {
            Some(credential) if credential.secret.matches(secret) => credential.known(),
            _ => Known::No,
        }
    }

    /// How it stands with `id`, which has shown who it is in another way.
    pub(crate) fn known(&self, id: &str) -> Known {
        self.inner().kept.credentials.get(id).map_or(Known::No, Credential::known)
    }

    /// Whether the credential that a token of `id` was issued to is there still, and enabled.
    pub(crate) fn is_enabled(&self, id: &str, serial: Serial) -> bool {
        self.inner().kept.enabled(id, serial).is_some()
    }

    /// What a token of `id` with this `scope` opens of `resource`.
    pub(crate) fn access(
        &self,
        id: &str,
        serial: Serial,
        scope: Option<&str>,
        resource: Resource,
    ) -> Access {
        match self.inner().kept.enabled(id, serial) {
            None => Access::Ended,
            Some(credential) if credential.grant.opens(scope, resource) => Access::Granted,
            Some(_) => Access::BeyondScope,
        }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Credential)) -> Result<(), AdminError> {
        let mut inner = self.inner();
        let credential = inner.kept.credentials.get_mut(id).ok_or(Kind::Unknown)?;
        let old = credential.clone();
        change(credential);
        if let Err(error) = inner.save() {
            inner.kept.credentials.insert(id.to_owned(), old);
            return Err(error.into());
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Characters that turn the direction of the text around them, with which a name could pose as another.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Inner {
    /// Keeps everything as it is now.
    fn save(&mut self) -> io::Result<()> {
        match &mut self.directory {
            Some(directory) => directory.replace(&self.kept),
            None => Ok(()),
        }
    }

    /// Keeps one entry more. A journal that cannot be trusted any more is given up for a snapshot.
    fn write_down(&mut self, entry: &Entry) -> io::Result<()> {
        let Some(directory) = &mut self.directory else { return Ok(()) };
        match directory.append(entry) {
            Ok(false) => Ok(()),
            Ok(true) | Err(_) => directory.replace(&self.kept),
        }
    }
}

#[cfg(test)]
mod tests;
