//! The handle of a running issuer.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::counters::Counters;
use crate::fault::{Event, Fault, Place, When};
use crate::quota::WindowLeft;
use crate::record::TokenRequestRecord;
use crate::serve::Server;
use crate::state::State;

/// A running issuer and its API; see the [crate's documentation](crate).
///
/// Dropping it stops it: its directory can be had at once, and its connections are closed as soon as the runtime comes to
/// it. [`shutdown`](Self::shutdown) waits for that.
pub struct Issuer {
    pub(crate) state: Arc<State>,
    server: Server,
    /// Dropped with it.
    leave: Leave,
    address: SocketAddr,
    url: String,
    token_endpoint: String,
    client_id: String,
    client_secret: SecretString,
}

/// Leaves the directory when it is dropped: tasks of open connections may hold the state for a while longer.
struct Leave(Arc<State>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.registry.close();
    }
}

impl Issuer {
    pub(crate) fn new(
        state: Arc<State>,
        server: Server,
        address: SocketAddr,
        (client_id, client_secret): (String, SecretString),
    ) -> Self {
        let url = state.oauth.url.clone();
        let token_endpoint = state.oauth.token_endpoint.clone();
        let leave = Leave(Arc::clone(&state));
        Self { state, server, leave, address, url, token_endpoint, client_id, client_secret }
    }

    /// `http://127.0.0.1:PORT`, or what the [builder](crate::IssuerBuilder::url) was told, without a slash at its end; the `iss`
    /// of the tokens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `/oauth/token` at the [URL](Self::url).
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first audience that it serves: [`url`](Self::url), unless the builder was told otherwise.
    #[must_use]
    pub fn audience(&self) -> &str {
        // The builder makes sure that there is one.
        self.state.audiences.first().map_or(&self.url, String::as_str)
    }

    /// The id of the first client.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The secret of the first client; empty if it was kept from an earlier run, of which there is only a hash.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        self.client_secret.expose_secret()
    }

    /// Where a browser of this machine enters the page "Settings → API". There is a secret in it, which the page trades for a
    /// cookie.
    #[must_use]
    pub fn settings_url(&self) -> String {
        self.state.access.entrance()
    }

    /// What opens the admin API under `/admin`, as `Authorization: Bearer` (RFC 6750 §2.1), to programs of this machine.
    /// Another one in each run.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        self.state.access.token()
    }

    /// Whether its state outlives it, in a [`directory`](crate::IssuerBuilder::directory).
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.state.registry.is_kept()
    }

    /// How many token requests arrived since the start, whatever became of them.
    #[must_use]
    pub fn token_requests(&self) -> u64 {
        self.counters().token_requests
    }

    /// All counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state.tally.snapshot()
    }

    /// Waits until `total` token requests have been received since the start, answered or not: they were read, have
    /// spent their units, and are on record.
    ///
    /// # Cancel safety
    ///
    /// It only looks.
    pub async fn until_token_requests(&self, total: u64) {
        self.state.tally.until_received(total).await;
    }

    /// What the last token request looked like, once its body was read.
    #[must_use]
    pub fn last_token_request(&self) -> Option<TokenRequestRecord> {
        self.state.last_token_request()
    }

    /// What is left of the quota of a client: one entry for each window, in their order; `None` for an unknown client.
    #[must_use]
    pub fn quota_left(&self, client_id: &str) -> Option<Vec<WindowLeft>> {
        self.state.registry.left(client_id, self.state.clock.right())
    }

    /// Lets `fault` befall `times` token requests, after those that were ordered before.
    pub fn fail_next(&self, times: usize, fault: Fault) {
        self.fault(Place::Token, When::next(times), fault);
    }

    /// Lets `fault` befall these requests. Of several that apply to a request, it meets the one that was ordered first:
    /// by the [script](crate::IssuerBuilder::script), here, or by [`fail_next`](Self::fail_next).
    pub fn fault(&self, place: Place, when: When, fault: Fault) {
        self.state.stage.push(place, when, fault, self.state.clock.right());
    }

    /// Lets `event` happen now.
    ///
    /// # Panics
    ///
    /// On a status outside of 200 to 999.
    #[track_caller]
    pub fn happen(&self, event: Event) {
        event.check();
        self.state.happen(event);
    }

    /// Lets `fault` befall every token request that no [`fail_next`](Self::fail_next) and no [`fault`](Self::fault)
    /// applies to, until [`heal`](Self::heal).
    pub fn fail_all(&self, fault: Fault) {
        self.state.stage.set_rest(fault);
    }

    /// Forgets all faults, those of the script too. Its events happen all the same. Token requests that a fault holds
    /// back at this moment stay held.
    pub fn heal(&self) {
        self.state.stage.clear();
    }

    /// Whether `token` opens an API now: signed here, for an audience of this issuer, neither
    /// expired nor revoked. For a server of the test's own, which must see for itself to the proof of a token that is bound
    /// to a key.
    #[must_use]
    pub fn is_valid(&self, token: &str) -> bool {
        self.state.play_here();
        self.state.is_valid(token)
    }

    /// Makes `token` invalid from now on; false if it is not a token of this issuer.
    ///
    /// If a [directory](crate::IssuerBuilder::directory) cannot be written to, that is logged, and it holds for this run;
    /// [`shutdown`](Self::shutdown) tries again.
    pub fn revoke(&self, token: &str) -> bool {
        let Some(known) = self.state.tokens.known(token) else { return false };
        // It was logged; without an answer from the disk it is one of ours all the same.
        let _ = self.state.revoke(&known);
        true
    }

    /// Makes every token issued so far invalid; those issued later are valid. Otherwise as [`revoke`](Self::revoke).
    pub fn revoke_all(&self) {
        // It was logged.
        let _ = self.state.revoke_all();
    }

    /// Lets the API answer everything with `status`, valid tokens too; `None` is back to normal. 401 comes with the
    /// challenge `invalid_token`, 403 with `insufficient_scope`.
    ///
    /// # Panics
    ///
    /// On a status outside of 200 to 999.
    #[track_caller]
    pub fn api_status(&self, status: Option<u16>) {
        self.happen(Event::ApiStatus(status));
    }

    /// Closes the listener and all connections, and waits until that is done. Whoever comes next can have its address and
    /// its [directory](crate::IssuerBuilder::directory) then.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written to: a revocation or a key that could not be written down before is lost. The
    /// issuer is stopped all the same.
    pub async fn shutdown(self) -> io::Result<()> {
        self.server.stop().await;
        // For what could not be written down before.
        let kept = self.state.keep_tokens();
        drop(self.leave);
        kept
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("url", &self.url)
            .field("clients", &self.state.registry.ids())
            .field("audiences", &self.state.audiences)
            .finish_non_exhaustive()
    }
}
