//! Benchmarks of the workspace; each prints its figures as ratios to a baseline of the same run.
