//! What is kept of all credentials, and the lines by which it grows.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::credential::{Credential, Grant};
use crate::hash::SecretHash;
use crate::past::{Held, Outcome, PastRequest};
use crate::quota::Quota;

/// The state of a registry.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) credentials: HashMap<String, Credential>,
    next: u64,
    pub(crate) key: Option<LegacyKey>,
    /// What others keep along with it, by name.
    #[serde(default)]
    pub(crate) attached: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct LegacyKey {
    pub(crate) hash: SecretHash,
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
                    // It was permitted by the rule of its time. If today's is stricter, the window is full anyhow.
                    let _ = credential.spends.spend(quota, request.at);
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
        }
    }
}
