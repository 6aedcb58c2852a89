//! What a request of a server passes through.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::body::ResponseBody;
use super::future::ResponseFuture;
use super::guard::{Guard, Step};

/// A service behind a [`RequireTokenLayer`](super::RequireTokenLayer), which says how it gets
/// [ready](super::RequireTokenLayer#readiness).
#[derive(Clone)]
pub struct RequireToken<S> {
    inner: S,
    guard: Arc<Guard>,
}

impl<S> RequireToken<S> {
    pub(super) fn new(inner: S, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }

    /// Gives back what the inner service was made ready with, a permit for instance: a request that is refused has no use for it, and
    /// one that waits for the issuer's keys must not hold up others. Whoever calls next has to make the clone ready, as before each
    /// call.
    fn give_back(&mut self)
    where
        S: Clone,
    {
        self.inner = self.inner.clone();
    }

    /// The service that is guarded.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, R> Service<Request<B>> for RequireToken<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.guard.admit(&mut request) {
            Step::Pass => ResponseFuture::inner(self.inner.call(request)),
            Step::Refuse(response) => {
                self.give_back();
                ResponseFuture::refused(response)
            }
            Step::Verify(verification) => {
                self.give_back();
                let (guard, service) = (Arc::clone(&self.guard), self.inner.clone());
                ResponseFuture::verifying(verification, guard, service, request)
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for RequireToken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireToken")
            .field("inner", &self.inner)
            .field("guard", &self.guard)
            .finish()
    }
}
