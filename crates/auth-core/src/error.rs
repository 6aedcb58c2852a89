//! The two error types: [`Error`] when a token cannot be had, [`ConfigError`] when it could never be.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::Timestamp;
use crate::failure::{Failure, FailureKind};
use crate::jose::SignError;

/// Why there is no token for a request.
///
/// All callers that waited for one token request share one error, so it is cheap to clone. It says what happened, which
/// credential it happened to (by name), and when the next attempt may be made; ask its predicates rather than its text.
/// It holds no secret and no token. Of what an issuer wrote it holds the error code and the `error_description` of a refusal
/// (RFC 6749 §5.2): in quotation marks, escaped, cut at 256 characters, and with `[redacted]` in the place
/// of whatever was secret in the request or looks like a JWT.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: Kind,
    credential: Arc<str>,
    message: String,
    retry_at: Option<Timestamp>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The ledger has no unit left for this cause.
    Quota,
    /// A token request failed, just now or before, and its hold lasts.
    Failed(FailureKind),
    /// A token that was fetched because of a refusal was refused again.
    RefusedAgain,
    /// The store cannot be read or written, or holds what cannot be trusted.
    Store,
    /// The issuer's metadata cannot be had, or does not suit this client; whether that may pass.
    Discovery { passes: bool },
    /// The token cannot be presented: a proof cannot be signed.
    Proof,
    /// An explicit call for a user's own tools failed.
    Tool,
    /// There is no tokio runtime to send with.
    Runtime,
    /// The request does not say where it goes.
    RelativeUri,
    /// The request's path can be read in several ways, or no rule covers it.
    Unrouted,
    /// The request waited for a token as long as it would.
    Waited,
}

impl Error {
    pub(crate) fn quota(credential: Arc<str>, message: String, retry_at: Timestamp) -> Self {
        Self::build(Kind::Quota, credential, message, Some(retry_at), None)
    }

    pub(crate) fn failed(
        credential: Arc<str>,
        failure: &Failure,
        retry_at: Option<Timestamp>,
    ) -> Self {
        Self::build(
            Kind::Failed(failure.kind),
            credential,
            failure.detail.clone(),
            retry_at,
            failure.source.clone(),
        )
    }

    pub(crate) fn refused_again(credential: Arc<str>, retry_at: Timestamp) -> Self {
        let message = "the API refused the token, and the token request that answered a refusal before did not help; \
                       no more than one an hour is made for this"
            .to_owned();
        Self::build(Kind::RefusedAgain, credential, message, Some(retry_at), None)
    }

    pub(crate) fn no_other_key(credential: Arc<str>) -> Self {
        let message =
            "the API refused the key, and there is no other; put a new one where it is read from"
                .to_owned();
        Self::build(Kind::RefusedAgain, credential, message, None, None)
    }

    pub(crate) fn store(
        credential: Arc<str>,
        message: String,
        source: Option<Arc<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::build(Kind::Store, credential, message, None, source)
    }

    pub(crate) fn discovery(
        credential: Arc<str>,
        message: String,
        retry_at: Option<Timestamp>,
    ) -> Self {
        let passes = retry_at.is_some();
        Self::build(Kind::Discovery { passes }, credential, message, retry_at, None)
    }

    pub(crate) fn proof(credential: Arc<str>, error: SignError) -> Self {
        let message = format!("the proof for the request cannot be signed: {error}");
        Self::build(Kind::Proof, credential, message, None, Some(Arc::new(error)))
    }

    pub(crate) fn tool(credential: Arc<str>, message: String) -> Self {
        Self::build(Kind::Tool, credential, message, None, None)
    }

    pub(crate) fn runtime(credential: Arc<str>, message: &str) -> Self {
        Self::build(Kind::Runtime, credential, message.to_owned(), None, None)
    }

    pub(crate) fn relative_uri(credential: Arc<str>) -> Self {
        let message = "the request's URI is relative, so its origin cannot be checked; say with `assume_origin` where this \
                       stack sends its requests"
            .to_owned();
        Self::build(Kind::RelativeUri, credential, message, None, None)
    }

    pub(crate) fn unrouted(credentials: Arc<str>, message: String) -> Self {
        Self::build(Kind::Unrouted, credentials, message, None, None)
    }

    pub(crate) fn waited(credential: Arc<str>, patience: Duration) -> Self {
        let message = format!(
            "the request waited for a token for {patience:?}, as long as its options allow; the token request goes on for others"
        );
        Self::build(Kind::Waited, credential, message, None, None)
    }

    fn build(
        kind: Kind,
        credential: Arc<str>,
        message: String,
        retry_at: Option<Timestamp>,
        source: Option<Arc<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Inner { kind, credential, message, retry_at, source }))
    }

    /// The name of the credential that has no token; the names of those in the table, where none was found for a request: empty if it
    /// has none.
    pub fn credential(&self) -> &str {
        &self.0.credential
    }

    /// When the next attempt may be made, as the ledger, the pace or the issuer has it. Earlier calls get this error again
    /// and cost nothing.
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.0.retry_at.map(Into::into)
    }

    /// Whether the two say that the same thing is wrong.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.0.kind == other.0.kind
    }

    pub(crate) fn retry_timestamp(&self) -> Option<Timestamp> {
        self.0.retry_at
    }

    /// Whether the same call may succeed later with nothing changed on this side.
    pub fn is_transient(&self) -> bool {
        match self.0.kind {
            Kind::Quota | Kind::Store | Kind::Waited => true,
            Kind::Failed(failure) => failure.is_transient(),
            Kind::Discovery { passes } => passes,
            Kind::Proof
            | Kind::Tool
            | Kind::RefusedAgain
            | Kind::Runtime
            | Kind::RelativeUri
            | Kind::Unrouted => false,
        }
    }

    /// Whether the token requests of the day are spent: by this side's ledger, or by the issuer's word.
    pub fn is_quota_exhausted(&self) -> bool {
        matches!(self.0.kind, Kind::Quota | Kind::Failed(FailureKind::OverQuota))
    }

    /// Whether the issuer refuses the client id and secret (`invalid_client`, RFC 6749 §5.2).
    pub fn is_invalid_client(&self) -> bool {
        self.0.kind == Kind::Failed(FailureKind::InvalidClient)
    }

    /// Whether the issuer refuses what is asked for: the scope, the audience, the grant (RFC 6749 §5.2).
    pub fn is_rejected(&self) -> bool {
        self.0.kind == Kind::Failed(FailureKind::Rejected)
    }

    /// Whether the issuer answered with something that is no OAuth answer, or with a token that cannot be used.
    pub fn is_malformed_answer(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::Failed(FailureKind::Junk | FailureKind::Unusable | FailureKind::Redirect)
        )
    }

    /// Whether the issuer gave no answer in time.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Failed(FailureKind::Timeout)
    }

    /// Whether the token request never left this machine, so that it cost nothing.
    pub fn is_not_sent(&self) -> bool {
        self.0.kind == Kind::Failed(FailureKind::NotSent)
    }

    /// Whether the issuer's metadata is at fault (RFC 8414): it cannot be had, is not the issuer's, or says that the issuer does not
    /// take what this client would send. Nothing was spent.
    pub fn is_discovery(&self) -> bool {
        matches!(self.0.kind, Kind::Discovery { .. })
    }

    /// Whether the proof for a request cannot be signed (RFC 9449 §4).
    pub fn is_proof(&self) -> bool {
        self.0.kind == Kind::Proof
    }

    /// Whether a call of [`Authenticator::introspect`](crate::Authenticator::introspect) or
    /// [`revoke`](crate::Authenticator::revoke) failed at the issuer, or one of
    /// [`ApiKey::reload`](crate::ApiKey::reload) at the source.
    pub fn is_tool(&self) -> bool {
        self.0.kind == Kind::Tool
    }

    /// Whether the store is at fault: without it nothing is spent.
    pub fn is_store(&self) -> bool {
        self.0.kind == Kind::Store
    }

    /// Whether the table of routes has no credential for the request, and does not let it pass without one: no rule covers it, or its
    /// path can be read in several ways. It was not sent.
    pub fn is_unrouted(&self) -> bool {
        self.0.kind == Kind::Unrouted
    }

    /// Whether the request waited for a token for as long as
    /// [`RequestOptions::wait_at_most`](crate::RequestOptions::wait_at_most) allows.
    pub fn is_wait_over(&self) -> bool {
        self.0.kind == Kind::Waited
    }

    /// Whether the API refused a token that had been fetched because of a refusal, or a key that there is no other for.
    pub fn is_refused_again(&self) -> bool {
        self.0.kind == Kind::RefusedAgain
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.credential.is_empty() {
            return write!(f, "not sent: {}", self.0.message);
        }
        let what = match self.0.kind {
            Kind::Tool => "credential",
            Kind::Unrouted | Kind::RelativeUri => "not sent with credential",
            _ => "no token for credential",
        };
        write!(f, "{what} `{}`: {}", self.0.credential, self.0.message)?;
        match self.0.retry_at {
            Some(at) => write!(f, " (next attempt: {at})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("credential", &self.0.credential)
            .field("message", &self.0.message)
            .field("retry_at", &self.0.retry_at)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// What is wrong with the configuration. Nothing was sent and nothing was spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: String,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }

    /// The same of one among several: what is wrong, after which one it is.
    pub(crate) fn of(self, field: &'static str, which: impl fmt::Display) -> Self {
        Self { field, problem: format!("{which}: {}", self.problem) }
    }

    /// The setting at fault, by the name of its setter.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl StdError for ConfigError {}
