//! A credential, and the place that it is for: what adapters equip requests with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};

use crate::credential::Credential;
use crate::error::Error;
use crate::options::CredentialUsed;
use crate::origin::Origin;
use crate::sync::{Runtime, timeout};
use crate::token::{Authorization, Generation};
use crate::wire::refusal::{self, Word};

/// A credential at one of the origins that it is bound to: for adapters, which have it from [`Routes`](crate::Routes).
#[derive(Clone)]
pub struct Binding {
    credential: Credential,
    origin: Arc<Origin>,
    /// The number of the origin among those of the credential.
    at: usize,
}

impl Binding {
    pub(crate) fn new(credential: Credential, origin: Origin, at: usize) -> Self {
        Self { credential, origin: Arc::new(origin), at }
    }

    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The credential's name.
    pub fn name(&self) -> &str {
        self.credential.name()
    }

    /// The origin that requests with it go to.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The header that the credential goes into.
    #[inline]
    pub fn header_name(&self) -> &HeaderName {
        self.credential.header_name()
    }

    /// Puts the credential into these headers, if it can be sent at once, and says which it is. Without it nothing changes. Takes no lock
    /// and allocates nothing.
    #[inline]
    pub fn try_insert(&self, headers: &mut HeaderMap) -> Option<Generation> {
        match &self.credential {
            Credential::OAuth(authenticator) => authenticator.try_insert(headers),
            Credential::ApiKey(key) => Some(key.insert(headers)),
        }
    }

    /// The credential, if it can be sent at once. Takes no lock and allocates nothing.
    #[inline]
    pub fn try_authorization(&self) -> Option<Authorization> {
        match &self.credential {
            Credential::OAuth(authenticator) => authenticator.try_authorization(),
            Credential::ApiKey(key) => Some(key.authorization()),
        }
    }

    /// The credential, once there is one.
    ///
    /// # Errors
    ///
    /// As [`Authenticator::authorization`](crate::Authenticator::authorization); and when there is none within `patience`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the token request alone.
    pub async fn authorization(&self, patience: Option<Duration>) -> Result<Authorization, Error> {
        match &self.credential {
            Credential::OAuth(authenticator) => {
                self.within(patience, authenticator.authorization()).await
            }
            Credential::ApiKey(key) => Ok(key.authorization()),
        }
    }

    /// Whether requests need a proof of their own (RFC 9449), which [`prove`](Self::prove) puts beside the token.
    #[inline]
    pub fn proves(&self) -> bool {
        match &self.credential {
            Credential::OAuth(authenticator) => authenticator.proves(),
            Credential::ApiKey(_) => false,
        }
    }

    /// As [`Authenticator::prove`](crate::Authenticator::prove).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn prove(
        &self,
        method: &Method,
        uri: &Uri,
        assumed: Option<&Origin>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        match &self.credential {
            Credential::OAuth(authenticator) => authenticator.prove(method, uri, assumed, headers),
            Credential::ApiKey(_) => Ok(()),
        }
    }

    /// As [`Authenticator::heed_nonce`](crate::Authenticator::heed_nonce).
    pub fn heed_nonce(
        &self,
        uri: &Uri,
        assumed: Option<&Origin>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> bool {
        match &self.credential {
            Credential::OAuth(authenticator) => {
                authenticator.heed_nonce(uri, assumed, status, headers)
            }
            Credential::ApiKey(_) => false,
        }
    }

    /// Takes note of the API's answer to a request that carried this generation. `grpc` says whether gRPC's status 16 counts as a 401.
    ///
    /// `true` if the credential was refused and another may help: then [`refuse`](Self::refuse) or
    /// [`replacement`](Self::replacement) follows. To be asked for each answer, since a success is news after a refusal.
    #[inline]
    pub fn heed(
        &self,
        generation: Generation,
        status: StatusCode,
        headers: &HeaderMap,
        grpc: bool,
    ) -> bool {
        match &self.credential {
            Credential::OAuth(authenticator) => {
                authenticator.heed(self.at, generation, status, headers, grpc)
            }
            Credential::ApiKey(key) => match refusal::read(status, headers, grpc) {
                Word::Refused { .. } => {
                    key.say_refused(&self.origin, generation, status);
                    true
                }
                Word::OutOfScope { scope } => {
                    key.say_out_of_scope(&self.origin, scope);
                    false
                }
                Word::Accepted | Word::Nothing => false,
            },
        }
    }

    /// Refuses this generation, for a request that is not sent again.
    pub fn refuse(&self, generation: Generation) {
        match &self.credential {
            Credential::OAuth(authenticator) => authenticator.refuse(generation),
            Credential::ApiKey(key) => key.refuse(generation),
        }
    }

    /// Refuses this generation, and waits for one that follows it.
    ///
    /// # Errors
    ///
    /// When none can be had, or none within `patience`: the API's own 401 is then the answer.
    ///
    /// # Cancel safety
    ///
    /// As for [`authorization`](Self::authorization).
    pub async fn replacement(
        &self,
        refused: Generation,
        patience: Option<Duration>,
    ) -> Result<Authorization, Error> {
        match &self.credential {
            Credential::OAuth(authenticator) => {
                self.within(patience, authenticator.replacement(refused)).await
            }
            Credential::ApiKey(key) => {
                let replacement = async {
                    let other = key.replacement(refused).await;
                    other.ok_or_else(|| Error::no_other_key(self.credential.shared_name()))
                };
                self.within(patience, replacement).await
            }
        }
    }

    /// What a response says that it was asked with.
    pub fn used(&self, generation: Generation) -> CredentialUsed {
        CredentialUsed { credential: self.credential.shared_name(), generation }
    }

    async fn within<T>(
        &self,
        patience: Option<Duration>,
        wait: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // Outside of tokio there is no timer.
        let Some(patience) = patience.filter(|_| Runtime::current().is_some()) else {
            return wait.await;
        };
        let over = |_| Err(Error::waited(self.credential.shared_name(), patience));
        timeout(patience, wait).await.unwrap_or_else(over)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("credential", &self.credential.name())
            .field("origin", &self.origin)
            .finish()
    }
}
