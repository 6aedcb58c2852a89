//! The service: what a request passes through.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use auth_core::{RequestOptions, Route, RouteId};
use http::{Request, Response};
use tower_service::Service;

use crate::error::BoxError;
use crate::future::{ResponseFuture, Sent, binding};
use crate::replay::{Auto, Replay};
use crate::shared::Handles;
use crate::spare::Spare;

/// A client whose requests carry a token. Made by [`AuthLayer`](crate::AuthLayer).
///
/// # Readiness
///
/// `poll_ready` is the inner service's. A request that has to wait for a token gives the inner service's readiness back (it
/// drops the service that was ready, and makes a clone ready when the token is there), so that a limit shared with the
/// issuer's own calls cannot deadlock. What this cannot help: *another* clone that was made ready and is kept unused holds
/// its permit, as it does in every tower stack.
pub struct Auth<S, R = Auto> {
    inner: S,
    shared: Arc<Handles<S>>,
    replay: R,
}

impl<S, R> Auth<S, R> {
    pub(crate) fn new(inner: S, shared: Arc<Handles<S>>, replay: R) -> Self {
        Self { inner, shared, replay }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, ResB, R> Service<Request<B>> for Auth<S, R>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
    R: Replay<B>,
    B: 'static,
{
    type Response = Response<ResB>;
    type Error = BoxError;
    type Future = ResponseFuture<S, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(options) = request.extensions().get::<RequestOptions>() {
            let options = options.clone();
            return self.call_with(request, &options);
        }
        let routes = self.shared.routes();
        let id = match routes.route(request.method(), request.uri()) {
            Route::To(id) => id,
            Route::Bare => return ResponseFuture::calling(self.inner.call(request), None),
            Route::Refused(error) => return ResponseFuture::failed(error),
        };
        let binding = routes.binding(id);
        if request.headers().contains_key(binding.header_name()) {
            return ResponseFuture::calling(self.inner.call(request), None);
        }
        // Before the header is set.
        let spare = Spare::of(&request, &self.replay, binding);
        self.equip(request, Some(id), spare)
    }
}

impl<S: Clone, R> Auth<S, R> {
    /// A request with options of its own.
    #[inline(never)]
    fn call_with<B, ResB>(
        &mut self,
        request: Request<B>,
        options: &RequestOptions,
    ) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<ResB>>,
        R: Replay<B>,
        B: 'static,
    {
        let routes = self.shared.routes();
        let (method, uri) = (request.method(), request.uri());
        let (id, binding) = match options.route(routes, method, uri) {
            Route::To(to) => to,
            Route::Bare => return ResponseFuture::calling(self.inner.call(request), None),
            Route::Refused(error) => return ResponseFuture::failed(error),
        };
        if request.headers().contains_key(binding.header_name()) {
            return ResponseFuture::calling(self.inner.call(request), None);
        }
        let spare = Spare::with(&request, &self.replay, options, &binding, id.is_none());
        self.equip(request, id, Some(spare))
    }

    /// Sends the request with its credential, or has it wait for one.
    #[inline]
    fn equip<B, ResB>(
        &mut self,
        mut request: Request<B>,
        id: Option<RouteId>,
        spare: Option<Box<Spare<B>>>,
    ) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<ResB>>,
    {
        let binding = binding(self.shared.routes(), id, spare.as_deref());
        let Some(generation) = binding.try_insert(request.headers_mut()) else {
            return self.wait(request, id, spare);
        };
        if let Err(error) = self.shared.prove(binding, &mut request) {
            return ResponseFuture::failed(error);
        }
        let future = self.inner.call(request);
        let sent = Sent::new(generation, id, self.shared.handle(), spare);
        ResponseFuture::calling(future, Some(sent))
    }

    #[cold]
    #[inline(never)]
    fn wait<B, ResB>(
        &mut self,
        request: Request<B>,
        id: Option<RouteId>,
        spare: Option<Box<Spare<B>>>,
    ) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<ResB>>,
    {
        // The inner service that is ready may hold a permit that the issuer's calls need.
        let unready = self.inner.clone();
        drop(std::mem::replace(&mut self.inner, unready));
        ResponseFuture::waiting(self.inner.clone(), request, id, self.shared.handle(), spare)
    }
}

impl<S: Clone, R: Clone> Clone for Auth<S, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: self.shared.clone(), replay: self.replay.clone() }
    }
}

impl<S: fmt::Debug, R: fmt::Debug> fmt::Debug for Auth<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("inner", &self.inner)
            .field("routes", self.shared.routes())
            .field("replay", &self.replay)
            .finish()
    }
}
