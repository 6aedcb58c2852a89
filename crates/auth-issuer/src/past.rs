//! What a credential asked for: why, and what came of it.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::moment;

/// A token request of a credential, as [`Issuer::credentials`](crate::Issuer::credentials) tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PastRequest {
    /// When it arrived.
    #[serde(with = "moment::stored")]
    pub at: SystemTime,
    /// What the client held when it asked.
    pub cause: Cause,
    /// How it ended; `None` while it is being answered, or if the client left first.
    pub outcome: Option<Outcome>,
    /// Whether it spent a unit of the quota.
    pub spent: bool,
}

/// Why a client asks for a token, as far as an issuer can tell: by the last token that it had for the same audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// It had none.
    Start,
    /// Its token is in the last fifth of its life.
    Expiring,
    /// Its token is over.
    Expired,
    /// Its token was revoked.
    Revoked,
    /// It has not shown who it is: anybody may have asked in its name.
    Unknown,
    /// Its token is good, and not old: a restart without a store, a second process, or a client that does not cache.
    Fresh,
}

/// How a token request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// With a token.
    Issued,
    /// 401 `invalid_client`: an unknown client, or a wrong or missing secret.
    InvalidClient,
    /// `invalid_request`: malformed, incomplete, or of another content type.
    BadRequest,
    /// 400 `unsupported_grant_type`.
    UnsupportedGrant,
    /// 400 `invalid_scope`: a resource that the credential was not given.
    InvalidScope,
    /// 403 `access_denied`: an audience that the issuer does not serve; or 400 `unauthorized_client`: a disabled credential.
    AccessDenied,
    /// 429 `too_many_requests`, or what the quota says instead.
    OverQuota,
    /// By a [`Fault`](crate::Fault), with an answer or without one.
    Faulted,
    /// 500 `server_error`: the token could not be signed, or the request not be written down.
    Failed,
}

impl Cause {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
            Self::Fresh => "fresh",
        }
    }
}

impl Outcome {
    /// In a word, or a few.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::InvalidClient => "invalid client",
            Self::BadRequest => "bad request",
            Self::UnsupportedGrant => "unsupported grant",
            Self::InvalidScope => "invalid scope",
            Self::AccessDenied => "access denied",
            Self::OverQuota => "over quota",
            Self::Faulted => "fault",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The last token that a credential was given for an audience.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) number: u64,
    #[serde(with = "moment::stored")]
    pub(crate) issued_at: SystemTime,
    #[serde(with = "moment::stored")]
    pub(crate) expires_at: SystemTime,
}

impl Cause {
    /// Why a client that holds `held` asks at `now`.
    pub(crate) fn of(
        held: Option<Held>,
        is_revoked: impl FnOnce(u64) -> bool,
        now: SystemTime,
    ) -> Self {
        let Some(held) = held else { return Self::Start };
        if is_revoked(held.number) {
            return Self::Revoked;
        }
        let Ok(left) = held.expires_at.duration_since(now) else { return Self::Expired };
        let life = held.expires_at.duration_since(held.issued_at).unwrap_or_default();
        match left {
            left if left.is_zero() => Self::Expired,
            left if left <= life / 5 => Self::Expiring,
            _ => Self::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_cause_is_read_off_the_last_token() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let held = Some(Held { number: 7, issued_at: at(1000), expires_at: at(2000) });
        let cause = |now| Cause::of(held, |number| number != 7, at(now));
        assert_eq!(cause(1000), Cause::Fresh);
        assert_eq!(cause(1799), Cause::Fresh);
        assert_eq!(cause(1800), Cause::Expiring);
        assert_eq!(cause(1999), Cause::Expiring);
        assert_eq!(cause(2000), Cause::Expired);
        assert_eq!(Cause::of(held, |number| number == 7, at(1000)), Cause::Revoked);
        assert_eq!(Cause::of(None, |_| true, at(0)), Cause::Start);
    }
}
