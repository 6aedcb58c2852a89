//! A tower [`Layer`](tower_layer::Layer) that puts an OAuth 2.0 token on every request of a client: fetched once, inside a
//! token budget, renewed before it expires, sent to the origins it is bound to and to no others.
//!
//! It works in any client stack over `http::Request`: hyper's clients, tonic's channels, and services of your own, with any
//! body type.
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
//! # What a request meets
//!
//! | the request | what happens |
//! |---|---|
//! | goes to an origin that the credential is not bound to | passes on bare |
//! | has an `Authorization` header of its own | passes on as it is |
//! | has a relative URI, and [`AuthLayer::assume_origin`] was not called | fails with an error that says so |
//! | any other, with a token at hand | gets the header, and the inner service is called at once |
//! | any other, without | waits for the one token request under way, without holding the inner service's permit |
//!
//! A 401 refuses the token: it is renewed at most once, and the request is sent again if its body can be (see [`Replay`]).
//! Otherwise the 401 goes back to the caller. A 403 passes through, and never costs a token request.
//!
//! Where tokens are bound to a key ([`dpop`](auth_core::ClientCredentials::dpop), RFC 9449), every attempt carries a proof of its own,
//! and a server that asks for its nonce first gets the request once more, under the same rules for bodies.
//!
//! # Deployment
//!
//! - The inner service must be `Clone`; put a [`Buffer`] around one that is not.
//! - Put layers that time out, retry or trace *outside* of this one: a retry then reads the token anew, and costs no token
//!   request of its own. Put limits on concurrency *inside*: a request that waits for a token holds no permit there.
//! - A layer that follows redirects belongs *outside* of this one, where each hop is checked against the origins.
//! - `tokio::spawn(async move { service.oneshot(request).await })` over a `Buffer` does not compile ("`From` is not general
//!   enough", which tower's own `Timeout` meets as well); `tokio::spawn(service.oneshot(request))` does.
//!
//! [`Buffer`]: https://docs.rs/tower/latest/tower/buffer/struct.Buffer.html

mod error;
mod future;
mod layer;
mod replay;
mod service;
mod shared;
mod spare;
mod transport;

pub use self::error::{BoxError, error};
pub use self::future::ResponseFuture;
pub use self::layer::AuthLayer;
pub use self::replay::{Auto, Cloned, IfEmpty, Never, Replay, ReplayBody, With};
pub use self::service::Auth;
#[cfg(feature = "hyper")]
pub use self::transport::HyperTransport;
pub use self::transport::ServiceTransport;
