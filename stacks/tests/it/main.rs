//! The layer under clients that others generate and build, over real servers on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_server;
mod grpc;
mod grpc_gateway;
mod grpc_server;
mod kube;
mod support;
