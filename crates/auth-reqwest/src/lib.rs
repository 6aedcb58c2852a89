//! The token of [`auth_core`] for [`reqwest`]: a middleware that puts it on requests, and the transport that fetches it.
//!
//! - [`AuthMiddleware`] goes into a [`reqwest_middleware`] client. It gives requests to the credential's own origins their
//!   `Authorization` header, waits for the first token, and answers a 401 with one renewal and one replay.
//! - [`ReqwestTransport`] carries token requests to the issuer: once each, over a connection of its own, without redirects,
//!   retries, decompression, or a proxy that nobody asked for.
//! - [`AuthMiddleware::client`] builds the client below it, whose redirects lead no credential astray.
//! - [`error`] finds the typed error of a request that had no token.
//!
//! **Redirects.** reqwest follows them below the middleware, and its own policy leads credentials away. Build the client with
//! [`AuthMiddleware::client`], as here.
//!
//! # Example
//!
//! ```no_run
//! use auth_core::{Authenticator, ClientCredentials, Quota, Store};
//! use auth_reqwest::{AuthMiddleware, ReqwestTransport};
//! use reqwest_middleware::ClientBuilder;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = ClientCredentials::new("client-id", "client-secret")
//!     .token_endpoint("https://issuer.example/oauth/token")
//!     .audience("https://api.example");
//! let authenticator = Authenticator::builder(credentials)
//!     .quota(Quota::per_day(10))
//!     .store(Store::memory())
//!     .transport(ReqwestTransport::new()?)
//!     .build()?;
//! let auth = AuthMiddleware::new(authenticator);
//! let client = auth.client(reqwest::Client::builder())?;
//! let client = ClientBuilder::new(client).with(auth).build();
//!
//! match client.get("https://api.example/v2/shipments").send().await {
//!     Ok(response) => println!("{}", response.status()),
//!     Err(e) => match auth_reqwest::error(&e) {
//!         Some(e) => println!("no token; come back at {:?}", e.retry_at()),
//!         None => println!("the API cannot be reached: {e}"),
//!     },
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Deployment
//!
//! - **TLS.** This crate turns no TLS backend on. Enable its feature `rustls` or `native-tls`, or `rustls-no-provider` if
//!   the binary installs a provider of its own; a `reqwest` elsewhere in the build with its default features has done it
//!   already. A token endpoint that is `https` in a build without TLS is an error that says so, and costs nothing.
//! - **Redirects of the API.** Build the client below the middleware with [`AuthMiddleware::client`]; the middleware cannot make another
//!   one safe, and cannot see whether it is. reqwest follows redirects below the middleware, up to ten by default. It takes
//!   `Authorization` off a hop to another scheme, host or port, but the hop after that starts again from the headers of the first request: one
//!   more redirect within the other origin, and it has the token (reqwest 0.13.5 with tower-http 0.6.11). A key in another header, and the
//!   `DPoP` field, it never takes off. The policy of [`AuthMiddleware::redirects`] follows a redirect within one origin, where no rule tells
//!   the two URLs apart and no proof is made for each URL (RFC 9449 §4.3); the others come back as the answer they are. A 401 that comes from
//!   another origin is not taken for a refusal of the token.
//! - **Retries inside reqwest** (`ClientBuilder::retry`) send a request as it is: with the token of the first attempt, and where tokens are
//!   bound to a key with the same proof (RFC 9449 §11.1), which an API may refuse. Use `reqwest-retry` around the middleware.
//! - **Proxies of the API.** The client that is given to [`reqwest_middleware`] is the caller's, with the proxies of the
//!   environment unless it was told otherwise. The token requests do not go through it.
//! - **Retries.** With `reqwest-retry`, let the retries be outermost, so that every attempt reads the token anew:
//!   `.with(retries).with(auth)`. Middlewares below this one see the header of the credential.

mod error;
mod middleware;
mod origin;
mod redirect;
mod transport;

pub use self::error::error;
pub use self::middleware::AuthMiddleware;
pub use self::transport::{BuildError, ReqwestTransport, ReqwestTransportBuilder};
