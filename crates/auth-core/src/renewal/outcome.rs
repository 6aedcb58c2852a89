//! What a flight came to, and how that is written down.

use crate::clock::{Now, Timestamp};
use crate::failure::{Failure, FailureKind};
use crate::hold::Identity;
use crate::id::TokenId;
use crate::lifetime::Lifetime;
use crate::quota::said::Said;
use crate::quota::spend::Spend;
use crate::quota::{Cause, Quota};
use crate::record::{Record, StoredToken, Terms};
use crate::token::{AccessToken, Provenance, Snapshot};

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
        let StoredToken { id, sent, cause, .. } = *stored;
        let provenance = Provenance { id, cause, sent, lifetime: stored.lifetime() };
        Self { token, provenance, adopted: true }
    }

    /// The token that is in use.
    pub(super) fn again(snapshot: &Snapshot) -> Option<Self> {
        let Snapshot { id, cause, sent, lifetime, .. } = *snapshot;
        let provenance = Provenance { id, cause, sent, lifetime };
        Some(Self { token: snapshot.token()?, provenance, adopted: true })
    }

    /// As it goes into the record, to be sealed.
    pub(super) fn unsealed(&self) -> StoredToken {
        let Provenance { id, cause, sent, lifetime } = self.provenance;
        StoredToken { id, sent, lifetime_ms: lifetime.as_millis(), cause, sealed: String::new() }
    }
}

/// The end of a flight, to be written into the record.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    pub(super) spend: Spend,
    /// Of the credential that it was sent with, which may have been rotated since.
    pub(super) identity: Identity,
    /// When it ended: what the issuer said counts from then, however long the store took.
    pub(super) ended: Now,
    pub(super) outcome: Result<StoredToken, Failure>,
    /// What else the answer said.
    pub(super) said: Said,
    /// The end of the token that was at hand, for the pace of renewals ahead of time.
    pub(super) expires_at: Option<Timestamp>,
}

impl Settlement {
    /// Until when a failure holds others back. Applying it twice leaves the same record.
    pub(super) fn apply(&self, record: &mut Record, quota: &Quota) -> Option<Timestamp> {
        let terms =
            Terms { identity: self.identity, quota, expires_at: self.expires_at, now: self.ended };
        let refused = |failure: &Failure| failure.kind == FailureKind::OverQuota;
        let refused = self.outcome.as_ref().is_err_and(refused);
        record.heed(self.spend.id, &self.said, refused, &terms);
        match &self.outcome {
            Ok(token) => {
                record.settle_token(self.spend.id, token.clone(), &terms);
                None
            }
            Err(failure) => record.settle_failure(self.spend.id, failure, &terms),
        }
    }
}
