//! How a token is come by: a loop over the plan, between the cell and the wire.
//!
//! read the cell → adopt, wait, or spend → send → settle. No lock is held anywhere on the way, and the ledger has the unit
//! before the issuer has the request.

mod anew;
mod exchange;
pub(crate) mod flight;
mod open;
mod outcome;
pub(crate) mod plan;
mod report;
mod run;

pub(crate) use self::open::OpenFlights;
pub(crate) use self::outcome::Acquired;
pub(crate) use self::run::Renewal;
