//! A tower [`Layer`](tower_layer::Layer) that puts an OAuth 2.0 token on every request of a client: fetched once, inside a
//! token budget, renewed before it expires, sent to the origins it is bound to and to no others.
//!
//! It works in any client stack over `http::Request`: hyper's clients, tonic's channels, and services of your own, with any
//! body type.
//!
//! **Redirects.** A layer that follows them belongs *outside* of this one. Inside it leads credentials away, unless its policy asks
//! [`Routes::stays`](auth_core::Routes::stays).
//!
//! # Example
//!
//! ```
//! use auth_core::{Authenticator, ClientCredentials, Store};
//! use auth_tower::{AuthLayer, ServiceTransport};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), auth_tower::BoxError> {
//! # let issuer = service_fn(|_: Request<Full<Bytes>>| async {
//! #     let body = r#"{"access_token":"abc","token_type":"Bearer","expires_in":86400}"#;
//! #     Ok::<_, auth_tower::BoxError>(Response::new(Full::<Bytes>::from(body)))
//! # });
//! # let client = service_fn(|request: Request<Full<Bytes>>| async move {
//! #     assert_eq!(request.headers()["authorization"], "Bearer abc");
//! #     Ok::<_, auth_tower::BoxError>(Response::new(Full::<Bytes>::default()))
//! # });
//! let credentials = ClientCredentials::new("client-id", "client-secret")
//!     .token_endpoint("https://issuer.example/oauth/token")
//!     .audience("https://api.example");
//! let authenticator = Authenticator::builder(credentials)
//!     .store(Store::memory())
//!     .transport(ServiceTransport::new(issuer))
//!     .build()?;
//!
//! let mut api = ServiceBuilder::new().layer(AuthLayer::new(authenticator)).service(client);
//! let request = Request::get("https://api.example/v2/shipments").body(Full::<Bytes>::default())?;
//! let response = api.ready().await?.call(request).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! Customised, for bodies that cannot be sent twice and a channel that adds the origin below the layer:
//!
//! ```
//! # use auth_core::Authenticator;
//! use auth_tower::{AuthLayer, Never};
//!
//! # fn customised(authenticator: Authenticator) -> Result<(), auth_core::ConfigError> {
//! let layer = AuthLayer::new(authenticator)
//!     .replay(Never)
//!     .assume_origin("https://api.example".parse()?);
//! # Ok(())
//! # }
//! ```
//!
//! Two credentials, each for its own paths, and one request that wants something else:
//!
//! ```
//! use std::time::Duration;
//!
//! use auth_core::{ApiKey, Authenticator, RequestOptions, Routes, SecretSource};
//! use auth_tower::AuthLayer;
//!
//! # fn example(tokens: Authenticator) -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("key");
//! # std::fs::write(&path, "k-0123456789")?;
//! let key = ApiKey::builder("legacy", SecretSource::file(path)).token().build()?;
//! let routes = Routes::builder()
//!     .route("https://api.example/v1", key)
//!     .route("https://api.example/v2", tokens)
//!     .build()?;
//! let layer = AuthLayer::new(routes);
//!
//! let mut request = http::Request::get("https://api.example/v2/shipments").body(())?;
//! request
//!     .extensions_mut()
//!     .insert(RequestOptions::new().wait_at_most(Duration::from_secs(2)));
//! # Ok(())
//! # }
//! ```
//!
//! # What a request meets
//!
//! | the request | what happens |
//! |---|---|
//! | goes to an origin that no rule is for | passes on bare, unless the table says otherwise ([`Unmatched`](auth_core::Unmatched)) |
//! | goes to an origin with rules, and none covers it | fails with an error that says so, unless the table says otherwise |
//! | has a path that servers read in different ways, where rules look at paths | fails with an error that says so |
//! | has the credential's header already | passes on as it is |
//! | has a relative URI, and [`AuthLayer::assume_origin`] was not called | fails with an error that says so |
//! | any other, with a credential at hand | gets the header, and the inner service is called at once |
//! | any other, without | waits for the one token request under way, without holding the inner service's permit |
//!
//! A request that has a rule is never sent bare for want of a token, and never with another credential.
//! [`RequestOptions`](auth_core::RequestOptions) in its extensions make an exception for one request.
//!
//! # What its answer means
//!
//! | the answer | what happens |
//! |---|---|
//! | 401 with `invalid_token` (RFC 6750 §3.1), or without a reason to a token that has worked before | the token is *suspect*: it is renewed at most once, this request waits for that, and is sent again if its body can be (see [`Replay`]); others go on with the token |
//! | the same, when no other token can be had | goes back to the caller; the token is served on |
//! | 401 without a reason to a token that has never worked, here or in the process that it was adopted from | goes back to the caller, and costs nothing |
//! | 401 to the token that a refusal brought as well | opens the breaker of that origin and credential: its 401s go back to the callers, and cost nothing, until it takes a token |
//! | 401 to an API key | its source is read again; with another key the request is sent again |
//! | 403, or `insufficient_scope` | goes back to the caller, and never costs a token request |
//! | `grpc-status: 16` in the headers | as a 401, where [`AuthLayer::grpc_status`] says so |
//! | any other, 429 among them | goes back to the caller |
//!
//! A 401 means that the API did not act, so requests of every method are sent again, once at most; [`Idempotent`] says otherwise.
//!
//! Where tokens are bound to a key ([`dpop`](auth_core::ClientCredentials::dpop), RFC 9449), every attempt carries a proof of its own,
//! and a server that asks for its nonce first gets the request once more, under the same rules for bodies.
//!
//! # Deployment
//!
//! - The inner service must be `Clone`; put a [`Buffer`] around one that is not.
//! - Put layers that time out, retry or trace *outside* of this one: a retry then reads the token anew, and costs no token
//!   request of its own. Put limits on concurrency *inside*: a request that waits for a token holds no permit there.
//! - A layer that follows redirects belongs *outside* of this one, where each hop is checked against the routes. *Inside* it leads
//!   credentials away, unless its policy follows only where [`Routes::stays`](auth_core::Routes::stays) says so.
//! - `tokio::spawn(async move { service.oneshot(request).await })` over a service whose error is a [`BoxError`] does not compile
//!   ("`From` is not general enough", which tower's own `Timeout` meets as well); `tokio::spawn(service.oneshot(request))` does.
//!
//! `docs/stacks.md` in the repository has each order, what the wrong ones cost, and the compile errors with their way out.
//!
//! [`Buffer`]: https://docs.rs/tower/latest/tower/buffer/struct.Buffer.html

mod error;
mod future;
mod layer;
mod replay;
#[cfg(feature = "server")]
pub mod server;
mod service;
mod shared;
mod spare;
mod transport;

pub use self::error::{BoxError, error};
pub use self::future::ResponseFuture;
pub use self::layer::AuthLayer;
pub use self::replay::{Auto, Cloned, Idempotent, IfEmpty, Never, Replay, With};
pub use self::service::Auth;
#[cfg(feature = "hyper")]
pub use self::transport::HyperTransport;
pub use self::transport::ServiceTransport;
