//! What a token request can come to when it does not come to a token, and whom that concerns.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kinds of failure, as they stand in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The issuer says that the client asked too often.
    OverQuota,
    /// The issuer does not accept the client's id and secret.
    InvalidClient,
    /// The issuer understands the request and refuses it: scope, audience, grant.
    Rejected,
    /// The issuer says that it cannot answer now.
    Unavailable,
    /// The token endpoint answered with a redirect, which is never followed.
    Redirect,
    /// The answer is not one that OAuth knows.
    Junk,
    /// There is a token in the answer, and it cannot be used.
    Unusable,
    /// There is a token in the answer, and it lives so shortly that the quota cannot keep up.
    ShortLived,
    /// There was no answer in time.
    Timeout,
    /// The exchange broke after the request may have been sent.
    Transport,
    /// The request never left this machine.
    NotSent,
    /// The process that sent the request did not live to report.
    Lost,
    /// The transport panicked.
    Panicked,
    /// A kind that a newer version of this crate wrote down.
    #[serde(other)]
    Other,
}

/// Whom a failure concerns, and therefore whom its hold stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every request to this issuer.
    Issuer,
    /// Every request with this secret and this way of sending it.
    Credential,
    /// Requests with the same audience, scopes and parameters.
    Request,
}

impl FailureKind {
    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::InvalidClient => Scope::Credential,
            Self::Rejected | Self::Unusable | Self::ShortLived => Scope::Request,
            Self::OverQuota
            | Self::Unavailable
            | Self::Redirect
            | Self::Junk
            | Self::Timeout
            | Self::Transport
            | Self::NotSent
            | Self::Lost
            | Self::Panicked
            | Self::Other => Scope::Issuer,
        }
    }

    /// Whether the same request may succeed later with nothing changed on this side.
    pub(crate) fn is_transient(self) -> bool {
        match self {
            Self::OverQuota
            | Self::Unavailable
            | Self::Junk
            | Self::ShortLived
            | Self::Timeout
            | Self::Transport
            | Self::NotSent
            | Self::Lost
            | Self::Panicked
            | Self::Other => true,
            Self::InvalidClient | Self::Rejected | Self::Redirect | Self::Unusable => false,
        }
    }
}

/// One failure: its kind, words that are safe to print, and what the issuer said about when to come back.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// Written by this crate, never copied from an answer.
    pub(crate) detail: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None, source: None }
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    pub(crate) fn with_source(mut self, source: Option<Arc<dyn StdError + Send + Sync>>) -> Self {
        self.source = source;
        self
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?}: {})", self.kind, self.detail)
    }
}
