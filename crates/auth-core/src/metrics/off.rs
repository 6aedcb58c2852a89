//! Nothing is measured without the feature `metrics`: the same names as in `metrics.rs`, and nothing behind them.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::failure::FailureKind;
use crate::quota::RenewalCause;

#[inline]
pub(crate) fn left(_: &Arc<str>, _: impl FnOnce() -> Option<u32>) {}

#[inline]
pub(crate) fn expiry(_: &Arc<str>, _: Duration) {}

pub(crate) struct Request;

impl Request {
    #[inline]
    pub(crate) fn begin(_: &Arc<str>, _: RenewalCause) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn end(self, _: Option<FailureKind>) {}
}

pub(crate) struct Wait;

impl Wait {
    #[inline]
    pub(crate) fn begin(_: &dyn Clock) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn end(&self, _: &dyn Clock, _: &Arc<str>, _: bool) {}
}
