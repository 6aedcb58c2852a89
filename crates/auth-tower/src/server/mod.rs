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

mod access;
mod algorithm;
#[cfg(test)]
mod allocations;
mod body;
mod cache;
mod certificate;
mod challenge;
mod claims;
mod dpop;
mod dpop_seen;
mod error;
mod future;
mod grpc;
mod guard;
mod jwks;
mod key_ring;
mod keys;
mod layer;
mod need;
mod presented;
mod proof;
mod provider;
mod service;
mod target;
#[cfg(test)]
mod testing;
mod verifier;

pub use self::access::{Access, AccessBuilder, AccessError, Otherwise, Refused};
pub use self::algorithm::Algorithm;
pub use self::body::ResponseBody;
pub use self::certificate::PeerCertificate;
pub use self::claims::{Claims, Confirmation};
pub use self::dpop::DpopVerifier;
pub use self::error::ConfigError;
pub use self::future::ResponseFuture;
pub use self::jwks::Jwks;
pub use self::key_ring::{HashedKey, HexError, KeyHash, KeyId, KeyRing};
pub use self::layer::{RequireTokenBuilder, RequireTokenLayer};
pub use self::need::Need;
pub use self::proof::ProofAlgorithm;
pub use self::service::RequireToken;
