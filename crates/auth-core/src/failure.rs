//! What a token request can come to when it does not come to a token. What follows from that is in `answers.rs`.

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
    /// The issuer wants a nonce of its own in the proof (RFC 9449 §8), and has given one.
    NonceRequired,
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

/// One failure: its kind, words that are safe to print, and what the issuer said about when to come back.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// Written by this crate, but for what it quotes of the issuer's refusal: escaped, cut, and without what was secret in
    /// the request.
    pub(crate) detail: String,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the status was 401: the secret may be wrong, whatever the code says.
    pub(crate) is_unauthorized: bool,
    /// Whether the credential can change without a sign of it here, as a certificate does: no reason then to hold it for a day.
    pub(crate) changes_unseen: bool,
    pub(crate) source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            retry_after: None,
            is_unauthorized: false,
            changes_unseen: false,
            source: None,
        }
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
