use std::collections::HashSet;
use std::path::Path;
use std::{env, fs};

use super::table::{Consequence, ROWS};
use super::*;
use crate::error::Error;
use crate::failure::{FailureKind, Scope};
use crate::quota::pace::{FIRST_GAP, UNSENT};

/// All kinds of failure: a new one does not compile before it has a number, and fails the test before it is here.
const KINDS: [FailureKind; 15] = [
    FailureKind::OverQuota,
    FailureKind::InvalidClient,
    FailureKind::Rejected,
    FailureKind::NonceRequired,
    FailureKind::Unavailable,
    FailureKind::Redirect,
    FailureKind::Junk,
    FailureKind::Unusable,
    FailureKind::ShortLived,
    FailureKind::Timeout,
    FailureKind::Transport,
    FailureKind::NotSent,
    FailureKind::Lost,
    FailureKind::Panicked,
    FailureKind::Other,
];

#[test]
fn every_kind_of_failure_is_in_the_table() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let expected = match kind {
            FailureKind::OverQuota => 0,
            FailureKind::InvalidClient => 1,
            FailureKind::Rejected => 2,
            FailureKind::NonceRequired => 3,
            FailureKind::Unavailable => 4,
            FailureKind::Redirect => 5,
            FailureKind::Junk => 6,
            FailureKind::Unusable => 7,
            FailureKind::ShortLived => 8,
            FailureKind::Timeout => 9,
            FailureKind::Transport => 10,
            FailureKind::NotSent => 11,
            FailureKind::Lost => 12,
            FailureKind::Panicked => 13,
            FailureKind::Other => KINDS.len() - 1,
        };
        assert_eq!(number, expected);
        assert!(ROWS.iter().any(|row| row.kind == kind), "{kind:?} comes of no answer");
    }
}

#[test]
fn only_what_was_not_sent_gives_its_unit_back_and_only_a_nonce_holds_nobody_back() {
    for kind in KINDS {
        let Consequence { is_spent, hold, .. } = kind.consequence();
        assert_eq!(is_spent, kind != FailureKind::NotSent, "{kind:?}");
        assert_eq!(hold.is_none(), kind == FailureKind::NonceRequired, "{kind:?}");
        let is_day = hold.is_some_and(|(_, pause)| pause == Pause::Day);
        assert_eq!(is_day, kind == FailureKind::InvalidClient, "{kind:?}");
    }
}

#[test]
fn every_fault_has_one_row_and_every_row_has_its_turn() {
    let faults = [
        Fault::TooLong,
        Fault::QuotaRefusal,
        Fault::Compressed,
        Fault::ContentType,
        Fault::NotJson,
        Fault::Members,
        Fault::NoToken,
        Fault::NoNonce,
        Fault::TokenType,
        Fault::TokenText,
        Fault::ExpiresIn,
        Fault::Lifetime,
        Fault::ShortLived,
        Fault::NotSent,
        Fault::TooLate,
        Fault::Timeout,
        Fault::InDoubt,
        Fault::Panicked,
        Fault::Lost,
        Fault::Foreign,
    ];
    let mut reached: HashSet<_> = faults.iter().map(|fault| number(fault.row())).collect();
    assert_eq!(reached.len(), Fault::Foreign as usize + 1);
    let codes: HashSet<_> = ROWS.iter().flat_map(|row| named(row)).copied().collect();
    let codes: Vec<_> = codes.into_iter().map(Some).chain([None, Some("of nobody")]).collect();
    for status in 100..1000 {
        let status = StatusCode::from_u16(status).unwrap();
        reached.extend(codes.iter().map(|code| number(of(status, *code))));
    }
    let never: Vec<_> = ROWS.iter().filter(|row| !reached.contains(&number(row))).collect();
    assert!(never.is_empty(), "never the first that fits, or a second row of a fault: {never:?}");
}

#[test]
fn a_status_that_speaks_for_itself_comes_before_the_code_and_the_code_before_the_others() {
    let kind = |status, code| of(StatusCode::from_u16(status).unwrap(), code).kind;
    for code in [Some("invalid_client"), Some("what?"), Some("use_dpop_nonce"), None] {
        assert_eq!(kind(429, code), FailureKind::OverQuota, "{code:?}");
        assert_eq!(kind(500, code), FailureKind::Unavailable, "{code:?}");
        assert_eq!(kind(599, code), FailureKind::Unavailable, "{code:?}");
    }
    for (code, expected) in [
        ("invalid_client", FailureKind::InvalidClient),
        ("invalid_request", FailureKind::Rejected),
        ("invalid_target", FailureKind::Rejected),
        ("invalid_authorization_details", FailureKind::Rejected),
        ("invalid_dpop_proof", FailureKind::Rejected),
        ("scope_invalid", FailureKind::Rejected),
        ("use_dpop_nonce", FailureKind::NonceRequired),
        ("slow_down", FailureKind::OverQuota),
        ("server_error", FailureKind::Unavailable),
    ] {
        for status in [200, 302, 400, 401, 403, 404, 408, 600] {
            assert_eq!(kind(status, Some(code)), expected, "{status} {code}");
        }
    }
    for code in [Some("what?"), Some("Invalid_Client"), Some("")] {
        assert_eq!(kind(200, code), FailureKind::Rejected);
        assert_eq!(kind(302, code), FailureKind::Redirect);
        assert_eq!(kind(401, code), FailureKind::Rejected);
        assert_eq!(kind(425, code), FailureKind::Unavailable);
    }
    assert_eq!(kind(100, None), FailureKind::Junk);
    assert_eq!(kind(999, None), FailureKind::Junk);
}

fn number(row: &Row) -> usize {
    ROWS.iter().position(|other| other == row).unwrap()
}

fn named(row: &Row) -> &'static [&'static str] {
    match row.answer {
        Answer::Refusal(_, Code::Is(codes)) => codes,
        _ => &[],
    }
}

const BEGIN: &str = "<!-- The table is made by a test of `answers.rs`. -->\n";
const END: &str = "<!-- The end of the table. -->\n";

/// `docs/answers.md` shows the table. It is not in the published crate, and is left out there.
#[test]
fn the_document_shows_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("crates/auth-core/Cargo.toml").is_file() {
        return;
    }
    let path = root.join("docs/answers.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the mark where the table begins");
    let (_, after) = rest.split_once(END).expect("the mark where it ends");
    let made = format!("{before}{BEGIN}{}{END}{after}", table());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    assert!(
        document == made,
        "docs/answers.md does not show the table of `answers.rs`; `UPDATE_DOCS=1 cargo test -p auth-core --lib answers` \
         makes it anew. It would be:\n{}",
        table()
    );
}

fn table() -> String {
    let mut table = "\
        | answer | kind | unit | holds back | until | passes by itself | what to do |\n\
        |---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in ROWS {
        let Consequence { is_spent, hold, is_transient } = row.kind.consequence();
        let cells = [
            answer(row.answer),
            kind(row.kind),
            if is_spent { "spent" } else { "given back" }.to_owned(),
            hold.map_or("nobody", |(scope, _)| whom(scope)).to_owned(),
            hold.map_or_else(
                || "the request is repeated at once, once".to_owned(),
                |(_, pause)| until(pause),
            ),
            if is_transient { "yes" } else { "no" }.to_owned(),
            if row.advice.is_empty() { "nothing" } else { row.advice }.to_owned(),
        ];
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

fn answer(answer: Answer) -> String {
    let list = |items: &[&dyn fmt::Display]| {
        let items: Vec<_> = items.iter().map(|item| format!("`{item}`")).collect();
        items.join(", ")
    };
    let displayed = |codes: &'static [&'static str]| {
        let codes: Vec<_> = codes.iter().map(|code| code as &dyn fmt::Display).collect();
        list(&codes)
    };
    match answer {
        Answer::Fault(Fault::TooLong) => format!("any status, with {}", Fault::TooLong.words()),
        Answer::Fault(
            fault @ (Fault::Compressed
            | Fault::ContentType
            | Fault::NotJson
            | Fault::Members
            | Fault::NoToken
            | Fault::TokenType
            | Fault::TokenText
            | Fault::ExpiresIn
            | Fault::Lifetime
            | Fault::ShortLived),
        ) => format!("`2xx` with {}", fault.words()),
        Answer::Fault(fault) => fault.words().to_owned(),
        Answer::Refusal(Status::Any, Code::Is(codes)) => displayed(codes),
        Answer::Refusal(status, code) => {
            let status = match status {
                Status::Any => "any other status".to_owned(),
                Status::Is(statuses) => {
                    let statuses: Vec<_> =
                        statuses.iter().map(|one| one as &dyn fmt::Display).collect();
                    list(&statuses)
                }
                Status::Class(first) => format!("`{first}xx`"),
            };
            match code {
                Code::Any => format!("{status}, whatever the code"),
                Code::Is(codes) => format!("{status} with {}", displayed(codes)),
                Code::Unregistered => {
                    format!("{status} with an error code that is not in this table")
                }
                Code::Absent => format!("{status} without an error code"),
            }
        }
    }
}

/// Its name in the record, and the predicates of [`Error`] that it makes true.
fn kind(kind: FailureKind) -> String {
    let error = Error::failed("c".into(), &Failure::new(kind, "x"), None);
    let predicates = [
        (error.is_quota_exhausted(), "is_quota_exhausted"),
        (error.is_invalid_client(), "is_invalid_client"),
        (error.is_rejected(), "is_rejected"),
        (error.is_malformed_answer(), "is_malformed_answer"),
        (error.is_timeout(), "is_timeout"),
        (error.is_not_sent(), "is_not_sent"),
    ];
    assert_eq!(error.is_transient(), kind.consequence().is_transient);
    let name = serde_json::to_value(kind).unwrap().as_str().unwrap().replace('_', " ");
    let shown: Vec<_> =
        predicates.iter().filter(|(is, _)| *is).map(|(_, name)| format!("`{name}()`")).collect();
    if shown.is_empty() { name } else { format!("{name}: {}", shown.join(", ")) }
}

fn whom(scope: Scope) -> &'static str {
    match scope {
        Scope::Issuer => "every request to the issuer",
        Scope::Credential => "every request with this credential",
        Scope::Request => "requests for the same token",
    }
}

fn until(pause: Pause) -> String {
    let secs = |length: std::time::Duration| length.as_secs();
    match pause {
        Pause::Pace => format!(
            "the pace says: {} s at first, and never less than {} s",
            secs(FIRST_GAP),
            secs(SHORTEST_HOLD)
        ),
        Pause::Day => format!("{} h, or the credential changes", secs(DAY) / 3600),
        Pause::Unsent => format!("{} s, doubling up to {} s", secs(UNSENT.0), secs(UNSENT.1)),
    }
}
