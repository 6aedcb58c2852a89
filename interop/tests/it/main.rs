//! The crates against a certified issuer, and in a build whose `jsonwebtoken` has two providers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authentication;
mod build;
mod certificates;
mod possession;
mod refusals;
mod resources;
mod server;
