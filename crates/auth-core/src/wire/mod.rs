//! The token request and its answer, without I/O: an [`http::Request`] out, an [`http::Response`] in.
//!
//! What carries them is a [`Transport`]; the adapter crates have ready-made ones.

pub(crate) mod asked;
pub(crate) mod challenge;
pub(crate) mod client_auth;
pub(crate) mod dpop;
pub(crate) mod endpoint;
pub(crate) mod introspection;
mod members;
pub(crate) mod metadata;
pub(crate) mod parameters;
pub(crate) mod quote;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod response;
mod said;
pub(crate) mod well_known;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

pub use self::client_auth::ClientAuth;
pub use self::well_known::Discovery;
use crate::store::BoxFuture;

/// The longest answer of a token endpoint that is read: 64 KiB.
pub const LONGEST_ANSWER: usize = 64 * 1024;

/// What carries a request to the issuer, once: a token request, and where they are used a request for its metadata (a `GET`),
/// introspection and revocation.
///
/// # Contract
///
/// A token request costs a unit of the quota, and carries the client's secret. So a transport
///
/// - sends each request at most once: no retries of any kind, a fresh connection rather than a pooled one,
/// - follows no redirects and uses no proxy that the user did not ask for,
/// - does not decompress, and reads at most [`LONGEST_ANSWER`] of a body ([`TransportError::body_too_long`] beyond it),
/// - checks the server's certificate before anything is sent,
/// - gives the connection less time than the deadline, and answers [`TransportError::not_sent`] when it is not up by then: an
///   issuer that cannot be reached then costs nothing.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and reads the whole answer. The caller drops the future after `deadline`; a transport that knows more
    /// may end sooner.
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        (**self).send(request, deadline)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub struct TransportError {
    pub(crate) kind: TransportErrorKind,
    pub(crate) source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportErrorKind {
    NotSent,
    InDoubt,
    BodyTooLong,
    Timeout,
}

impl TransportError {
    /// The request may have reached the issuer. In doubt, this is the one: the unit stays spent.
    pub fn in_doubt(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: TransportErrorKind::InDoubt, source: Some(Arc::from(source.into())) }
    }

    /// Not one byte of the request left this machine: name resolution, the connection or the TLS handshake failed. The unit
    /// is given back, so a transport says this only of failures *before* the connection was up.
    pub fn not_sent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: TransportErrorKind::NotSent, source: Some(Arc::from(source.into())) }
    }

    /// The answer is longer than [`LONGEST_ANSWER`].
    pub fn body_too_long() -> Self {
        Self { kind: TransportErrorKind::BodyTooLong, source: None }
    }

    /// There was no whole answer in time.
    pub fn timeout() -> Self {
        Self { kind: TransportErrorKind::Timeout, source: None }
    }

    /// Whether the request is known not to have left.
    pub fn is_not_sent(&self) -> bool {
        self.kind == TransportErrorKind::NotSent
    }

    /// Whether the request may have reached the issuer, and broke off then.
    pub fn is_in_doubt(&self) -> bool {
        self.kind == TransportErrorKind::InDoubt
    }

    /// Whether there was no whole answer in time.
    pub fn is_timeout(&self) -> bool {
        self.kind == TransportErrorKind::Timeout
    }

    /// Whether the answer was longer than [`LONGEST_ANSWER`].
    pub fn is_body_too_long(&self) -> bool {
        self.kind == TransportErrorKind::BodyTooLong
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::NotSent => "the token endpoint cannot be reached; nothing was sent",
            TransportErrorKind::InDoubt => {
                "the exchange with the token endpoint broke off after the request may have been sent"
            }
            TransportErrorKind::BodyTooLong => "the token endpoint's answer is longer than 64 KiB",
            TransportErrorKind::Timeout => "the token endpoint gave no whole answer in time",
        })
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
