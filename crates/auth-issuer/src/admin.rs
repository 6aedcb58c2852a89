//! Credentials and the legacy key, for whoever holds the handle.

use secrecy::ExposeSecret as _;

use crate::admin_error::AdminError;
use crate::info::{CredentialInfo, NewCredentials};
use crate::issuer::Issuer;
use crate::resource::Resource;

/// # Credentials and the legacy key
impl Issuer {
    /// Makes credentials for `resources`: "Create API credentials". White space in the name becomes single spaces, and two
    /// names that differ in nothing but that, joiners and variation selectors are the same.
    ///
    /// # Errors
    ///
    /// A name that is empty, taken, or cannot be shown; a directory that cannot be written to.
    pub fn create_credentials(
        &self,
        name: &str,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Result<NewCredentials, AdminError> {
        self.state.registry.create(name, resources, self.state.clock.right())
    }

    /// All credentials, the oldest first, with what they have asked for.
    #[must_use]
    pub fn credentials(&self) -> Vec<CredentialInfo> {
        self.state.registry.credentials()
    }

    /// Disables a credential, or enables it again. While it is disabled it gets no tokens, and those that it has open
    /// nothing.
    ///
    /// # Errors
    ///
    /// An id that is not there; a directory that cannot be written to.
    pub fn set_enabled(&self, client_id: &str, is_enabled: bool) -> Result<(), AdminError> {
        self.state.registry.set_enabled(client_id, is_enabled)
    }

    /// Gives a credential a new secret. The old one is worth nothing from now on; its tokens go on.
    ///
    /// # Errors
    ///
    /// As [`set_enabled`](Self::set_enabled).
    pub fn rotate_secret(&self, client_id: &str) -> Result<String, AdminError> {
        let secret = self.state.registry.rotate(client_id)?;
        Ok(secret.expose_secret().to_owned())
    }

    /// Deletes a credential. Its tokens open nothing from now on.
    ///
    /// # Errors
    ///
    /// As [`set_enabled`](Self::set_enabled).
    pub fn delete_credentials(&self, client_id: &str) -> Result<(), AdminError> {
        self.state.registry.delete(client_id)
    }

    /// Whether there is a legacy key.
    #[must_use]
    pub fn has_api_key(&self) -> bool {
        self.state.registry.key_created().is_some()
    }

    /// Makes the legacy key, which opens everything and never expires: "Generate".
    ///
    /// # Errors
    ///
    /// When there is one; a directory that cannot be written to.
    pub fn create_api_key(&self) -> Result<String, AdminError> {
        let key = self.state.registry.create_key(self.state.clock.right())?;
        Ok(key.expose_secret().to_owned())
    }

    /// Makes another legacy key; the present one is refused from now on, with `bad_token`: "Revert".
    ///
    /// # Errors
    ///
    /// When there is none yet; a directory that cannot be written to.
    pub fn revert_api_key(&self) -> Result<String, AdminError> {
        let key = self.state.registry.revert_key(self.state.clock.right())?;
        Ok(key.expose_secret().to_owned())
    }

    /// How many units of quota all credentials together have spent, those that were deleted since too. With a
    /// [directory](crate::IssuerBuilder::directory), what was spent in earlier runs is among them.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.state.registry.spent()
    }

    /// Asserts that no more than `limit` units of quota were spent: the one line that keeps an application's tests from
    /// wasting tokens.
    ///
    /// It does not see requests that cost nothing: those over the quota, those of unknown clients, and those that a setting or
    /// a fault spares. A client that storms the issuer after a refusal passes;
    /// [`assert_requests_at_most`](Self::assert_requests_at_most) catches it.
    ///
    /// # Panics
    ///
    /// When more were spent; the message lists every credential with its last token requests, and why they were made.
    #[track_caller]
    pub fn assert_spent_at_most(&self, limit: u64) {
        let spent = self.spent();
        if spent > limit {
            panic!("{spent} token requests were spent, not at most {limit}:\n{}", self.history());
        }
    }

    /// Asserts that no more than `limit` token requests arrived since the start, whatever they cost and whatever became of
    /// them: refused ones too, so that a client which goes on asking when it is told to wait is found out.
    ///
    /// # Panics
    ///
    /// When more arrived; the message has the counts, and every credential with its last token requests.
    #[track_caller]
    pub fn assert_requests_at_most(&self, limit: u64) {
        let counters = self.counters();
        let arrived = counters.token_requests;
        if arrived > limit {
            panic!(
                "{arrived} token requests arrived, not at most {limit}: {counters:?}\n{}",
                self.history()
            );
        }
    }

    /// Every credential with its last token requests, and what those have spent that are gone.
    fn history(&self) -> String {
        let credentials = self.credentials();
        let mut credentials: Vec<String> = credentials.iter().map(ToString::to_string).collect();
        let by_deleted = self.state.registry.spent_by_deleted();
        if by_deleted > 0 {
            credentials.push(format!("deleted since: {by_deleted} spent"));
        }
        credentials.join("\n")
    }
}
