//! A clock that client and issuer share, and that can be set forward: 22 hours pass in no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use auth_core::{BootTime, Clock, Now, SystemClock, Timestamp};

#[derive(Clone, Debug)]
pub(crate) struct Travel(Arc<AtomicU64>);

impl Travel {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn forward(&self, length: Duration) {
        self.0.fetch_add(length.as_secs(), Ordering::Relaxed);
    }

    fn ahead(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

impl Clock for Travel {
    fn coarse(&self) -> Timestamp {
        SystemClock::default().coarse() + self.ahead()
    }

    fn now(&self) -> Now {
        let Now { wall, boot } = SystemClock::default().now();
        let boot: BootTime = boot + self.ahead();
        Now { wall: wall + self.ahead(), boot }
    }
}

impl auth_issuer::Clock for Travel {
    fn now(&self) -> SystemTime {
        Clock::now(self).wall.into()
    }
}
