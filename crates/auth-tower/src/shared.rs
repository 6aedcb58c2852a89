//! What the clones of a service have in common.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use auth_core::{Apart, Binding, PerCpu, Routes};
use http::Request;

/// What all clones of a service and their responses share.
pub(crate) struct Shared<S> {
    pub(crate) routes: Routes,
    /// Whether gRPC's status 16 counts as a 401.
    pub(crate) grpc: bool,
    /// Cloned for a replay only, so that a request that is not refused clones nothing.
    template: Mutex<S>,
}

impl<S> Shared<S> {
    /// Puts the proof beside the token of `request`, where tokens are bound to a key.
    #[inline]
    pub(crate) fn prove<B>(
        &self,
        binding: &Binding,
        request: &mut Request<B>,
    ) -> Result<(), auth_core::Error> {
        if binding.proves() { self.prove_slow(binding, request) } else { Ok(()) }
    }

    #[cold]
    fn prove_slow<B>(
        &self,
        binding: &Binding,
        request: &mut Request<B>,
    ) -> Result<(), auth_core::Error> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        binding.prove(&method, &uri, self.routes.assumed_origin(), request.headers_mut())
    }
}

impl<S: Clone> Shared<S> {
    /// A service that was never made ready.
    pub(crate) fn fresh(&self) -> S {
        self.template.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where the clones of a service have it from. Each response needs a handle, and responses on different CPUs must not meet at
/// the count of them.
pub(crate) struct Handles<S> {
    shared: Arc<Shared<S>>,
    copies: PerCpu<Handle<S>>,
}

impl<S> Handles<S> {
    pub(crate) fn new(routes: Routes, grpc: bool, template: S) -> Self {
        let shared = Arc::new(Shared { routes, grpc, template: Mutex::new(template) });
        let copies = shared.routes.per_cpu(|| Handle(Arc::new(Apart(Arc::clone(&shared)))));
        Self { shared, copies }
    }

    #[inline]
    pub(crate) fn handle(&self) -> Handle<S> {
        self.copies.get().clone()
    }

    #[inline]
    pub(crate) fn routes(&self) -> &Routes {
        &self.shared.routes
    }

    #[inline]
    pub(crate) fn prove<B>(
        &self,
        binding: &Binding,
        request: &mut Request<B>,
    ) -> Result<(), auth_core::Error> {
        self.shared.prove(binding, request)
    }
}

/// A response's hold on what is shared.
pub(crate) struct Handle<S>(Arc<Apart<Arc<Shared<S>>>>);

impl<S> Clone for Handle<S> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Deref for Handle<S> {
    type Target = Shared<S>;

    fn deref(&self) -> &Shared<S> {
        &self.0.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use auth_core::{
        Authenticator, BoxFuture, ClientCredentials, Store, Transport, TransportError,
    };
    use bytes::Bytes;
    use http::Response;

    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Transport for Nobody {
        fn send(
            &self,
            _: Request<Bytes>,
            _: Duration,
        ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
            Box::pin(async { Err(TransportError::not_sent("nobody is there")) })
        }
    }

    #[test]
    fn handles_on_different_cpus_are_counted_apart() {
        let credentials = ClientCredentials::new("client", "secret")
            .token_endpoint("https://issuer.example/oauth/token")
            .audience("https://api.example");
        let authenticator = Authenticator::builder(credentials)
            .store(Store::memory())
            .transport(Nobody)
            .header_copies(8.try_into().unwrap())
            .build()
            .unwrap();
        let handles = Handles::new(authenticator.into(), false, ());
        let places: HashSet<_> =
            handles.copies.iter().map(|handle| Arc::as_ptr(&handle.0).addr() / 128).collect();
        assert_eq!(places.len(), 8);
        // Each is one of the service's, and they are all of them.
        assert_eq!(Arc::strong_count(&handles.shared), 1 + 8);
    }
}
