//! What the pieces promise together.

mod vendor;
