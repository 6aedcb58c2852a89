//! The authenticator against a scripted issuer, in tokio's paused time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(unix)]
mod anew;
mod budget;
mod clocks;
mod config;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod file_store;
mod flight;
#[cfg(unix)]
mod hot_path;
mod issuer_answers;
mod issuer_word;
mod kill;
mod outage;
#[cfg(unix)]
mod race;
mod refusal;
mod secrecy;
mod sharing;
mod status;
mod store;
mod support;
