//! How many token requests an issuer allows, how many were made, and when the next one may be: pure functions of a
//! history and a clock reading.

pub(crate) mod ledger;
pub(crate) mod pace;
pub(crate) mod window;

pub(crate) use self::ledger::Cause;
pub use self::window::{Quota, Window};
