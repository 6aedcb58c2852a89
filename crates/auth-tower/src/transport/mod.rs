//! What carries token requests: any tower service, or hyper-util's client.

mod body;
#[cfg(feature = "hyper")]
mod hyper;
mod service;

#[cfg(feature = "hyper")]
pub use self::hyper::HyperTransport;
pub use self::service::ServiceTransport;
