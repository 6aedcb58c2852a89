//! A request charged: the count, and what the answer says of it.

use std::time::SystemTime;

use super::count::Spends;
use super::headers::{OverAnswer, QuotaHeaders};
use super::rule::Quota;
use crate::moment::Moment;

/// Spends one unit. What it says in headers is as of that moment, however long the answer takes.
///
/// # Errors
///
/// The refusal, when no unit is left at `now`.
pub(crate) fn charge(
    spends: &mut Spends,
    quota: &Quota,
    now: SystemTime,
) -> Result<QuotaHeaders, Box<OverAnswer>> {
    let spent = spends.spend(quota, now);
    let left = || spends.left_settled(quota, Moment::from(now));
    match spent {
        Ok(()) => Ok(QuotaHeaders::of(quota.refused_by(), left)),
        Err(over) => Err(Box::new(OverAnswer::of(quota.refused_by(), over, left))),
    }
}
