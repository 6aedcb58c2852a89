//! Benchmarks of the workspace; each prints its figures as ratios to a baseline of the same run.
//!
//! The measurements are functions that return a [`Section`], so that each can be run by itself (`cargo bench -p benches
//! --bench hit`) and all of them by `cargo run --release -p benches --bin report`.
//!
//! What they have in common: rounds of all cases are interleaved, so that a drift of the machine hits them alike, and each
//! figure is the median of its rounds. Threads are pinned. A round is *calm* if no thread was preempted in it, which its
//! wall clock and its CPU clock tell; where a measurement has calm rounds, only they count. Read the ratios: the
//! nanoseconds are those of one machine.

pub mod child;
pub mod clock;
pub mod contended;
pub mod credential;
pub mod end_to_end;
pub mod headers;
pub mod herd;
pub mod hit;
pub mod instructions;
pub mod layer;
pub mod loopback;
pub mod picture;
pub mod profile;
pub mod refresh;
pub mod require_token;
pub mod scale;
pub mod section;
pub mod stats;
pub mod store;
pub mod targets;
pub mod threads;
pub mod work;

pub use self::section::{Scale, Section, Table};
