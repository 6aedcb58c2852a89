//! What the pieces promise together.

mod docs;
mod page;
mod testing;
mod vendor;
