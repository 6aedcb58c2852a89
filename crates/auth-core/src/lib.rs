//! OAuth 2.0 client credentials inside a token budget: the token, the quota, the ledger and the renewal, without an HTTP
//! client.
//!
//! An API gives its clients an id and a secret, and lets them trade the pair for a token a few times a day. This crate
//! fetches that token once, hands it to every request without a lock, renews it before it expires, and keeps count of what
//! was spent, so that no restart, outage or storm of 401s runs the budget out.
//!
//! Most programs use it through `auth-tower` or `auth-reqwest`, which also have the [`Transport`]s that carry its token
//! requests.
//!
//! # Example
//!
//! ```
//! use auth_core::{Authenticator, ClientCredentials, Quota, Store};
//! # use auth_core::{BoxFuture, Transport, TransportError};
//! # struct MyTransport;
//! # impl Transport for MyTransport {
//! #     fn send(&self, _: http::Request<bytes::Bytes>, _: std::time::Duration)
//! #         -> BoxFuture<'_, Result<http::Response<bytes::Bytes>, TransportError>> {
//! #         let body = r#"{"access_token":"abc","token_type":"Bearer","expires_in":86400}"#;
//! #         Box::pin(async move { Ok(http::Response::new(bytes::Bytes::from(body))) })
//! #     }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = ClientCredentials::new("client-id", "client-secret")
//!     .token_endpoint("https://issuer.example/oauth/token")
//!     .audience("https://api.example");
//! let authenticator = Authenticator::builder(credentials)
//!     .quota(Quota::per_day(10))
//!     .store(Store::memory())
//!     .transport(MyTransport)
//!     .build()?;
//!
//! let authorization = authenticator.authorization().await?;
//! assert!(authorization.header().is_sensitive());
//! assert_eq!(authenticator.status().await.windows[0].left, 9);
//! # Ok(())
//! # }
//! ```
//!
//! # What stands where
//!
//! Decisions are pure functions of a record and a clock reading; the store, the wire and the clock are at the edges. The
//! record of an OAuth client (what it spent, what is under way, what holds it back, the sealed tokens) lives in a
//! [`Store`], a versioned cell. Whoever needs a token reads the cell, and adopts what another has fetched, waits for a
//! request that is under way, or writes down a spend and then sends.

mod advice;
mod answers;
mod api_key;
mod authenticator;
mod binding;
mod cell;
mod clock;
mod config;
mod credential;
mod credentials;
mod error;
mod events;
mod failure;
mod fingerprint;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod heed;
mod hold;
mod id;
mod jose;
mod jwt;
mod lifetime;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "metrics/off.rs"]
mod metrics;
mod options;
mod origin;
mod path;
mod per_cpu;
mod possession;
mod preflight;
mod profile;
mod quota;
mod record;
mod renewal;
mod route;
mod seal;
mod secret;
mod shared;
mod source;
mod standing;
mod status;
mod store;
mod subscribe;
mod sync;
mod token;
mod tools;
mod waiting;
mod wire;

pub use self::api_key::{ApiKey, ApiKeyBuilder};
pub use self::authenticator::Authenticator;
pub use self::binding::Binding;
#[cfg(any(test, feature = "test-util"))]
pub use self::clock::fake::TokioClock;
pub use self::clock::{BootTime, Clock, Now, SystemClock, Timestamp};
pub use self::config::Builder;
pub use self::credential::Credential;
pub use self::credentials::{AssertionAudience, ClientCredentials};
pub use self::error::{ConfigError, Error};
pub use self::events::{Event, EventKind, Events, RenewalOutcome};
pub use self::id::BootId;
#[cfg(feature = "ring")]
pub use self::jose::{Algorithm, KeyError, SigningKey};
pub use self::jose::{PublicJwk, SignError, Signer};
pub use self::options::{CredentialUsed, RequestOptions};
pub use self::origin::{Origin, Target};
pub use self::path::{AmbiguousPath, PathPrefix};
pub use self::per_cpu::{Apart, PerCpu};
pub use self::profile::Profile;
pub use self::quota::{Calendar, Quota, RenewalCause, Window};
pub use self::route::{Route, RouteId, Routes, RoutesBuilder, Unmatched};
pub use self::secret::ClientSecret;
pub use self::source::SecretSource;
pub use self::status::{Status, TokenStatus, WindowStatus};
#[cfg(any(test, feature = "test-util"))]
pub use self::store::conformance;
pub use self::store::{
    BoxFuture, LedgerKey, MemoryStore, Store, StoreError, Stored, Version, VersionedCell, Written,
};
#[cfg(unix)]
pub use self::store::{FileStore, state_directory};
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub use self::sync::drop_this_task;
pub use self::token::{Authorization, Generation};
pub use self::wire::introspection::Introspection;
pub use self::wire::{ClientAuth, Discovery, LONGEST_ANSWER, Transport, TransportError};
