//! What the middleware and the transport promise, over real connections of the loopback interface.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as a test may")]

mod allocations;
mod dpop;
mod exchange;
mod harness;
mod http2;
#[cfg(feature = "rustls")]
mod mtls;
mod peer;
mod proxy;
mod redirect;
mod refusal;
mod request;
mod retry;
mod secrecy;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
