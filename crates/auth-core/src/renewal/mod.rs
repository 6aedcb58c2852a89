//! How a token is come by: a loop over the plan, between the cell and the wire.
//!
//! read the cell → adopt, wait, or spend → send → settle. No lock is held anywhere on the way, and the ledger has the unit
//! before the issuer has the request.

mod advise;
mod anew;
mod credential;
mod discover;
mod exchange;
pub(crate) mod flight;
mod fly;
mod found;
mod means;
mod open;
mod outcome;
pub(crate) mod plan;
mod report;
mod run;
mod settle;

pub(crate) use self::credential::Credentials;
pub(crate) use self::exchange::exchange;
pub(crate) use self::found::Found;
pub(crate) use self::means::Renewal;
pub(crate) use self::open::OpenFlights;
pub(crate) use self::outcome::Acquired;
