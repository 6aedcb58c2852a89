//! Hearing of what happens to a credential.

use crate::authenticator::Authenticator;
use crate::events::Events;

impl Authenticator {
    /// What happens to this credential from now on, in the order in which it happens: token requests (RFC 6749 §4.4) and what
    /// came of them, refusals, holds, rotations. What two requests meet at the same moment
    /// may be told in either order.
    ///
    /// To be called before the first request by whoever wants to hear of the first token. Nothing is kept or made up while
    /// nobody listens, and nothing here waits for a subscriber; see [`Events::next`] for one that is slow.
    pub fn events(&self) -> Events {
        let renewal = self.renewal();
        renewal.hub.subscribe(&renewal.name, &renewal.clock)
    }
}
