//! The layer over tower's mocks in paused time, and over hyper and real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocations;
mod api;
mod balance;
mod bodies;
mod breaker;
mod destination;
mod dpop;
mod http2;
mod hyper_stack;
mod limits;
#[path = "../../../auth-core/tests/it/log.rs"]
mod log;
mod mock;
mod mtls;
mod options;
mod order_costs;
mod orders;
mod peers;
mod redirects;
mod refusal;
mod replays;
mod routes;
mod server;
mod support;
mod tls;
mod tower_http;
mod transports;
