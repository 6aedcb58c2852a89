//! The table: which kind of failure an answer is, in order (of the rows about a refusal, the first that fits wins), and what
//! follows from a kind: whether the unit is spent, whom it holds back, and for how long.

use std::time::Duration;

use self::FailureKind::{
    InvalidClient, Junk, Lost, NonceRequired, NotSent, Other, OverQuota, Panicked, Redirect,
    Rejected, ShortLived, Timeout, Transport, Unavailable, Unusable,
};
use crate::failure::{FailureKind, Scope};

/// How long a credential that was refused is left alone, unless it changes.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest hold after a request that may have left.
pub(crate) const SHORTEST_HOLD: Duration = Duration::from_secs(5);

/// How long a hold lasts. `Retry-After` (RFC 9110 §10.2.3) lengthens every one of them, within bounds, and shortens none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// As the pace has it: so that the units that are left last the window, and no shorter than [`SHORTEST_HOLD`].
    Pace,
    /// [`DAY`], or until the credential changes.
    Day,
    /// Seconds, doubling: nothing was spent.
    Unsent,
}

/// What follows from a kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Consequence {
    /// Whether the unit stays spent.
    pub(crate) is_spent: bool,
    /// Whom it holds back, and for how long; `None` is nobody.
    pub(crate) hold: Option<(Scope, Pause)>,
    /// Whether the same request may succeed later with nothing changed on this side.
    pub(crate) is_transient: bool,
}

impl FailureKind {
    /// In one place for all kinds. A kind that is not known here was written by a newer version.
    pub(crate) const fn consequence(self) -> Consequence {
        use self::Pause::{Day, Pace, Unsent};
        use crate::failure::Scope::{Credential, Issuer, Request};

        let (is_spent, hold, is_transient) = match self {
            Self::OverQuota => (true, Some((Issuer, Pace)), true),
            Self::InvalidClient => (true, Some((Credential, Day)), false),
            Self::Rejected => (true, Some((Request, Pace)), false),
            Self::NonceRequired => (true, None, true),
            Self::Unavailable => (true, Some((Issuer, Pace)), true),
            Self::Redirect => (true, Some((Issuer, Pace)), false),
            Self::Junk => (true, Some((Issuer, Pace)), true),
            Self::Unusable => (true, Some((Request, Pace)), false),
            Self::ShortLived => (true, Some((Request, Pace)), true),
            Self::Timeout => (true, Some((Issuer, Pace)), true),
            Self::Transport => (true, Some((Issuer, Pace)), true),
            Self::NotSent => (false, Some((Issuer, Unsent)), true),
            Self::Lost => (true, Some((Issuer, Pace)), true),
            Self::Panicked => (true, Some((Issuer, Pace)), true),
            Self::Other => (true, Some((Issuer, Pace)), true),
        };
        Consequence { is_spent, hold, is_transient }
    }

    /// Whether the same request may succeed later with nothing changed on this side.
    pub(crate) fn is_transient(self) -> bool {
        self.consequence().is_transient
    }
}

/// One row of the table: an answer, the kind of failure that it is, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) answer: Answer,
    pub(crate) kind: FailureKind,
    /// Stands in the error too; empty where there is nothing to do.
    pub(crate) advice: &'static str,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A refusal, by its status and its `error` (RFC 6749 §5.2).
    Refusal(Status, Code),
    /// Anything else that can be wrong.
    Fault(Fault),
}

/// The statuses that a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Any,
    Is(&'static [u16]),
    /// All that begin with this digit.
    Class(u16),
}

/// The error codes that a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Whatever it is, and none as well.
    Any,
    Is(&'static [&'static str]),
    /// One that no row names.
    Unregistered,
    /// There is no `error` in the answer.
    Absent,
}

/// What can be wrong besides a plain refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLong,
    /// The user has described it (`Builder::quota_refusal`).
    QuotaRefusal,
    Compressed,
    ContentType,
    NotJson,
    Members,
    NoToken,
    /// `use_dpop_nonce`, and nothing to be done about it.
    NoNonce,
    TokenType,
    TokenText,
    ExpiresIn,
    Lifetime,
    ShortLived,
    NotSent,
    TooLate,
    Timeout,
    InDoubt,
    Panicked,
    Lost,
    /// What a newer version of this crate wrote down.
    Foreign,
}

const ENDPOINT: &str = "check that `token_endpoint` is the issuer's token endpoint";
const QUOTA: &str = "it counts more token requests than its quota allows; look who else spends with this client id \
                     (`Status::spent_elsewhere`)";

const fn refusal(status: Status, code: Code, kind: FailureKind, advice: &'static str) -> Row {
    Row { answer: Answer::Refusal(status, code), kind, advice }
}

/// A refusal by its error code, whatever the status (but for those of the rows above).
const fn code(codes: &'static [&'static str], kind: FailureKind, advice: &'static str) -> Row {
    refusal(Status::Any, Code::Is(codes), kind, advice)
}

const fn fault(fault: Fault, kind: FailureKind, advice: &'static str) -> Row {
    Row { answer: Answer::Fault(fault), kind, advice }
}

pub(super) const ROWS: &[Row] = &[
    fault(Fault::TooLong, Junk, ENDPOINT),
    fault(Fault::QuotaRefusal, OverQuota, QUOTA),
    // Whatever the code says, a gateway has said it with this status.
    refusal(Status::Is(&[429]), Code::Any, OverQuota, QUOTA),
    refusal(Status::Class(5), Code::Any, Unavailable, ""),
    fault(
        Fault::Compressed,
        Junk,
        "look for a proxy that compresses, or a transport that asks for it",
    ),
    fault(Fault::ContentType, Junk, ENDPOINT),
    fault(Fault::NotJson, Junk, ENDPOINT),
    fault(Fault::Members, Junk, ENDPOINT),
    // RFC 6749 §5.2.
    code(
        &["invalid_client"],
        InvalidClient,
        "check the client id, the secret, and the way in which they are sent (`client_auth`)",
    ),
    code(
        &["invalid_request"],
        Rejected,
        "check the parameters; if this is how the issuer says that its quota is spent, describe it with `quota_refusal`",
    ),
    code(
        &["invalid_grant"],
        Rejected,
        "check the credentials, and what the issuer says of this grant",
    ),
    code(
        &["unauthorized_client"],
        Rejected,
        "have this client registered for the client credentials grant",
    ),
    code(
        &["unsupported_grant_type"],
        Rejected,
        "check that `token_endpoint` is one that knows the client credentials grant",
    ),
    code(
        &["invalid_scope", "scope_invalid"],
        Rejected,
        "check the scopes, and which ones this client was granted",
    ),
    // RFC 8707 §2, RFC 9396 §5, RFC 9449 §5 and §8.
    code(&["invalid_target"], Rejected, "check the audience and the resources"),
    code(&["invalid_authorization_details"], Rejected, "check `authorization_details`"),
    code(
        &["invalid_dpop_proof"],
        Rejected,
        "check the clock of this machine, and whether the issuer takes the key's algorithm",
    ),
    code(&["use_dpop_nonce"], NonceRequired, ""),
    fault(
        Fault::NoNonce,
        Rejected,
        "ask the issuer how it takes DPoP proofs from this client (RFC 9449)",
    ),
    // RFC 6749 §4.1.2.1, RFC 8628 §3.5, and what some issuers have made of these.
    code(
        &["access_denied"],
        Rejected,
        "check what this client was granted: the audience and the scopes",
    ),
    code(&["too_many_requests", "slow_down"], OverQuota, QUOTA),
    code(&["temporarily_unavailable", "server_error"], Unavailable, ""),
    refusal(
        Status::Class(3),
        Code::Any,
        Redirect,
        "redirects are never followed with a secret; set the final URL as `token_endpoint`",
    ),
    refusal(Status::Is(&[408, 425]), Code::Any, Unavailable, ""),
    // Only an issuer's own `invalid_client` holds a credential for a day: this may be a gateway.
    refusal(
        Status::Is(&[401, 403]),
        Code::Absent,
        Rejected,
        "check the credentials, `client_auth` and the endpoint, and what stands before it: the issuer itself would name an \
         error",
    ),
    refusal(Status::Is(&[404]), Code::Any, Rejected, ENDPOINT),
    refusal(
        Status::Class(4),
        Code::Any,
        Rejected,
        "check the credentials, the audience, the scopes and the endpoint",
    ),
    refusal(
        Status::Any,
        Code::Unregistered,
        Rejected,
        "check the credentials, the audience, the scopes and the endpoint",
    ),
    fault(Fault::NoToken, Junk, ENDPOINT),
    refusal(Status::Any, Code::Any, Junk, ENDPOINT),
    fault(
        Fault::TokenType,
        Unusable,
        "check whether this client is registered for tokens of this type",
    ),
    fault(Fault::TokenText, Unusable, "tell the issuer: no API could be sent this token"),
    fault(Fault::ExpiresIn, Unusable, "tell the issuer: RFC 6749 §5.1 demands a number"),
    fault(
        Fault::Lifetime,
        Unusable,
        "check this machine's clock and the issuer's lifetimes, and set `default_lifetime` if there are none",
    ),
    fault(
        Fault::ShortLived,
        ShortLived,
        "ask the issuer for longer lifetimes, or for a larger quota",
    ),
    fault(Fault::NotSent, NotSent, "check the URL, the network and the issuer's certificate"),
    fault(Fault::TooLate, Timeout, "look at what slows the store down"),
    fault(Fault::Timeout, Timeout, ""),
    fault(Fault::InDoubt, Transport, ""),
    fault(Fault::Panicked, Panicked, "tell its authors, since this is a bug in it"),
    fault(Fault::Lost, Lost, ""),
    fault(Fault::Foreign, Other, "update this program"),
];
