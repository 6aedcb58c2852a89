//! How many token requests a client may make, as vendors count them.
//!
//! Everything here is pure: the time comes in, and the lock is the registry's.

mod count;
mod headers;
mod meter;
mod rule;
mod window;

pub(crate) use self::count::Standing;
pub use self::count::{OverQuota, Spends, WindowLeft};
pub(crate) use self::headers::{OverAnswer, QuotaHeaders};
pub(crate) use self::meter::charge;
pub(crate) use self::rule::PlainQuota;
pub use self::rule::{Quota, Refusal};
pub use self::window::Window;
