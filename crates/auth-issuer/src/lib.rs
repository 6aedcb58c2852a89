//! An embedded OAuth 2.0 issuer with a token quota, and a small API that its tokens open: the vendor's side of client
//! credentials, in process, for examples and for tests.
//!
//! One line starts it on a free port of the loopback interface, and dropping it stops it:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), auth_issuer::StartError> {
//! let issuer = auth_issuer::Issuer::start().await?;
//! assert!(issuer.url().starts_with("http://127.0.0.1:"));
//! // ... point the code under test at `issuer.token_endpoint()` ...
//! assert_eq!(issuer.token_requests(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! A test can make it misbehave, move its clock, and count what it was asked:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), auth_issuer::StartError> {
//! use std::time::Duration;
//!
//! use auth_issuer::{Fault, Issuer, ManualClock};
//!
//! let clock = ManualClock::new();
//! let issuer = Issuer::builder()
//!     .client("shipping-app", "s3cret")
//!     .lifetime(Duration::from_secs(3600))
//!     .quota(10)
//!     .clock(clock.clone())
//!     .start()
//!     .await?;
//! issuer.fail_next(3, Fault::status(503).retry_after(Duration::from_secs(30)));
//! clock.advance(Duration::from_secs(3601));
//! assert_eq!(issuer.counters().faulted, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What it serves
//!
//! | Request              | Answer                                                                               |
//! |----------------------|--------------------------------------------------------------------------------------|
//! | `POST /oauth/token`  | RFC 6749 §4.4, JSON or form bodies, `client_secret_post`, `client_secret_basic`      |
//! |                      | or `private_key_jwt`; bound to a key if there is a DPoP proof (RFC 9449)             |
//! | `POST /oauth/revoke` | RFC 7009, for the tokens of the client that asks                                     |
//! | `GET /.well-known/`… | `oauth-authorization-server`, `openid-configuration` (RFC 8414), `jwks.json`         |
//! | `GET /v2/…`          | each [`Resource`]: a fixed list, and its items; for tokens and keys                  |
//! | `POST /v2/bookings`  | 201 and the body that was sent                                                       |
//! | `/v1/…`              | the same resources, for keys only                                                    |
//! | `GET /settings/api`  | the page of credentials and the legacy key, for who came by [`Issuer::settings_url`] |
//! | `/admin/…`           | the same as JSON, for programs that show [`Issuer::admin_token`]                     |
//!
//! The connections speak HTTP/1.1 or HTTP/2 with prior knowledge, without TLS.
//!
//! # The quota
//!
//! Every token request that names a known client spends one of that client's units, whatever the answer is; one that is
//! refused because no unit is left spends none. The units of [`IssuerBuilder::quota`] come back one by one, each a
//! [`IssuerBuilder::quota_window`] after it was spent. [`IssuerBuilder::quotas`] takes a [`Quota`] of several windows, of
//! the calendar too, that counts late, spares failures, or refuses in other words.
//!
//! # The admin API
//!
//! For programs of this machine that show `Authorization: Bearer` with [`Issuer::admin_token`]. Bodies and answers are JSON,
//! times are Unix seconds, and a client id in a path is percent-encoded.
//!
//! | Request                              | Body                                      | Answer                                          |
//! |--------------------------------------|-------------------------------------------|-------------------------------------------------|
//! | `GET /admin`                         |                                           | 200, the paths of the parts                     |
//! | `GET /admin/resources`               |                                           | 200 `{"resources": [{"name", "title"}]}`        |
//! | `GET /admin/credentials`             |                                           | 200 `{"credentials": [...]}`, the oldest first  |
//! | `POST /admin/credentials`            | `{"name": "...", "resources": ["..."]}`   | 201 `{"client_id", "client_secret"}`            |
//! | `POST /admin/credentials/ID/disable` |                                           | 200 `{"client_id", "enabled": false}`           |
//! | `POST /admin/credentials/ID/enable`  |                                           | 200 `{"client_id", "enabled": true}`            |
//! | `POST /admin/credentials/ID/rotate`  |                                           | 200 `{"client_id", "client_secret"}`            |
//! | `DELETE /admin/credentials/ID`       |                                           | 204                                             |
//! | `GET /admin/api-key`                 |                                           | 200 `{"exists", "created"}`; the key is not told |
//! | `POST /admin/api-key`                |                                           | 201 `{"api_key"}`; 409 if there is one          |
//! | `POST /admin/api-key/revert`         |                                           | 201 `{"api_key"}`; 404 if there is none         |
//!
//! A credential in the list is `{"client_id", "name", "resources", "enabled", "created", "spent", "quota": {"limit", "spent",
//! "next_opens"}, "requests": [{"at", "cause", "outcome", "spent"}]}`. Secrets and keys are told once, when they are made.
//!
//! Refusals are `{"error", "error_description"}`: 400 `invalid_request`, 401 `invalid_token`, 403 `access_denied` to another
//! machine, 404 `not_found`, 405 `invalid_request`, 409 `conflict`, 421 `access_denied` for a foreign `Host`, and 500
//! `server_error` if a directory cannot be written to: nothing has changed then.
//!
//! # Faults
//!
//! A [`Fault`] is what a request gets in the place of its answer, or what befalls that, and an [`Event`] is what happens to the issuer. Both can
//! be ordered while it runs ([`Issuer::fault`], [`Issuer::happen`]), or be written down beforehand, by code or in a TOML
//! file: a [`Script`].
//!
//! # Deployment
//!
//! It is for development: its state is in memory, or in a directory with the key that signs, and it does not speak TLS. It
//! binds to loopback addresses only, unless [`IssuerBuilder::allow_non_loopback`] is said, and its page and its admin API are
//! for its own machine even then. Requests that a browser sends for the page of another site get no token and spend nothing.

mod admin;
mod admin_api;
mod admin_error;
mod api;
mod base_url;
mod builder;
mod clock;
mod counters;
mod credential;
mod directory;
mod error;
mod fault;
mod hash;
mod info;
mod issuer;
mod jose;
mod json_answer;
mod kept;
mod keyring;
mod keys;
mod metadata;
mod moment;
mod oauth;
mod page;
mod past;
mod possession;
mod private;
mod quota;
mod random;
mod record;
mod registry;
mod resource;
mod revoked;
mod rotation;
mod serve;
mod skew;
mod start;
mod state;
mod token;
mod tokens;
mod unknown;
mod upset;

#[cfg(test)]
#[path = "../tests/it/holder.rs"]
mod holder;

pub use admin_error::AdminError;
pub use builder::IssuerBuilder;
pub use clock::{Clock, ManualClock, SystemClock};
pub use counters::Counters;
pub use error::StartError;
pub use fault::{Event, Fault, Gate, Place, Script, ScriptError, When};
pub use info::{CredentialInfo, NewCredentials};
pub use issuer::Issuer;
pub use keys::{KeyError, SigningKey};
pub use past::{Cause, Outcome, PastRequest};
pub use quota::{OverQuota, Quota, Refusal, Spends, Window, WindowLeft};
pub use record::{ClientAuth, TokenRequestRecord};
pub use resource::{Resource, UnknownResource};
