//! What the threads and tasks of one process meet at on the way to a token, in one place: `models/` compiles this crate over the primitives of
//! the model checkers, loom and shuttle, which then try the schedules that no test meets.
//!
//! | what is shared | how it is published | what it makes visible |
//! |---|---|---|
//! | the snapshot | [`Published`]: a swap under `Shared::slow`, a load on the path of every request | the whole snapshot; nothing else is synchronised through it |
//! | the refused tokens, the last error | `Shared::slow`, a lock | each other, and the order of swaps |
//! | the flight under way | `Flights::state`, a lock | the epoch, how the last flight ended, and which failure answers for it |
//! | that a flight has ended | [`Notify`] | nothing by itself: whoever is woken looks into `Flights::state`, and the snapshot was swapped before |
//! | `Flights::flying`, `Renewal::step`, `Cell::highest`, `advice::Once` | relaxed atomics | nothing: they are hints, and a stale one costs a look or a little patience |
//! | the credential as it is now | `Credentials::now`, a lock | the secret with the keys and the identity that go with it |
//! | the issuer's metadata | `Found`, a lock | the metadata, and when to ask again |
//! | the servers' nonces | [`Published`] in `Dpop` | the nonce; of two that come at a time either may stay |
//! | an API key | [`Published`] in `ApiKey`: a swap under `ApiKey`'s lock, a load on the path of every request | the whole snapshot |
//! | the read of its source that is under way | `Reads`, a lock | each other, and the order of swaps |
//! | that this read has ended | `watch` | what it came to; the snapshot was swapped before |
//! | the events | a channel of tokio's, made for the first who listens; the model checkers have none who does | an event, after whatever it tells of |
//! | flights that the record may still have | `OpenFlights`, a lock | their settlements |
//!
//! None of these locks is held while another is taken, or across an await; the user's clock is asked under `Shared::slow`.
//! Elsewhere: the count of authenticators (`shared.rs`) and of threads (`per_cpu.rs`), which are hints as well, and the files
//! of a `FileStore`, which have locks of their own.

mod published;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod real;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod replaced;

pub(crate) use self::published::Published;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub(crate) use self::real::*;
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub use self::replaced::drop_this_task;
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) use self::replaced::*;
