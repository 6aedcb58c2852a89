//! Compiles the Rust snippets of the README and of the documents as doctests.
#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
#![cfg_attr(doctest, doc = include_str!("../../docs/issuers.md"))]
#![cfg_attr(doctest, doc = include_str!("../../docs/server.md"))]
