//! A new record in the place of one that cannot be used any more.

use super::means::Renewal;
use super::outcome::Acquired;
use crate::error::Error;
use crate::quota::window::LARGEST_LIMIT;
use crate::record::Record;
use crate::token::{Freshness, Snapshot};

impl Renewal {
    /// Puts a new record into the store, which counts `spent` token requests, or else the whole quota. The token at hand goes
    /// with it, since others could have none for as long as the quota is spent.
    pub(crate) async fn start_anew(
        &self,
        spent: Option<u32>,
        snapshot: Option<&Snapshot>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        // The largest limit that there is: others may hold the same client to another quota.
        let spent = spent.unwrap_or(LARGEST_LIMIT);
        let mut record = Record::new();
        record.ledger.append_unknown(spent, &self.quota, now);
        let alive = snapshot.filter(|snapshot| {
            !snapshot.suspect && snapshot.freshness_at(now) != Freshness::Expired
        });
        if let Some(acquired) = alive.and_then(Acquired::again) {
            let credential = self.credentials.now();
            record.tokens.insert(credential.identity.request, self.sealed(&credential, &acquired));
        }
        let replaced = self.cell.replace(&mut record, now.wall).await;
        replaced.map_err(|error| self.store_error(error))?;
        tracing::warn!(credential = %self.name, spent, "a new record was started");
        Ok(())
    }
}
