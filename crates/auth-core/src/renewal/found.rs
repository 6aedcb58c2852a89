//! The issuer's metadata as far as it is known, and when to ask for it again.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::BootTime;
use crate::quota::pace;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::wire::metadata::Metadata;

/// What was found, and when to look again.
#[derive(Debug, Default)]
pub(crate) struct Found(Mutex<Option<Box<State>>>);

#[derive(Debug, Default)]
struct State {
    metadata: Option<Arc<Metadata>>,
    /// When it is asked for again.
    fresh_until: Option<BootTime>,
    /// The attempts in a row that failed, what was wrong with the last, and when the next may be made.
    failures: u32,
    problem: String,
    not_before: Option<BootTime>,
}

/// What there is to do about the metadata.
pub(super) enum Known {
    Metadata(Arc<Metadata>),
    /// It was asked for a moment ago, and could not be had.
    Failed(String, Duration),
    Nothing,
}

impl Found {
    pub(crate) fn metadata(&self) -> Option<Arc<Metadata>> {
        self.lock().as_ref().and_then(|state| state.metadata.clone())
    }

    pub(super) fn known(&self, now: BootTime) -> Known {
        let state = self.lock();
        let Some(state) = state.as_deref() else { return Known::Nothing };
        let pause = left(state.not_before, now);
        match &state.metadata {
            Some(metadata) if left(state.fresh_until, now).is_some() || pause.is_some() => {
                Known::Metadata(metadata.clone())
            }
            Some(_) => Known::Nothing,
            None => pause.map_or(Known::Nothing, |left| Known::Failed(state.problem.clone(), left)),
        }
    }

    pub(super) fn found(&self, metadata: &Arc<Metadata>, until: BootTime) {
        let metadata = Some(metadata.clone());
        let state = State { metadata, fresh_until: Some(until), ..State::default() };
        *self.lock() = Some(Box::new(state));
    }

    /// For how long not to ask again, and whether there is metadata from before.
    pub(super) fn failed(&self, problem: &str, now: BootTime) -> (Duration, bool) {
        let mut state = self.lock();
        let state = state.get_or_insert_default();
        state.failures = state.failures.saturating_add(1);
        let pause = pace::unsent_gap(state.failures);
        state.not_before = Some(now + pause);
        problem.clone_into(&mut state.problem);
        (pause, state.metadata.is_some())
    }

    // Every change is a plain store, so a poisoned lock is as good as new.
    fn lock(&self) -> MutexGuard<'_, Option<Box<State>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far off `then` is, if it is still to come in this boot.
fn left(then: Option<BootTime>, now: BootTime) -> Option<Duration> {
    then?.since(now).filter(|left| !left.is_zero())
}
