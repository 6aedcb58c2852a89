//! What happens to an issuer that is no answer to a request.

use std::time::Duration;

use super::must_be_status;

/// Something that changes the issuer itself; see [`Issuer::happen`](crate::Issuer::happen) and
/// [`Script::event`](crate::Script::event).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The clock is wrong by this much from now on, as far as tokens and `Date` go; zero sets it right. The quota and the
    /// script go by the right time.
    ClockAhead(Duration),
    /// The same in the other direction.
    ClockBehind(Duration),
    /// Every token issued so far becomes invalid, however long it was to live.
    RevokeAll,
    /// Tokens are signed with a new key from now on.
    RotateKeys,
    /// The API answers everything with this status, valid tokens too; `None` is back to normal. See
    /// [`Issuer::api_status`](crate::Issuer::api_status).
    ApiStatus(Option<u16>),
}

impl Event {
    /// # Panics
    ///
    /// When it cannot happen.
    #[track_caller]
    pub(crate) fn check(self) {
        if let Self::ApiStatus(Some(code)) = self {
            must_be_status(code);
        }
    }
}
