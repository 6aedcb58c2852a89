//! Who may ask for tokens, and how often.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::quota::{OverQuota, Quota, RollingWindow};

/// The registered clients, by id.
pub(crate) struct Clients {
    quota: Quota,
    by_id: HashMap<String, Client>,
}

struct Client {
    /// SHA-256: of one length whatever the secret's is, so that the comparison tells nothing of it.
    secret: [u8; 32],
    window: Mutex<RollingWindow>,
}

impl Clients {
    pub(crate) fn new(quota: Quota, credentials: &[(String, SecretString)]) -> Self {
        let by_id = credentials
            .iter()
            .map(|(id, secret)| {
                let client = Client { secret: hash(secret), window: Mutex::default() };
                (id.clone(), client)
            })
            .collect();
        Self { quota, by_id }
    }

    /// Spends one of the client's units.
    ///
    /// A client that nobody registered has no quota to exceed: it is refused for what it is.
    ///
    /// # Errors
    ///
    /// When the client has no unit left at `now`.
    pub(crate) fn spend(&self, id: &str, now: SystemTime) -> Result<(), OverQuota> {
        self.by_id.get(id).map_or(Ok(()), |client| {
            client.window.lock().unwrap_or_else(PoisonError::into_inner).spend(self.quota, now)
        })
    }

    /// Whether `id` is registered with `secret`.
    pub(crate) fn knows(&self, id: &str, secret: &SecretString) -> bool {
        let given = hash(secret);
        self.by_id.get(id).is_some_and(|client| client.secret.ct_eq(&given).into())
    }

    /// The ids of all clients.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }
}

fn hash(secret: &SecretString) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.expose_secret().as_bytes()).as_ref());
    hash
}
