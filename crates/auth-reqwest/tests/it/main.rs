//! What the middleware and the transport promise, over real connections of the loopback interface.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as a test may")]

mod allocations;
mod dpop;
mod exchange;
mod harness;
mod http2;
mod keys;
#[path = "../../../auth-core/tests/it/log.rs"]
mod log;
#[cfg(feature = "rustls")]
mod mtls;
mod options;
mod orders;
mod peer;
#[path = "../../../auth-tower/tests/it/peers/mod.rs"]
#[cfg_attr(not(feature = "rustls"), allow(dead_code, reason = "certificates need TLS"))]
mod peers;
mod proxy;
mod quota;
mod redirect;
mod redirects;
mod refusal;
mod request;
mod retry;
mod secrecy;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
mod tower_stack;
