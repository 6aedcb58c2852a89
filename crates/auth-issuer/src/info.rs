//! What is told of credentials to whoever runs the issuer.

use std::fmt;
use std::time::SystemTime;

use secrecy::{ExposeSecret as _, SecretString};

use crate::credential::{Credential, Grant};
use crate::past::PastRequest;
use crate::resource::Resource;

/// A new credential. This is the only time that its secret can be read: what is kept is a hash.
#[derive(Debug, Clone)]
pub struct NewCredentials {
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretString,
}

impl NewCredentials {
    /// The client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client secret.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        self.client_secret.expose_secret()
    }
}

/// A credential as it is now; see [`Issuer::credentials`](crate::Issuer::credentials).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CredentialInfo {
    /// The client id.
    pub client_id: String,
    /// The name that it was given; the id, if the builder made it.
    pub name: String,
    /// What it opens.
    pub resources: Vec<Resource>,
    /// Whether it gets tokens, and they open anything.
    pub is_enabled: bool,
    /// When it was made.
    pub created: SystemTime,
    /// How many units of the quota it has spent, ever.
    pub spent: u64,
    /// Its last token requests, at most 50, the last one first.
    pub requests: Vec<PastRequest>,
}

impl CredentialInfo {
    pub(crate) fn of(credential: &Credential) -> Self {
        Self {
            client_id: credential.client_id.clone(),
            name: credential.name.clone(),
            resources: match &credential.grant {
                Grant::All => Resource::ALL.to_vec(),
                Grant::Only(resources) => resources.iter().copied().collect(),
            },
            is_enabled: credential.is_enabled,
            created: credential.created,
            spent: credential.spent,
            requests: credential.requests(),
        }
    }
}

impl fmt::Display for CredentialInfo {
    /// A line each for the credential and for its token requests: what an assertion about them prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {} spent", self.name, self.client_id, self.spent)?;
        for request in &self.requests {
            let at = crate::clock::unix_seconds(request.at);
            let outcome = request.outcome.map_or("no answer yet", |outcome| outcome.as_str());
            let cost = if request.spent { "spent" } else { "free" };
            write!(f, "\n  at {at}: {}, {outcome}, {cost}", request.cause)?;
        }
        Ok(())
    }
}
