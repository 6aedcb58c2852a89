//! The client under the transport: what may be chosen, and what may not.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Proxy, redirect, retry};

use super::ReqwestTransport;

/// Half of the default deadline, so that an issuer that cannot be reached is told from one that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Configures a [`ReqwestTransport`].
///
/// # Defaults
///
/// As for [`ReqwestTransport`](ReqwestTransport#defaults): 5 s to connect, no proxy.
#[must_use = "nothing happens until `build` is called"]
pub struct ReqwestTransportBuilder {
    client: ClientBuilder,
    proxies: Vec<Proxy>,
}

impl ReqwestTransportBuilder {
    pub(super) fn new() -> Self {
        Self { client: Client::builder().connect_timeout(CONNECT_TIMEOUT), proxies: Vec::new() }
    }

    /// Changes the client: its certificates, a client certificate, `connect_timeout`, `user_agent`, name resolution.
    ///
    /// Redirects, retries, proxies, decompression, the `Referer`, the pool and verbose connections are set again when the
    /// transport is built, so what is said of them here has no effect; nor has `timeout`, since every exchange has the
    /// authenticator's deadline. What reqwest calls dangerous stays in force: with `tls_danger_accept_invalid_certs(true)`
    /// the secret goes to whoever answers.
    ///
    /// ```no_run
    /// use auth_reqwest::ReqwestTransport;
    ///
    /// # #[cfg(any(feature = "rustls", feature = "native-tls"))]
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let authority = reqwest::Certificate::from_pem(&std::fs::read("authority.pem")?)?;
    /// let transport = ReqwestTransport::builder()
    ///     .configure(|client| client.tls_certs_merge([authority]))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn configure(mut self, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        self.client = change(self.client);
        self
    }

    /// Sends token requests through `proxy`; the first of several that applies is used. Its tunnel is encrypted end to end:
    /// with a proxy, plain `http` is refused for loopback too, since the proxy would read the secret.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxies.push(proxy);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// When the TLS backend cannot be set up, or something given to [`configure`](Self::configure) is not valid.
    ///
    /// # Panics
    ///
    /// As [`ReqwestTransport::new`].
    pub fn build(self) -> Result<ReqwestTransport, BuildError> {
        let has_proxy = !self.proxies.is_empty();
        let client = self.proxies.into_iter().fold(safe(self.client), ClientBuilder::proxy);
        match client.build() {
            Ok(client) => Ok(ReqwestTransport { client, has_proxy }),
            Err(error) => Err(BuildError(Arc::new(error.without_url()))),
        }
    }
}

impl fmt::Debug for ReqwestTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Default headers and the user info of proxies may be secrets.
        f.debug_struct("ReqwestTransportBuilder")
            .field("proxies", &self.proxies.len())
            .finish_non_exhaustive()
    }
}

/// What a token request must not do, whatever was configured before.
fn safe(client: ClientBuilder) -> ClientBuilder {
    client
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .referer(false)
        // A pooled connection may be closed by the other side at the moment of sending, which nobody can tell from a
        // request that was received.
        .pool_max_idle_per_host(0)
        // It would log the secret.
        .connection_verbose(false)
}

/// Why a [`ReqwestTransport`] could not be built.
#[derive(Clone, Debug)]
pub struct BuildError(Arc<reqwest::Error>);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the HTTP client for token requests cannot be built")
    }
}

impl StdError for BuildError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
