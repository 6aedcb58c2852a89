//! What the clones of a service have in common.

use std::sync::{Mutex, PoisonError};

use auth_core::{Authenticator, Target};
use http::Uri;

/// What all clones of a service and their responses share.
pub(crate) struct Shared<S> {
    pub(crate) authenticator: Authenticator,
    /// Whether a relative URI gets the token, once it is known where it leads.
    relative: Option<bool>,
    /// Cloned for a replay only, so that a request that is not refused clones nothing.
    template: Mutex<S>,
}

impl<S: Clone> Shared<S> {
    pub(crate) fn new(authenticator: Authenticator, relative: Option<bool>, template: S) -> Self {
        Self { authenticator, relative, template: Mutex::new(template) }
    }

    /// A service that was never made ready.
    pub(crate) fn fresh(&self) -> S {
        self.template.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S> Shared<S> {
    #[inline]
    pub(crate) fn target(&self, uri: &Uri) -> Target {
        match (self.authenticator.target(uri), self.relative) {
            (Target::Relative, Some(true)) => Target::Bound,
            (Target::Relative, Some(false)) => Target::Foreign,
            (target, _) => target,
        }
    }
}
