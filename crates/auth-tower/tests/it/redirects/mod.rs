//! Redirects of the API: chains of them through all that differs from it in one thing, and what
//! each request on the way carries.

mod inside;
mod outside;
mod world;
