//! The layer: what a stack is built with.

use std::sync::Arc;

use auth_core::{Origin, Routes};
use tower_layer::Layer;

use crate::replay::Auto;
use crate::service::Auth;
use crate::shared::Handles;

/// Puts credentials on the requests of a client: the token of an [`Authenticator`](auth_core::Authenticator), or what [`Routes`] say. See
/// the [crate's documentation](crate).
///
/// # Defaults
///
/// Replays by [`Auto`]; no assumed origin; gRPC's status is not looked at.
#[derive(Clone, Debug)]
pub struct AuthLayer<R = Auto> {
    routes: Routes,
    replay: R,
    grpc: bool,
}

impl AuthLayer {
    /// With the token of an authenticator, or with a table of routes.
    pub fn new(routes: impl Into<Routes>) -> Self {
        Self { routes: routes.into(), replay: Auto, grpc: false }
    }
}

impl<R> AuthLayer<R> {
    /// Which requests are sent again after a 401, and with which body: [`Auto`], [`IfEmpty`](crate::IfEmpty),
    /// [`Cloned`](crate::Cloned), [`With`](crate::With), [`Never`](crate::Never), [`Idempotent`](crate::Idempotent), or a [`Replay`](crate::Replay) of your own.
    pub fn replay<T>(self, replay: T) -> AuthLayer<T> {
        AuthLayer { routes: self.routes, replay, grpc: self.grpc }
    }

    /// Where requests with a relative URI go, in a stack that adds the origin below this layer, as tonic's channels do.
    ///
    /// Without it such requests fail. With it they are treated as requests to this origin. Requests with an absolute URI are judged by
    /// that.
    #[must_use]
    pub fn assume_origin(mut self, origin: Origin) -> Self {
        self.routes = self.routes.assume_origin(origin);
        self
    }

    /// Whether an answer with `grpc-status: 16` (`UNAUTHENTICATED`) in its headers counts as a 401, and `grpc-status: 7`
    /// (`PERMISSION_DENIED`) as a 403. A status in the trailers comes too late to be seen.
    ///
    /// Such a call is sent again only if it brings its own copy
    /// ([`RequestOptions::replay_with`](auth_core::RequestOptions::replay_with)): a service may have acted before it said so.
    #[must_use]
    pub fn grpc_status(mut self, counts: bool) -> Self {
        self.grpc = counts;
        self
    }
}

impl<S: Clone, R: Clone> Layer<S> for AuthLayer<R> {
    type Service = Auth<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Handles::new(self.routes.clone(), self.grpc, inner.clone());
        Auth::new(inner, Arc::new(shared), self.replay.clone())
    }
}
