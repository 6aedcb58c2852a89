//! What a flight came to, and how that is written down.

use super::Renewal;
use crate::clock::Timestamp;
use crate::failure::Failure;
use crate::id::TokenId;
use crate::lifetime::Lifetime;
use crate::quota::Cause;
use crate::quota::ledger::Spend;
use crate::record::{Record, StoredToken};
use crate::token::{AccessToken, Provenance};

/// A token, fetched or adopted.
#[derive(Clone, Debug)]
pub(crate) struct Acquired {
    pub(crate) token: AccessToken,
    pub(crate) provenance: Provenance,
    pub(crate) adopted: bool,
}

impl Acquired {
    pub(super) fn fetched(
        token: AccessToken,
        cause: Cause,
        sent: Timestamp,
        lifetime: Lifetime,
    ) -> Self {
        let provenance = Provenance { id: TokenId::random(), cause, sent, lifetime };
        Self { token, provenance, adopted: false }
    }

    pub(super) fn adopted(token: AccessToken, stored: &StoredToken) -> Self {
        let provenance = Provenance {
            id: stored.id,
            cause: stored.cause,
            sent: stored.sent,
            lifetime: stored.lifetime(),
        };
        Self { token, provenance, adopted: true }
    }
}

/// The end of a flight, to be written into the record.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(super) spend: Spend,
    pub(super) outcome: Result<Acquired, Failure>,
    /// The end of the token that was at hand, for the pace of renewals ahead of time.
    pub(super) expires_at: Option<Timestamp>,
}

impl Settlement {
    /// Applying it twice leaves the same record.
    pub(super) fn apply(&self, record: &mut Record, renewal: &Renewal) -> Option<Timestamp> {
        let now = renewal.clock.now();
        match &self.outcome {
            Ok(acquired) => {
                let mut stored = StoredToken {
                    id: acquired.provenance.id,
                    sent: acquired.provenance.sent,
                    lifetime_ms: acquired.provenance.lifetime.as_millis(),
                    cause: acquired.provenance.cause,
                    sealed: String::new(),
                };
                let request = renewal.identity.request;
                renewal.keys.seal(renewal.cell.key(), request, &mut stored, &acquired.token);
                record.settle_token(self.spend.id, renewal.identity, stored, now);
                None
            }
            Err(failure) => record.settle_failure(
                self.spend.id,
                renewal.identity,
                failure,
                &renewal.quota,
                self.expires_at,
                now,
            ),
        }
    }
}
