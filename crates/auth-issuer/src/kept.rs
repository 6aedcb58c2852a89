//! What is kept of all credentials, and the lines by which it grows.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::credential::{Credential, Grant, Serial};
use crate::hash::SecretHash;
use crate::moment;
use crate::past::{Held, Outcome, PastRequest};
use crate::quota::Quota;
use crate::revoked::Revoked;

/// The state of a registry.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) credentials: HashMap<String, Credential>,
    next: u64,
    pub(crate) key: Option<LegacyKey>,
    /// How many units were spent by credentials that are gone.
    #[serde(default)]
    pub(crate) spent_by_deleted: u64,
    pub(crate) revoked: Revoked,
    /// What others keep along with it, by name.
    #[serde(default)]
    pub(crate) attached: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct LegacyKey {
    pub(crate) hash: SecretHash,
    #[serde(with = "moment::stored")]
    pub(crate) created: SystemTime,
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A token request of `client` was charged.
    Begun { client: String, request: PastRequest },
    /// How it ended, and the token that it brought, for an audience.
    Ended { client: String, number: u64, outcome: Outcome, token: Option<(String, Held)> },
    /// The token of this number was revoked, which is dead then anyhow, in Unix seconds.
    Revoked { number: u64, expires_at: u64 },
    /// All tokens with a smaller number were.
    RevokedBelow { number: u64 },
}

impl Kept {
    pub(crate) fn insert(
        &mut self,
        id: String,
        name: String,
        secret: SecretHash,
        grant: Grant,
        now: SystemTime,
    ) {
        let credential = Credential::new(id.clone(), name, secret, grant, self.next, now);
        self.next += 1;
        self.credentials.insert(id, credential);
    }

    /// The credential that a token of `id` was issued to, if it is there still, and enabled.
    pub(crate) fn enabled(&self, id: &str, serial: Serial) -> Option<&Credential> {
        let is_it = |known: &&Credential| known.is_enabled && known.number == serial.0;
        self.credentials.get(id).filter(is_it)
    }

    /// The credentials, the oldest first.
    pub(crate) fn in_order(&self) -> Vec<&Credential> {
        let mut credentials: Vec<&Credential> = self.credentials.values().collect();
        credentials.sort_unstable_by_key(|credential| credential.number);
        credentials
    }

    /// Does what an entry says. One about a credential that is gone says nothing.
    pub(crate) fn apply(&mut self, quota: &Quota, entry: &Entry) {
        match entry {
            Entry::Begun { client, request } => {
                let Some(credential) = self.credentials.get_mut(client) else { return };
                if request.spent {
                    credential.spends.restore(quota, request.at);
                }
                credential.begun(*request);
            }
            Entry::Ended { client, number, outcome, token } => {
                let Some(credential) = self.credentials.get_mut(client) else { return };
                credential.ended(*number, *outcome);
                if let Some((audience, held)) = token {
                    credential.holds(audience, *held);
                }
            }
            Entry::Revoked { number, expires_at } => self.revoked.insert(*number, *expires_at),
            Entry::RevokedBelow { number } => self.revoked.insert_below(*number),
        }
    }
}
