//! The flights of this process that the record may still have under way.
//!
//! While a flight's task runs, no other looks in here. So a flight that the next one finds here is over: with a settlement
//! that could not be written yet, or without one, when its task was dropped.

use super::outcome::Settlement;
use crate::id::FlightId;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// More than these would take a store that fails for hours on end; the oldest are then waited for like another process's.
const KEPT: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct OpenFlights(Mutex<Vec<Open>>);

#[derive(Debug)]
struct Open {
    id: FlightId,
    settlement: Option<Settlement>,
}

impl OpenFlights {
    /// Before the first write that may put the flight into the record.
    pub(super) fn begin(&self, id: FlightId) {
        let mut open = self.lock();
        if open.len() >= KEPT {
            open.remove(0);
        }
        open.push(Open { id, settlement: None });
    }

    /// The flight is over, and this is to be written down.
    pub(super) fn ended(&self, settlement: Settlement) {
        let mut open = self.lock();
        match open.iter_mut().find(|open| open.id == settlement.spend.id) {
            Some(entry) => entry.settlement = Some(settlement),
            None => open.push(Open { id: settlement.spend.id, settlement: Some(settlement) }),
        }
    }

    /// The record has it.
    pub(super) fn settled(&self, id: FlightId) {
        let mut open = self.lock();
        open.retain(|open| open.id != id);
        // There is one a day; what it took is not kept for the next.
        open.shrink_to_fit();
    }

    pub(super) fn is_open(&self, id: FlightId) -> bool {
        self.lock().iter().any(|open| open.id == id)
    }

    pub(super) fn settlements(&self) -> Vec<Settlement> {
        self.lock().iter().filter_map(|open| open.settlement.clone()).collect()
    }

    /// Flights whose tasks were dropped.
    pub(super) fn gone(&self) -> Vec<FlightId> {
        self.lock().iter().filter(|open| open.settlement.is_none()).map(|open| open.id).collect()
    }

    // Every change is a single call on the vector, so a poisoned lock is as good as new.
    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
