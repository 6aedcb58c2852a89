//! Token requests, charged and remembered; and what whoever asks may have.

use std::time::SystemTime;

use super::{Access, Begun, Registry, Uncharged};
use crate::credential::{Credential, Known, Serial};
use crate::kept::{Entry, Kept};
use crate::past::{Cause, Held, Outcome, PastRequest};
use crate::quota::{QuotaHeaders, charge};
use crate::resource::Resource;

impl Registry {
    /// Charges for a token request, and remembers it.
    ///
    /// One that names nobody has no quota to exceed: it is refused for what it is. Where it is not `known` that the one who asks
    /// is the one who is named, nobody can tell why.
    ///
    /// `clock` is read under the lock: a time from before another request's would look like a clock that was set back, to which
    /// a lag hides nothing.
    pub(crate) fn begin(
        &self,
        id: &str,
        audience: &str,
        known: bool,
        is_charged: bool,
        clock: impl FnOnce() -> SystemTime,
    ) -> Begun {
        let mut inner = self.inner();
        let now = clock();
        let Kept { credentials, revoked, .. } = &mut inner.kept;
        let Some(credential) = credentials.get_mut(id) else {
            return Begun { number: None, spent: Ok(QuotaHeaders::default()) };
        };
        let spent = match is_charged {
            true => charge(&mut credential.spends, &self.quota, now),
            false => Ok(QuotaHeaders::default()),
        };
        let cause = match known {
            true => credential.cause(audience, |number| revoked.contains(number), now),
            false => Cause::Unknown,
        };
        let request =
            PastRequest { at: now, cause, outcome: None, spent: is_charged && spent.is_ok() };
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

    /// What may be shown of the client that a request names: its id, if there is one. Whoever has confused the two has sent a
    /// secret as the id.
    pub(crate) fn shown(&self, id: Option<&str>) -> String {
        let id = id.filter(|id| self.inner().kept.credentials.contains_key(*id));
        id.unwrap_or("unknown").to_owned()
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
}
