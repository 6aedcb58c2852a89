//! What the clones of a service have in common.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use auth_core::{Apart, Authenticator, Origin, PerCpu, Target};
use http::{Request, Uri};

/// What all clones of a service and their responses share.
pub(crate) struct Shared<S> {
    pub(crate) authenticator: Authenticator,
    /// Where a relative URI leads.
    pub(crate) assumed: Option<Origin>,
    /// Whether a relative URI gets the token, once it is known where it leads.
    relative: Option<bool>,
    /// Cloned for a replay only, so that a request that is not refused clones nothing.
    template: Mutex<S>,
}

impl<S> Shared<S> {
    /// Puts the proof beside the token of `request`, where tokens are bound to a key.
    #[inline]
    pub(crate) fn prove<B>(&self, request: &mut Request<B>) -> Result<(), auth_core::Error> {
        if self.authenticator.proves() { self.prove_slow(request) } else { Ok(()) }
    }

    #[cold]
    fn prove_slow<B>(&self, request: &mut Request<B>) -> Result<(), auth_core::Error> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        self.authenticator.prove(&method, &uri, self.assumed.as_ref(), request.headers_mut())
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
    pub(crate) fn new(authenticator: Authenticator, assumed: Option<Origin>, template: S) -> Self {
        let template = Mutex::new(template);
        let relative = assumed.as_ref().map(|assumed| authenticator.origins().contains(assumed));
        let shared = Arc::new(Shared { authenticator, assumed, relative, template });
        let copies = shared.authenticator.per_cpu(|| Handle(Arc::new(Apart(Arc::clone(&shared)))));
        Self { shared, copies }
    }

    #[inline]
    pub(crate) fn handle(&self) -> Handle<S> {
        self.copies.get().clone()
    }

    #[inline]
    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.shared.authenticator
    }

    #[inline]
    pub(crate) fn prove<B>(&self, request: &mut Request<B>) -> Result<(), auth_core::Error> {
        self.shared.prove(request)
    }

    #[inline]
    pub(crate) fn target(&self, uri: &Uri) -> Target {
        match (self.shared.authenticator.target(uri), self.shared.relative) {
            (Target::Relative, Some(true)) => Target::Bound,
            (Target::Relative, Some(false)) => Target::Foreign,
            (target, _) => target,
        }
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

    use auth_core::{BoxFuture, ClientCredentials, Store, Transport, TransportError};
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
        let handles = Handles::new(authenticator, None, ());
        let places: HashSet<_> =
            handles.copies.iter().map(|handle| Arc::as_ptr(&handle.0).addr() / 128).collect();
        assert_eq!(places.len(), 8);
        // Each is one of the service's, and they are all of them.
        assert_eq!(Arc::strong_count(&handles.shared), 1 + 8);
    }
}
