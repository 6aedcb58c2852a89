//! What a page shows once: kept in memory under a random id, from the change that made it to the page after it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::view::ShownOnce;
use crate::random;

/// More than one user looks at in turn; of more the oldest is forgotten.
const MOST: usize = 32;

/// What there is to say after a change.
pub(crate) enum Flash {
    Created(ShownOnce),
    Key(SecretString),
    Notice(String),
}

/// The id of what is to be shown. It is made before the change: a secret that could not be shown must not come to be.
pub(crate) struct Ticket(SecretString);

/// What has not been shown yet.
#[derive(Default)]
pub(crate) struct Once(Mutex<VecDeque<(Ticket, Flash)>>);

impl Ticket {
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        random::hex::<16>().map(|id| Self(id.into()))
    }

    /// As it stands in the redirect.
    pub(crate) fn as_str(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Once {
    /// Keeps `flash` for whoever shows the ticket.
    pub(crate) fn keep(&self, ticket: Ticket, flash: Flash) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MOST {
            waiting.pop_front();
        }
        waiting.push_back((ticket, flash));
    }

    /// What was kept under `ticket`. It is gone from here.
    pub(crate) fn take(&self, ticket: &str) -> Option<Flash> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |known: &Ticket| known.as_str().as_bytes().ct_eq(ticket.as_bytes()).into();
        let index = waiting.iter().position(|(known, _)| is_it(known))?;
        waiting.remove(index).map(|(_, flash)| flash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_once_and_only_to_the_ticket() {
        let once = Once::default();
        let ticket = Ticket::new().unwrap();
        let id = ticket.as_str().to_owned();
        once.keep(ticket, Flash::Notice("made".into()));
        assert!(once.take("").is_none() && once.take(&id[1..]).is_none());
        assert!(matches!(once.take(&id), Some(Flash::Notice(text)) if text == "made"));
        assert!(once.take(&id).is_none());
    }

    #[test]
    fn what_nobody_comes_for_is_forgotten_the_oldest_first() {
        let once = Once::default();
        let ids: Vec<String> = (0..=MOST)
            .map(|_| {
                let ticket = Ticket::new().unwrap();
                let id = ticket.as_str().to_owned();
                once.keep(ticket, Flash::Notice(id.clone()));
                id
            })
            .collect();
        assert!(once.take(&ids[0]).is_none());
        assert!(ids[1..].iter().all(|id| once.take(id).is_some()));
    }
}
