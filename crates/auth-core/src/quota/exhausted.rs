//! Why the ledger refuses, in words.

use std::fmt;

use super::Cause;
use super::window::{Human, Window};
use crate::clock::Timestamp;

/// The ledger's refusal: why, and the first moment at which it will allow the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    pub(super) why: Why,
    pub(super) cause: Cause,
    pub(crate) retry_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Window { window: Window, spent: u32 },
    Word { left: u32 },
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Window { window, spent } => {
                let limit = window.limit();
                write!(f, "{spent} of {limit} token requests are spent in ")?;
                match window.calendar() {
                    Some((calendar, zone)) => {
                        write!(f, "this {calendar} in {}", zone.escape_default())?;
                    }
                    None => {
                        let (period, span) = (Human(window.period()), Human(window.span()));
                        write!(f, "{period} (counted over {span})")?;
                    }
                }
                if self.cause.is_proactive() && window.reserve() > 0 {
                    let reserve = window.reserve();
                    write!(f, ", and {reserve} are held back from renewals ahead of time")?;
                }
                if self.cause == Cause::Refused {
                    let share = window.refused_share();
                    write!(f, ", and at most {share} may answer a refusal")?;
                }
            }
            Why::Word { left } => {
                write!(f, "the issuer says that {left} token requests are left")?;
                if self.cause.is_proactive() && *left > 0 {
                    f.write_str(", which are held back from renewals ahead of time")?;
                }
            }
        }
        write!(f, "; the next slot opens at {}", self.retry_at)
    }
}
