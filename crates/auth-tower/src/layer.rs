//! The layer: what a stack is built with.

use std::sync::Arc;

use auth_core::{Authenticator, Origin};
use tower_layer::Layer;

use crate::replay::Auto;
use crate::service::Auth;
use crate::shared::Handles;

/// Puts the token of an [`Authenticator`] on every request of a client. See the [crate's documentation](crate).
///
/// # Defaults
///
/// Replays by [`Auto`]; no assumed origin.
#[derive(Clone, Debug)]
pub struct AuthLayer<R = Auto> {
    authenticator: Authenticator,
    replay: R,
    assumed: Option<Origin>,
}

impl AuthLayer {
    /// With the token of this authenticator.
    pub fn new(authenticator: Authenticator) -> Self {
        Self { authenticator, replay: Auto, assumed: None }
    }
}

impl<R> AuthLayer<R> {
    /// Which requests are sent again after a 401, and with which body: [`Auto`], [`IfEmpty`](crate::IfEmpty),
    /// [`Cloned`](crate::Cloned), [`With`](crate::With), [`Never`](crate::Never), or a [`Replay`](crate::Replay) of your own.
    pub fn replay<T>(self, replay: T) -> AuthLayer<T> {
        AuthLayer { authenticator: self.authenticator, replay, assumed: self.assumed }
    }

    /// Where requests with a relative URI go, in a stack that adds the origin below this layer, as tonic's channels do.
    ///
    /// Without it such requests fail. With it they get the token if this is one of the authenticator's origins, and pass on
    /// bare if not. Requests with an absolute URI are judged by that.
    #[must_use]
    pub fn assume_origin(mut self, origin: Origin) -> Self {
        self.assumed = Some(origin);
        self
    }
}

impl<S: Clone, R: Clone> Layer<S> for AuthLayer<R> {
    type Service = Auth<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Handles::new(self.authenticator.clone(), self.assumed.clone(), inner.clone());
        Auth::new(inner, Arc::new(shared), self.replay.clone())
    }
}
