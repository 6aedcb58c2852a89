//! The layer over tower's mocks in paused time, and over hyper and real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocations;
mod bodies;
mod breaker;
mod destination;
mod dpop;
mod http2;
mod hyper_stack;
mod limits;
mod mock;
mod mtls;
mod options;
mod orders;
mod peers;
mod refusal;
mod routes;
mod support;
mod tls;
mod transports;
