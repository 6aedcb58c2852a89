//! The other side: bearer tokens (RFC 6750), verified by whoever serves an API.
//!
//! A token is a JWT (RFC 7519) that its issuer has signed with a private key; the public ones are in a key set ([`Jwks`],
//! RFC 7517) which is fetched once, kept, and asked for again when it is old or when a token names a key that is not in it.
//! What has been verified is remembered, so that the next request with the same token costs one hash and no lock.
//!
//! # The crypto provider
//!
//! Signatures are checked by `jsonwebtoken`, whose cryptography is the choice of the final binary: it either enables exactly
//! one of that crate's features `aws_lc_rs` and `rust_crypto`, or calls
//! `jsonwebtoken::crypto::CryptoProvider::install_default` before anything is built here. This crate enables none, since two in one
//! build are as bad as none. Where there is none, `jsonwebtoken` panics at its first signature; this is tried out when a verifier is
//! built, and is a [`ConfigError`] then instead of a panic in each request.

mod algorithm;
mod cache;
mod claims;
mod error;
mod jwks;
mod keys;
mod provider;
#[cfg(test)]
mod testing;
#[cfg_attr(not(test), expect(dead_code, reason = "what calls it is the layer"))]
mod verifier;

pub use self::algorithm::Algorithm;
pub use self::claims::{Claims, Confirmation};
pub use self::error::{ConfigError, Invalid, Reason, Rejected};
pub use self::jwks::Jwks;
