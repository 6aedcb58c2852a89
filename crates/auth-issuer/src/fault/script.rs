//! Which token request meets which fault.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Fault;

/// The faults to come, in order, and the one for all requests beyond them.
#[derive(Debug, Default)]
pub(crate) struct Script(Mutex<Scenes>);

#[derive(Debug, Default)]
struct Scenes {
    /// Runs of the same fault, none of them empty.
    next: VecDeque<(usize, Fault)>,
    rest: Option<Fault>,
}

impl Script {
    /// Appends `times` times `fault`.
    pub(crate) fn push(&self, times: usize, fault: Fault) {
        if times > 0 {
            self.scenes().next.push_back((times, fault));
        }
    }

    /// Sets the fault of all requests that have none of their own.
    pub(crate) fn set_rest(&self, fault: Fault) {
        self.scenes().rest = Some(fault);
    }

    /// Forgets all faults.
    pub(crate) fn clear(&self) {
        *self.scenes() = Scenes::default();
    }

    /// The fault of the request that arrives now.
    pub(crate) fn take(&self) -> Option<Fault> {
        let mut scenes = self.scenes();
        let Some((times, fault)) = scenes.next.front_mut() else { return scenes.rest.clone() };
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            scenes.next.pop_front();
        }
        Some(fault)
    }

    fn scenes(&self) -> MutexGuard<'_, Scenes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
