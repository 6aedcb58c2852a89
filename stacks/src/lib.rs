//! What the tests and the example share: a small gRPC server that only tokens of the embedded
//! issuer open.
//!
//! It also compiles the Rust snippets of `docs/stacks.md` as doctests.
#![cfg_attr(doctest, doc = include_str!("../../docs/stacks.md"))]

mod server;
mod tracker;

/// The generated client and server; `src/bin/generate.rs` writes them.
pub mod shipments {
    include!("../proto/shipments.rs");
}

pub use self::server::Server;
pub use self::tracker::Tracker;
