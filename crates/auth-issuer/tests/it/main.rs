//! What the issuer promises, over real connections of the loopback interface.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as a test may")]

mod admin_api;
mod api;
mod binary;
mod credentials;
mod everywhere;
mod fault;
mod holder;
mod http;
mod kept;
mod manners;
mod metadata;
mod oauth;
mod page;
mod quota;
mod revoke;
mod script;
mod secrecy;
mod serve;
mod token;
mod twist;
