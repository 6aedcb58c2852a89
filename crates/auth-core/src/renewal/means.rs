//! Everything that it takes to get a token, and what the steps of that have in common.

use std::sync::Arc;
use std::time::Duration;

use super::credential::Credentials;
use super::found::Found;
use super::open::OpenFlights;
use super::outcome::{Acquired, Settlement};
use crate::advice::Once;
use crate::cell::{Cell, CellError};
use crate::clock::{BootTime, Clock, Now};
use crate::error::Error;
use crate::events::Hub;
use crate::id::random_bytes;
use crate::quota::Quota;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wire::Transport;
use crate::wire::dpop::Dpop;
use crate::wire::response::QuotaRefusal;

/// How often a process looks at a flight that it waits for.
pub(super) const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The pause after a write that another one overtook, or that nobody can tell the fate of; doubled up to `POLL.1`.
pub(super) const CONTENDED: Duration = Duration::from_millis(2);

/// How long a store may be for one operation, for telling a flight that is slow from one that stands still.
const STORE: Duration = Duration::from_secs(5);

/// Everything that it takes to get a token, but the need of one.
pub(crate) struct Renewal {
    pub(crate) name: Arc<str>,
    /// Where it is told what happens.
    pub(crate) hub: Hub,
    pub(crate) cell: Cell,
    pub(crate) credentials: Credentials,
    /// The key that tokens are bound to, if they are.
    pub(crate) dpop: Option<Arc<Dpop>>,
    pub(crate) metadata: Found,
    pub(crate) insecure_loopback: bool,
    /// Whether a token that is no JWT tells that something is missing.
    pub(crate) gives_jwts: bool,
    pub(crate) warned: Once,
    pub(crate) quota: Quota,
    pub(crate) quota_refusals: Vec<QuotaRefusal>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    /// For one exchange with the issuer, from the connection to the last byte.
    pub(crate) deadline: Duration,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) open: OpenFlights,
    /// When the flight under way last took a step, in milliseconds of the boot clock. It guards no other memory.
    pub(crate) step: AtomicU64,
}

/// A token or the reason that there is none, and what is still to be written down.
pub(crate) struct Renewed {
    pub(crate) result: Result<Acquired, Error>,
    pub(crate) unsettled: Option<Settlement>,
}

impl Renewal {
    /// Whether a flight that took its last step then is driven by nobody any more: no step takes as long as that.
    pub(crate) fn stands_still(&self, now: BootTime) -> bool {
        let since = now.millis.saturating_sub(self.step.load(Ordering::Relaxed));
        Duration::from_millis(since) > self.deadline.max(STORE) + STORE
    }

    pub(crate) fn take_step(&self) -> Now {
        let now = self.clock.now();
        self.step.store(now.boot.millis, Ordering::Relaxed);
        now
    }

    pub(crate) fn store_error(&self, error: CellError) -> Error {
        let message = format!("nothing is spent while the store fails: {}", error.message);
        Error::store(self.name.clone(), message, error.source)
    }
}

/// Between three quarters and five quarters of `pause`, so that processes that began to wait together do not go on
/// together.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause * (192 + u32::from(random_bytes::<1>()[0]) / 2) / 256
}
