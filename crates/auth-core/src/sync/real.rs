//! The primitives of the standard library and of tokio.

pub(crate) use std::sync::atomic;
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use tokio::sync::{Notify, watch};
pub(crate) use tokio::time::{sleep, timeout};

use tokio::runtime::Handle;
pub(crate) use tokio::runtime::Id as RuntimeId;

/// Where a task can be put that outlives its caller.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    /// The one that the caller runs on.
    pub(crate) fn current() -> Option<Self> {
        Handle::try_current().ok().map(Self)
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.0.id()
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}
