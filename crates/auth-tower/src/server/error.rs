//! What is wrong with a token, and what is wrong with the settings.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Which check a token did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub(crate) enum Reason {
    /// It is no JWT in its compact form (RFC 7515 §7.1), or its header or claims are not what they must be.
    Malformed,
    /// It is longer than any token that is read.
    TooLong,
    /// It is not signed in one of the ways that the settings allow, or not in one that its key is for.
    Algorithm,
    /// Its `typ` says that it is something else than an access token (RFC 8725 §3.11, RFC 9068 §4).
    Type,
    /// Its header has extensions that must be understood (RFC 7515 §4.1.11), and none is.
    Critical,
    /// The issuer has no such key.
    UnknownKey,
    /// The signature is not the key's.
    Signature,
    /// It is from another issuer, or from nobody.
    Issuer,
    /// It is for another API, or for none.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It was revoked.
    Revoked,
}

/// A token that opens nothing: `invalid_token` (RFC 6750 §3.1). Neither this nor its text has anything of the token in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    reason: Reason,
    description: &'static str,
}

impl Invalid {
    /// With a description of its own: of the characters that `error_description` may have (RFC 6750 §3).
    pub(crate) const fn because(reason: Reason, description: &'static str) -> Self {
        Self { reason, description }
    }

    pub(crate) const fn malformed(description: &'static str) -> Self {
        Self::because(Reason::Malformed, description)
    }

    /// Which check it did not pass.
    #[cfg(test)]
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// The same for a human, fit for `error_description` (RFC 6750 §3).
    pub(crate) fn description(&self) -> &'static str {
        self.description
    }
}

impl From<Reason> for Invalid {
    fn from(reason: Reason) -> Self {
        Self::because(
            reason,
            match reason {
                Reason::Malformed => "the token is not a JWT",
                Reason::TooLong => "the token is too long",
                Reason::Algorithm => "the token is signed with an algorithm that is not accepted",
                Reason::Type => "the token is not an access token",
                Reason::Critical => "the token has critical extensions that are not understood",
                Reason::UnknownKey => "the token is signed with an unknown key",
                Reason::Signature => "the signature of the token is wrong",
                Reason::Issuer => "the token is from another issuer",
                Reason::Audience => "the token is for another audience",
                Reason::Expired => "the token has expired",
                Reason::NotYetValid => "the token is not valid yet",
                Reason::Revoked => "the token was revoked",
            },
        )
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description)
    }
}

impl StdError for Invalid {}

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// The token is at fault.
    Invalid(Invalid),
    /// Nobody can tell: there are no keys to verify it with. A client that hears 401 fetches another token, at a price, so this is a 503.
    Unavailable {
        /// When the keys may be there.
        retry_after: Duration,
    },
}

impl From<Invalid> for Rejected {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Unavailable { .. } => f.write_str("the issuer's keys cannot be had"),
        }
    }
}

impl StdError for Rejected {}

/// What is wrong with the settings of a verifier. Nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: String,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }

    /// The same, found in another setting.
    pub(crate) fn at(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    /// The setting at fault, by its name.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl StdError for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_have_only_the_characters_that_a_challenge_may_have() {
        let all = [
            Reason::Malformed,
            Reason::TooLong,
            Reason::Algorithm,
            Reason::Type,
            Reason::Critical,
            Reason::UnknownKey,
            Reason::Signature,
            Reason::Issuer,
            Reason::Audience,
            Reason::Expired,
            Reason::NotYetValid,
            Reason::Revoked,
        ];
        for reason in all {
            let invalid = Invalid::from(reason);
            assert_eq!(invalid.reason(), reason);
            let text = invalid.description().bytes();
            assert!(text.clone().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
        }
    }
}
