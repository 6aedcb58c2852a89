//! What the transports of both adapters are tested against; auth-reqwest's tests include this folder.

pub(crate) mod http2;
pub(crate) mod mtls;
