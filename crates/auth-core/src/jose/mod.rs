//! Signatures in the form of JOSE: what a client shows in the place of its secret.
//!
//! A [`Signer`] is the only thing that has a private key. Around it stand the two texts that clients sign: the assertion
//! that says who the client is (RFC 7523 §3), and the proof that a request comes from whom the token is bound to (RFC 9449
//! §4.2). Both are built here by hand: a JWS is two pieces of JSON and a signature, and `jsonwebtoken` signs through a
//! provider of the whole process, which is the final binary's business.

pub(crate) mod assertion;
pub(crate) mod jwk;
pub(crate) mod jws;
#[cfg(feature = "ring")]
pub(crate) mod key;
pub(crate) mod proof;
pub(crate) mod signer;

pub use self::jwk::PublicJwk;
#[cfg(feature = "ring")]
pub use self::key::{Algorithm, KeyError, SigningKey};
pub use self::signer::{SignError, Signer};
