//! Compiles the Rust snippets of the README as doctests.
#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
