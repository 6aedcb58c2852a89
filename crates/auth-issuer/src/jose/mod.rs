//! What clients sign: keys, signatures, and what they say (RFC 7515, 7517, 7523, 9449).

mod assertion;
mod jwk;
mod jws;
mod nonce;
mod proof;
mod replay;

pub(crate) use self::assertion::ClientKeys;
pub(crate) use self::jwk::{ALGORITHMS, PublicKey, encode, install_provider};
pub(crate) use self::jws::unverified_subject;
pub(crate) use self::nonce::Nonces;
pub(crate) use self::proof::{Expected, ProofError, check};
pub(crate) use self::replay::Replays;
