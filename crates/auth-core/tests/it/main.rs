//! The authenticator against a scripted issuer, in tokio's paused time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod advice;
#[cfg(unix)]
mod anew;
mod budget;
mod clocks;
mod config;
mod discovery;
mod dpop;
mod echo;
mod events;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod file_store;
mod flight;
#[cfg(unix)]
mod heed;
mod hot_path;
mod issuer_answers;
mod issuer_word;
mod kill;
mod log;
mod metrics;
mod outage;
#[cfg(unix)]
mod race;
mod refusal;
mod rotation;
mod routes;
mod secrecy;
mod sharing;
mod status;
mod store;
mod stores;
mod support;
mod tools;
