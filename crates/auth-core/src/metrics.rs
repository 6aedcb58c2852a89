//! What is measured, through the facade of the crate `metrics`: whichever recorder the program has installed
//! gets it (feature `metrics`).
//!
//! | name | type | unit | labels | what it is |
//! |---|---|---|---|---|
//! | [`oauth_token_requests_total`](TOKEN_REQUESTS) | counter | requests | `credential`, `cause`, `outcome` | token requests of this process (RFC 6749 §4.4); a token that is adopted from another process is none |
//! | [`oauth_token_requests_left`](TOKEN_REQUESTS_LEFT) | gauge | requests | `credential` | what the quota leaves to a caller without a token, by its strictest window; not set if there is no limit, or if the store cannot be read |
//! | [`oauth_token_expiry_seconds`](TOKEN_EXPIRY) | gauge | seconds | `credential` | how long the token may still be sent; 0 without one |
//! | [`oauth_token_wait_seconds`](TOKEN_WAIT) | histogram | seconds | `credential`, `outcome` | how long a caller waited for a token that was not at hand, suspended time included; callers who gave up are left out |
//!
//! **The gauges stand still by themselves.** They are set when a token comes into use, `oauth_token_requests_left` after each
//! attempt that failed as well, and both at every call of [`Authenticator::status`](crate::Authenticator::status): an exporter
//! calls that before a scrape.
//!
//! # Labels
//!
//! - `credential`: the credential's name.
//! - `cause`: the words of [`RenewalCause`]: `start`, `expiring`, `expired`, `refused`, `rotated`, `manual`.
//! - `outcome` of a caller's wait: `token` or `error`.
//! - `outcome` of a token request, one of these words:
//!
//! | word | what came of the request |
//! |---|---|
//! | `token` | a token |
//! | `over_quota` | the issuer says that the client asked too often |
//! | `invalid_client` | the issuer does not accept the client (RFC 6749 §5.2) |
//! | `rejected` | the issuer refuses what is asked for: scope, audience, grant (RFC 6749 §5.2) |
//! | `nonce_required` | the issuer wants a nonce in the proof (RFC 9449 §8); a request that has it follows at once |
//! | `unavailable` | the issuer says that it cannot answer now |
//! | `redirect` | a redirect, which is not followed |
//! | `malformed` | no answer that OAuth knows |
//! | `unusable` | a token that cannot be used |
//! | `short_lived` | a token that lives so shortly that the quota cannot keep up |
//! | `timeout` | no whole answer in time |
//! | `in_doubt` | the exchange broke off after the request may have been sent |
//! | `not_sent` | the request never left this machine, and cost nothing |
//! | `lost` | nobody knows: the runtime was shut down while the request was under way |
//! | `panicked` | the transport panicked |
//! | `other` | something else |
//!
//! Each request counts once, when its answer has come. No label holds a secret, a token, or a word of the issuer's.

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{counter, gauge, histogram};

use crate::clock::Clock;
use crate::failure::FailureKind;
use crate::quota::RenewalCause;

/// The counter of token requests (RFC 6749 §4.4).
pub const TOKEN_REQUESTS: &str = "oauth_token_requests_total";

/// The gauge of the token requests (RFC 6749 §4.4) that the quota leaves.
pub const TOKEN_REQUESTS_LEFT: &str = "oauth_token_requests_left";

/// The gauge of the seconds until the token expires (`expires_in`, RFC 6749 §5.1).
pub const TOKEN_EXPIRY: &str = "oauth_token_expiry_seconds";

/// The histogram of the seconds that callers waited for a token (RFC 6749 §5.1).
pub const TOKEN_WAIT: &str = "oauth_token_wait_seconds";

/// How many token requests are left; nothing if nobody knows.
pub(crate) fn left(credential: &Arc<str>, units: impl FnOnce() -> Option<u32>) {
    if let Some(units) = units() {
        gauge!(TOKEN_REQUESTS_LEFT, "credential" => credential.clone()).set(units);
    }
}

/// How long the token may still be sent.
pub(crate) fn expiry(credential: &Arc<str>, left: Duration) {
    gauge!(TOKEN_EXPIRY, "credential" => credential.clone()).set(left);
}

/// A token request under way. It counts when its end is known, or when it is dropped before that.
pub(crate) struct Request<'a> {
    credential: &'a Arc<str>,
    cause: RenewalCause,
    outcome: &'static str,
}

impl<'a> Request<'a> {
    pub(crate) fn begin(credential: &'a Arc<str>, cause: RenewalCause) -> Self {
        Self { credential, cause, outcome: word(FailureKind::Lost) }
    }

    /// `None` is a token.
    pub(crate) fn end(mut self, failure: Option<FailureKind>) {
        self.outcome = failure.map_or("token", word);
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        counter!(
            TOKEN_REQUESTS,
            "credential" => self.credential.clone(),
            "cause" => self.cause.word(),
            "outcome" => self.outcome,
        )
        .increment(1);
    }
}

/// A caller that waits, since then: in milliseconds of the boot clock, since a million callers may keep one.
pub(crate) struct Wait(u64);

impl Wait {
    pub(crate) fn begin(clock: &dyn Clock) -> Self {
        Self(clock.now().boot.millis)
    }

    pub(crate) fn end(&self, clock: &dyn Clock, credential: &Arc<str>, is_token: bool) {
        let waited = Duration::from_millis(clock.now().boot.millis.saturating_sub(self.0));
        let outcome = if is_token { "token" } else { "error" };
        histogram!(TOKEN_WAIT, "credential" => credential.clone(), "outcome" => outcome)
            .record(waited);
    }
}

fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::OverQuota => "over_quota",
        FailureKind::InvalidClient => "invalid_client",
        FailureKind::Rejected => "rejected",
        FailureKind::NonceRequired => "nonce_required",
        FailureKind::Unavailable => "unavailable",
        FailureKind::Redirect => "redirect",
        FailureKind::Junk => "malformed",
        FailureKind::Unusable => "unusable",
        FailureKind::ShortLived => "short_lived",
        FailureKind::Timeout => "timeout",
        FailureKind::Transport => "in_doubt",
        FailureKind::NotSent => "not_sent",
        FailureKind::Lost => "lost",
        FailureKind::Panicked => "panicked",
        FailureKind::Other => "other",
    }
}
