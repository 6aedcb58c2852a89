//! What the pieces promise together.

mod page;
mod vendor;
