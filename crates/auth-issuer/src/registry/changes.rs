//! Credentials and the legacy key, made and changed: what cannot be written down does not happen.

use std::time::SystemTime;

use secrecy::SecretString;

use super::{Registry, name};
use crate::admin_error::{AdminError, Kind};
use crate::credential::{Credential, Grant};
use crate::hash::SecretHash;
use crate::info::NewCredentials;
use crate::kept::LegacyKey;
use crate::random;
use crate::resource::Resource;

impl Registry {
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
        // Whoever names nobody would be this one.
        if id.is_empty() {
            return Err(Kind::EmptyId.into());
        }
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
        let name = name::shown(name).ok_or(Kind::Name)?;
        let (client_id, client_secret) = (random::hex::<16>()?, random::hex::<32>()?);
        let grant = Grant::Only(resources.into_iter().collect());
        let mut inner = self.inner();
        if inner.kept.credentials.values().any(|known| name::look_alike(&known.name, &name)) {
            return Err(Kind::NameTaken.into());
        }
        let secret = SecretHash::of(&client_secret);
        inner.kept.insert(client_id.clone(), name, secret, grant, now);
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
}
