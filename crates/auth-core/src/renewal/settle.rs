//! What a flight came to, written into the record: at once, or later if the store fails.

use std::time::Duration;

use super::means::{CONTENDED, POLL, Renewal, jittered};
use super::outcome::Settlement;
use crate::cell::CellError;
use crate::clock::Timestamp;
use crate::record::Record;
use crate::store::Written;
use crate::sync::{sleep, timeout};

/// The pauses between the attempts to settle after that.
const SETTLE_LATER: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(6),
];

/// How long each of those attempts may take.
const SETTLE_ONCE: Duration = Duration::from_secs(10);

impl Renewal {
    /// Applies what earlier flights of this process came to and could not write down; whether there was something.
    pub(super) fn settle_open(&self, record: &mut Record) -> bool {
        let mut changed = false;
        for settlement in self.open.settlements() {
            let id = settlement.spend.id;
            // Another process may have given the flight up: what it came to is known here all the same.
            let under_way =
                record.ledger.spends().iter().any(|spend| spend.id == id && spend.is_unreported());
            if under_way {
                settlement.apply(record, &self.quota);
            } else {
                self.open.settled(id);
            }
            changed |= under_way;
        }
        changed
    }

    /// Writes down what a flight came to; until when its failure holds others back, if it was one.
    pub(super) async fn settle(
        &self,
        settlement: &Settlement,
    ) -> Result<Option<Timestamp>, CellError> {
        let mut contended = CONTENDED;
        loop {
            let (version, mut record) = self.cell.read().await?;
            let retry_at = settlement.apply(&mut record, &self.quota);
            if let Written::Written(_) = self.cell.write(version, &mut record).await? {
                self.open.settled(settlement.spend.id);
                return Ok(retry_at);
            }
            // Settling twice changes nothing, so in doubt it is done again.
            sleep(jittered(contended)).await;
            contended = (contended * 2).min(POLL.1);
        }
    }

    /// Goes on trying to settle, after the token was published. The next flight does it first thing if this does not.
    pub(crate) async fn settle_later(&self, settlement: Settlement) {
        for pause in SETTLE_LATER {
            sleep(pause).await;
            if !self.open.is_open(settlement.spend.id) {
                return;
            }
            match timeout(SETTLE_ONCE, self.settle(&settlement)).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => self.warn_unsettled(&error),
                Err(_) => {}
            }
        }
        tracing::error!(
            credential = %self.name,
            "a token request could not be settled: its unit stays spent, and other processes do not see what it brought"
        );
    }

    pub(super) fn warn_unsettled(&self, error: &CellError) {
        tracing::warn!(credential = %self.name, error = %error.message, "a token request is not settled yet");
    }
}
