//! Token requests over hyper-util's client.

use std::fmt;
use std::time::Duration;

use auth_core::{BoxFuture, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;

use super::body::collect;

/// Half of the default deadline, so that an issuer that cannot be reached is told from one that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Carries token requests over hyper-util's client: a connection for each request, no retries, no redirects, no proxy.
///
/// TLS is the connector's business: give [`new`](Self::new) an `HttpsConnector` of hyper-rustls or hyper-tls. The scheme of
/// the token endpoint is checked when the authenticator is built, so a connector that speaks plain http as well (as
/// hyper-rustls' `https_or_http` does) is not asked to.
///
/// A request that fails before its connection is up, a TLS handshake included, costs nothing. So give the connector a
/// timeout below the authenticator's deadline (`HttpConnector::set_connect_timeout`): an issuer that cannot be reached then
/// costs nothing either.
pub struct HyperTransport<C> {
    client: Client<C, Full<Bytes>>,
}

impl<C: Connect + Clone> HyperTransport<C> {
    /// Over connections that `connector` makes.
    pub fn new(connector: C) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(connector);
        Self { client }
    }
}

impl HyperTransport<HttpConnector> {
    /// Without TLS, with 5 s to connect: for an issuer on loopback.
    pub fn plain() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self::new(connector)
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> Transport for HyperTransport<C> {
    fn send(
        &self,
        request: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        // Called here and not in the future, which need not hold the client then.
        let response = self.client.request(request.map(Full::new));
        Box::pin(async move {
            let response = response.await.map_err(|error| {
                if error.is_connect() {
                    TransportError::not_sent(error)
                } else {
                    TransportError::in_doubt(error)
                }
            })?;
            collect(response).await
        })
    }
}

impl<C> fmt::Debug for HyperTransport<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport").finish_non_exhaustive()
    }
}
