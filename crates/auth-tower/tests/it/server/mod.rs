//! `RequireTokenLayer` against the keys and the tokens of a real issuer, and against our own client side.

mod bound;
mod flights;
mod grpc;
mod leaks;
mod misuse;
mod outages;
mod paths;
mod rotation;
mod settings;
mod shown;
mod stacks;
mod support;
mod together;
mod tokens;
mod world;
