//! How many token requests an issuer allows, how many were made, and when the next one may be: pure functions of a
//! history and a clock reading.

mod calendar;
mod count;
pub(crate) mod exhausted;
pub(crate) mod ledger;
pub(crate) mod pace;
pub(crate) mod said;
pub(crate) mod spend;
pub(crate) mod window;

pub use self::calendar::Calendar;
pub use self::spend::RenewalCause;
pub(crate) use self::spend::RenewalCause as Cause;
pub use self::window::{Quota, Window};
