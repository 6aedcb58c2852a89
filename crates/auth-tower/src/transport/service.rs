//! Token requests over any tower service.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use auth_core::{BoxFuture, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::body::collect;
use crate::error::BoxError;

/// Carries token requests over a tower service of yours.
///
/// The service must keep the contract of [`Transport`]: it sends each request once (no retries), follows no redirects, and
/// checks the server's certificate. Every failure of a call counts as a spent token request, since only a transport of our
/// own can know that a request never left; a service that does not get ready costs nothing.
pub struct ServiceTransport<S> {
    /// Only ever cloned, so that a service need not be `Sync`.
    template: Mutex<S>,
}

impl<S> ServiceTransport<S> {
    /// Over this service. Each request is sent on a clone of it.
    pub fn new(service: S) -> Self {
        Self { template: Mutex::new(service) }
    }
}

impl<S, ResB> Transport for ServiceTransport<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    ResB: Body + Send,
    ResB::Data: Send,
    ResB::Error: Into<BoxError>,
{
    fn send(
        &self,
        request: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let mut service = self.template.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(TransportError::not_sent)?;
            let response =
                service.call(request.map(Full::new)).await.map_err(TransportError::in_doubt)?;
            collect(response).await
        })
    }
}

impl<S: Clone> Clone for ServiceTransport<S> {
    fn clone(&self) -> Self {
        Self::new(self.template.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl<S> fmt::Debug for ServiceTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTransport").finish_non_exhaustive()
    }
}
