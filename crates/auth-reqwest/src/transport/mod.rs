//! The transport: one token request, once, and its answer.

mod body;
mod builder;
mod check;
mod failure;

use std::fmt;
use std::time::Duration;

use auth_core::{BoxFuture, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};

pub use self::builder::{BuildError, ReqwestTransportBuilder};

/// Carries token requests to the issuer with a [`reqwest::Client`] of its own.
///
/// Each request is sent at most once, over a connection of its own: a token request costs a unit of the quota and carries
/// the client's secret, so nothing may repeat it or take it elsewhere.
///
/// # What it does not do
///
/// Follow redirects; retry, not even what a protocol calls safe; use a proxy of the environment or the system (see
/// [`ReqwestTransportBuilder::proxy`]); decompress; send a `Referer`; keep a connection; write the bytes on the wire to the
/// log; send over plain `http`, but to loopback and without a proxy; read more than 64 KiB of an answer
/// ([`auth_core::LONGEST_ANSWER`]).
///
/// # Defaults
///
/// | setting | default |
/// |---|---|
/// | time to connect, with name resolution and TLS | 5 s |
/// | time for the whole exchange | the authenticator's deadline (10 s) |
/// | certificates | those that reqwest's TLS backend trusts |
///
/// # Errors
///
/// | what happened | error | unit |
/// |---|---|---|
/// | name resolution, the connection, a proxy's tunnel, or the TLS handshake failed or took longer than the time to connect | [`not_sent`](TransportError::not_sent) | given back |
/// | the URL is not `https`, nor `http` to loopback | [`not_sent`](TransportError::not_sent) | given back |
/// | the deadline came, whatever was under way | [`timeout`](TransportError::timeout) | spent |
/// | the answer is longer than 64 KiB | [`body_too_long`](TransportError::body_too_long) | spent |
/// | everything else | [`in_doubt`](TransportError::in_doubt) | spent |
///
/// So keep the time to connect below the deadline: an issuer that cannot be reached then costs nothing. No error names the
/// URL, which may have a key in its query.
///
/// # Cancel safety
///
/// Dropping the future closes the connection; whether the request had left is then unknown.
///
/// # Examples
///
/// ```
/// use auth_reqwest::ReqwestTransport;
///
/// let transport = ReqwestTransport::new()?;
/// # Ok::<_, auth_reqwest::BuildError>(())
/// ```
///
/// With a client setting of one's own, and a proxy that is asked for:
///
/// ```
/// use std::time::Duration;
///
/// use auth_reqwest::ReqwestTransport;
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let transport = ReqwestTransport::builder()
///     .configure(|client| client.connect_timeout(Duration::from_secs(2)).user_agent("shipping/1.0"))
///     .proxy(reqwest::Proxy::https("http://proxy.example:3128")?)
///     .build()?;
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
#[derive(Clone)]
pub struct ReqwestTransport {
    client: reqwest::Client,
    has_proxy: bool,
}

impl ReqwestTransport {
    /// A transport with the [defaults](Self#defaults). Needs no runtime yet.
    ///
    /// # Errors
    ///
    /// When the TLS backend cannot be set up.
    ///
    /// # Panics
    ///
    /// In a build whose only TLS is `rustls-no-provider`, when no `CryptoProvider` was installed before.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Begins to configure one.
    pub fn builder() -> ReqwestTransportBuilder {
        ReqwestTransportBuilder::new()
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let mut request = reqwest::Request::try_from(request)
            .map_err(|error| TransportError::not_sent(error.without_url()))?;
        // The URL as it is now, after reqwest's parser: that is where the request goes.
        check::destination(request.url(), self.has_proxy).map_err(TransportError::not_sent)?;
        *request.timeout_mut() = Some(deadline);
        let mut response = self.client.execute(request).await.map_err(failure::of_sending)?;
        let mut answer = Response::new(body::read(&mut response).await?);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

impl Transport for ReqwestTransport {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(self.exchange(request, deadline))
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A client's own `Debug` shows its default headers.
        f.debug_struct("ReqwestTransport")
            .field("has_proxy", &self.has_proxy)
            .finish_non_exhaustive()
    }
}
