//! What the issuer was asked, and what it answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use tokio::sync::watch;

use crate::past::Outcome;

/// A snapshot of the issuer's counts since it started; see [`Issuer::counters`](crate::Issuer::counters).
///
/// The outcomes of token requests add up to `token_requests`, but for requests that are being answered and those whose
/// client left before the answer. What a browser sends for the page of another site is in none of the counts, and neither
/// are revocations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Token requests that arrived, whatever became of them.
    pub token_requests: u64,
    /// Answered with a token.
    pub issued: u64,
    /// Refused with 401 `invalid_client`: an unknown client, or a wrong or missing secret.
    pub invalid_client: u64,
    /// Refused with `invalid_request`: malformed, incomplete, or of another content type; or with `invalid_dpop_proof` or
    /// `use_dpop_nonce` (RFC 9449 §5 and §8).
    pub bad_request: u64,
    /// Refused with 400 `unsupported_grant_type`.
    pub unsupported_grant: u64,
    /// Refused with 400 `invalid_scope`: a resource that the credential was not given, or what is no scope.
    pub invalid_scope: u64,
    /// Refused with 403 `access_denied`, an audience that the issuer does not serve, or with 400 `unauthorized_client`, a
    /// disabled credential.
    pub access_denied: u64,
    /// Refused with 429 `too_many_requests`, or with what [`Refusal`](crate::Refusal) says in its place. Not those that a
    /// [`Fault`](crate::Fault) answered with such a status: they are `faulted`, though no unit was left.
    pub over_quota: u64,
    /// Answered, or left without an answer, by a [`Fault`](crate::Fault). A delayed normal answer counts as what it is.
    pub faulted: u64,
    /// Refused with 500 `server_error`: the request could not be written down, or the token not be signed. Not those that a
    /// [`Fault`](crate::Fault) answered so.
    pub failed: u64,
    /// Requests to paths of the API that are there, by the status of their answer.
    pub api_calls: BTreeMap<u16, u64>,
}

impl Counters {
    /// Requests to the API that were answered, whatever the status.
    #[must_use]
    pub fn api_total(&self) -> u64 {
        self.api_calls.values().sum()
    }

    /// Requests to the API that were answered with `status`.
    #[must_use]
    pub fn api(&self, status: u16) -> u64 {
        self.api_calls.get(&status).copied().unwrap_or_default()
    }
}

/// The counts as they grow.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counters: Mutex<Counters>,
    /// How many of them were read and charged, for those who wait for it.
    received: watch::Sender<u64>,
}

impl Tally {
    pub(crate) fn snapshot(&self) -> Counters {
        self.counters().clone()
    }

    /// The head of a token request arrived.
    pub(crate) fn arrived(&self) {
        self.counters().token_requests += 1;
    }

    /// A token request was read, and its cost is settled.
    pub(crate) fn received(&self) {
        self.received.send_modify(|received| *received += 1);
    }

    /// Waits until `total` token requests have been received since the start.
    pub(crate) async fn until_received(&self, total: u64) {
        // It fails only without a sender, and `self` is the sender.
        let _ = self.received.subscribe().wait_for(|received| *received >= total).await;
    }

    /// A token request was answered, or will not be.
    pub(crate) fn ended(&self, outcome: Outcome) {
        let mut counters = self.counters();
        *match outcome {
            Outcome::Issued => &mut counters.issued,
            Outcome::InvalidClient => &mut counters.invalid_client,
            Outcome::BadRequest => &mut counters.bad_request,
            Outcome::UnsupportedGrant => &mut counters.unsupported_grant,
            Outcome::InvalidScope => &mut counters.invalid_scope,
            Outcome::AccessDenied => &mut counters.access_denied,
            Outcome::OverQuota => &mut counters.over_quota,
            Outcome::Faulted => &mut counters.faulted,
            Outcome::Failed => &mut counters.failed,
        } += 1;
    }

    /// The API answered.
    pub(crate) fn api_answered(&self, status: StatusCode) {
        *self.counters().api_calls.entry(status.as_u16()).or_default() += 1;
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
