//! What every answer of a token endpoint leads to: one table. The code asks it, and `docs/answers.md` shows it.

mod table;

use std::fmt;

use http::StatusCode;

pub(crate) use self::table::{Answer, Code, DAY, Fault, Pause, Row, SHORTEST_HOLD, Status};
use crate::failure::Failure;

impl Fault {
    pub(crate) fn row(self) -> &'static Row {
        let row = table::ROWS.iter().find(|row| row.answer == Answer::Fault(self));
        row.expect("every fault has its row, as a test shows")
    }

    /// What is wrong, as it ends the sentence `the issuer answered 200 with …`, or by itself.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::TooLong => "more than 64 KiB",
            Self::QuotaRefusal => "a status and a text that `quota_refusal` describes",
            Self::Compressed => "a compressed body, which it was not asked for",
            Self::ContentType => "a content type that is not JSON",
            Self::NotJson => "a body that is not JSON, or cut off",
            Self::Members => "JSON that is no token response (a wrong type, or a member twice)",
            Self::NoToken => "JSON that has neither `access_token` nor `error`",
            Self::NoNonce => {
                "`use_dpop_nonce` a second time, without a nonce, or where no proof was sent"
            }
            Self::TokenType => {
                "a `token_type` that is missing, or is not the one that was asked for"
            }
            Self::TokenText => "an `access_token` that cannot stand in a header (RFC 6750 §2.1)",
            Self::ExpiresIn => "an `expires_in` that is not a number",
            Self::Lifetime => {
                "a token that is dead on arrival, or of which nothing says how long it lives"
            }
            Self::ShortLived => {
                "a token that lives less than a minute, where there is a quota; it is used"
            }
            Self::NotSent => {
                "no connection: name resolution, TCP or TLS failed before a byte of the request was sent"
            }
            Self::TooLate => {
                "the store took so long that there was no time left to send the request"
            }
            Self::Timeout => "no whole answer within the deadline",
            Self::InDoubt => "the exchange broke off after the request may have been sent",
            Self::Panicked => "the transport panicked",
            Self::Lost => "the process that sent the request ended before it had an answer",
            Self::Foreign => "a failure of a kind that a newer version of this crate wrote down",
        }
    }

    pub(crate) fn failure(self, what: impl fmt::Display) -> Failure {
        self.row().failure(what)
    }

    /// Of a token that came: what is wrong with it.
    pub(crate) fn unusable(self, problem: impl fmt::Display) -> Failure {
        self.failure(format_args!("the issuer gave a token that cannot be used ({problem})"))
    }
}

impl Row {
    /// A failure of this kind: what happened, and what to do about it.
    pub(crate) fn failure(&self, what: impl fmt::Display) -> Failure {
        let detail = match self.advice {
            "" => what.to_string(),
            advice => format!("{what}: {advice}"),
        };
        Failure::new(self.kind, detail)
    }
}

impl Status {
    fn fits(self, status: StatusCode) -> bool {
        match self {
            Self::Any => true,
            Self::Is(these) => these.contains(&status.as_u16()),
            Self::Class(first) => status.as_u16() / 100 == first,
        }
    }
}

impl Code {
    fn fits(self, code: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Is(these) => code.is_some_and(|code| these.contains(&code)),
            Self::Unregistered => code.is_some_and(|code| !is_known(code)),
            Self::Absent => code.is_none(),
        }
    }
}

/// What a refusal leads to: the first row that fits. `code` is the `error` member of the answer, if there is one.
pub(crate) fn of(status: StatusCode, code: Option<&str>) -> &'static Row {
    let fits = |row: &&Row| match row.answer {
        Answer::Refusal(statuses, codes) => statuses.fits(status) && codes.fits(code),
        Answer::Fault(_) => false,
    };
    table::ROWS.iter().find(fits).expect("the last refusal fits every status and every code")
}

/// Whether some row names this error code.
pub(crate) fn is_known(code: &str) -> bool {
    let names = |row: &Row| matches!(row.answer, Answer::Refusal(_, Code::Is(these)) if these.contains(&code));
    table::ROWS.iter().any(names)
}

#[cfg(test)]
mod tests;
