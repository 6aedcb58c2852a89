use proptest::prelude::*;

use super::*;
use crate::wire::dpop::{LONGEST_NONCE, NONCE};

/// What the requests of these tests are: for a bearer token, and with one secret.
fn read(response: Response<Bytes>, now: Timestamp, refusals: &[QuotaRefusal]) -> Reading {
    let mut secrets = Redactions::new();
    secrets.add(SECRET);
    super::read(response, now, refusals, TokenType::Bearer, &secrets)
}

const SECRET: &str = "canary+secret/4711";

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn answer(status: u16, content_type: &str, body: &str) -> Result<TokenResponse, Failure> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    read(response.body(Bytes::from(body.to_owned())).unwrap(), NOW, &[]).token
}

fn ok(members: &str) -> Result<TokenResponse, Failure> {
    answer(
        200,
        "application/json",
        &format!(r#"{{"access_token":"abc","token_type":"Bearer"{members}}}"#),
    )
}

fn kind(result: Result<TokenResponse, Failure>) -> FailureKind {
    result.unwrap_err().kind
}

// torture: D26, D27
#[test]
fn expires_in_may_be_a_number_or_a_string_that_holds_one() {
    for (text, seconds) in [
        ("3600", 3600.0),
        ("3600.0", 3600.0),
        ("\"3600\"", 3600.0),
        ("1e30", 1e30),
        ("18446744073709551616", 1.844_674_407_370_955_2e19),
        ("-1", -1.0),
        ("0", 0.0),
    ] {
        assert_eq!(
            ok(&format!(r#","expires_in":{text}"#)).unwrap().expires_in,
            Some(seconds),
            "{text}"
        );
    }
    assert_eq!(ok("").unwrap().expires_in, None);
    assert_eq!(ok(r#","expires_in":null"#).unwrap().expires_in, None);
    for text in ["true", "[1]", r#""an hour""#, r#""inf""#, r#""NaN""#, r#""1e400""#, r#""""#] {
        assert_eq!(kind(ok(&format!(r#","expires_in":{text}"#))), FailureKind::Unusable, "{text}");
    }
}

// torture: B15
#[test]
fn a_quota_refusal_in_other_clothes_is_known_where_it_was_described() {
    let refusals = [
        QuotaRefusal { status: StatusCode::BAD_REQUEST, text: "quota".to_owned() },
        QuotaRefusal { status: StatusCode::FORBIDDEN, text: String::new() },
    ];
    let kind_of = |status: u16, body: &str, refusals: &[QuotaRefusal]| {
        let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
        let response = response.body(Bytes::from(body.to_owned())).unwrap();
        kind(read(response, NOW, refusals).token)
    };
    let spent = r#"{"error":"invalid_request","error_description":"Daily token QUOTA exceeded"}"#;
    let other = r#"{"error":"invalid_request","error_description":"no audience"}"#;
    assert_eq!(kind_of(400, spent, &refusals), FailureKind::OverQuota);
    assert_eq!(kind_of(400, spent, &[]), FailureKind::Rejected);
    assert_eq!(kind_of(400, other, &refusals), FailureKind::Rejected);
    assert_eq!(kind_of(403, other, &refusals), FailureKind::OverQuota);
    assert_eq!(kind_of(403, other, &[]), FailureKind::Rejected);
    assert_eq!(kind_of(500, spent, &refusals), FailureKind::Unavailable);
    for (status, code) in [(400, "too_many_requests"), (429, "invalid_request"), (403, "slow_down")]
    {
        let body = format!(r#"{{"error":"{code}"}}"#);
        assert_eq!(kind_of(status, &body, &[]), FailureKind::OverQuota, "{status} {code}");
    }
}

// torture: D28
#[test]
fn a_member_that_stands_twice_is_refused() {
    assert_eq!(kind(ok(r#","access_token":"def""#)), FailureKind::Junk);
    assert_eq!(kind(ok(r#","expires_in":1,"expires_in":2"#)), FailureKind::Junk);
    assert_eq!(kind(ok(r#","x":1,"x":1"#)), FailureKind::Junk);
    assert!(ok(r#","x":1,"y":{"access_token":1}"#).is_ok());
}

// torture: D33
#[test]
fn a_200_that_is_no_token_response_is_a_failure_of_its_kind() {
    let json = "application/json";
    assert_eq!(kind(answer(200, json, r#"{"error":"invalid_scope"}"#)), FailureKind::Rejected);
    assert_eq!(kind(answer(200, json, r#"{"error":"what?"}"#)), FailureKind::Rejected);
    assert_eq!(kind(answer(200, "text/html", "<html>")), FailureKind::Junk);
    let token = r#"{"access_token":"abc","token_type":"Bearer"}"#;
    assert_eq!(kind(answer(200, "text/html", token)), FailureKind::Junk);
    for body in
        ["", "{}", "[]", "null", "\"a\"", "{\"access_token\":1}", "<html>", "{\"access_token\":\"a"]
    {
        assert_eq!(kind(answer(200, json, body)), FailureKind::Junk, "{body}");
    }
    assert!(answer(200, "Application/JSON; charset=utf-8", token).is_ok());
    assert!(answer(200, "application/vnd.a+json", token).is_ok());
    assert!(read(Response::new(Bytes::from(token)), NOW, &[]).token.is_ok());
}

// torture: D35
#[test]
fn a_long_or_compressed_body_is_refused() {
    let long = format!(
        r#"{{"access_token":"abc","token_type":"Bearer","x":"{}"}}"#,
        "x".repeat(LONGEST_ANSWER)
    );
    assert_eq!(kind(answer(200, "application/json", &long)), FailureKind::Junk);
    let body = Bytes::from(r#"{"access_token":"abc","token_type":"Bearer"}"#);
    let gzip = Response::builder().header(CONTENT_ENCODING, "gzip").body(body).unwrap();
    assert_eq!(kind(read(gzip, NOW, &[]).token), FailureKind::Junk);
}

// torture: D36
#[test]
fn a_token_that_cannot_stand_in_a_header_is_unusable() {
    for token in ["", "a b", "a\\r\\nb", "a\\u0000", "\\u00e9"] {
        let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#);
        assert_eq!(kind(answer(200, "application/json", &body)), FailureKind::Unusable, "{token}");
    }
}

// torture: D37
#[test]
fn only_bearer_tokens_are_used() {
    let of =
        |kind: &str| answer(200, "application/json", &format!(r#"{{"access_token":"abc"{kind}}}"#));
    for good in ["Bearer", "bearer", "BEARER"] {
        assert!(of(&format!(r#","token_type":"{good}""#)).is_ok());
    }
    for bad in [r#","token_type":"N_A""#, r#","token_type":"mac""#, r#","token_type":null"#, ""] {
        assert_eq!(kind(of(bad)), FailureKind::Unusable, "{bad}");
    }
}

#[test]
fn every_status_has_its_kind() {
    let of = |status, code: &str| {
        kind(answer(
            status,
            "application/json",
            &format!(r#"{{"error":"{code}","error_description":"x"}}"#),
        ))
    };
    assert_eq!(of(401, "invalid_client"), FailureKind::InvalidClient);
    assert_eq!(of(400, "invalid_client"), FailureKind::InvalidClient);
    assert_eq!(of(400, "invalid_scope"), FailureKind::Rejected);
    assert_eq!(of(403, "access_denied"), FailureKind::Rejected);
    assert_eq!(of(403, "too_many_requests"), FailureKind::OverQuota);
    assert_eq!(of(429, "invalid_client"), FailureKind::OverQuota);
    assert_eq!(of(503, "invalid_client"), FailureKind::Unavailable);
    for (status, expected) in [
        (302, FailureKind::Redirect),
        (308, FailureKind::Redirect),
        // A gateway's, perhaps: only the issuer's own `invalid_client` holds a credential for a day.
        (401, FailureKind::Rejected),
        (403, FailureKind::Rejected),
        (404, FailureKind::Rejected),
        (408, FailureKind::Unavailable),
        (429, FailureKind::OverQuota),
        (500, FailureKind::Unavailable),
        (599, FailureKind::Unavailable),
    ] {
        assert_eq!(kind(answer(status, "text/plain", "")), expected, "{status}");
    }
}

// torture: E44
#[test]
fn of_what_the_issuer_wrote_a_message_has_the_code_and_the_description_without_secrets() {
    let body = r#"{"error":"canary+secret/4711","error_description":"\u001b[31mno canary%2Bsecret%2F4711\n","error_uri":"uri"}"#;
    for status in [200, 400, 401, 403, 429, 500, 302] {
        let failure = answer(status, "application/json", body).unwrap_err();
        let shown = format!("{failure:?} {}", failure.detail);
        assert!(!shown.contains("canary") && !shown.contains("uri"), "{shown}");
        assert!(!shown.contains(char::is_control), "{shown}");
        let said = format!(
            "the issuer answered {status} with the unregistered error code \"[redacted]\" (\"\\u{{1b}}[31mno [redacted]\")"
        );
        assert!(failure.detail.starts_with(&said), "{shown}");
    }
    let leaks = r#"{"error":"invalid_scope","access_token":"canary-token","error_description":"not canary-token"}"#;
    let failure = answer(400, "application/json", leaks).unwrap_err();
    assert!(failure.detail.contains("not [redacted]"), "{failure:?}");
}

#[test]
fn a_refusal_is_shown_with_the_issuers_own_words_and_with_what_to_do() {
    let of = |body: &str| answer(403, "application/json", body).unwrap_err().detail;
    assert_eq!(
        of(
            r#"{"error":"access_denied","error_description":"Client has not been granted scopes: x"}"#
        ),
        "the issuer answered 403 `access_denied` (\"Client has not been granted scopes: x\"): check what this client was \
         granted: the audience and the scopes"
    );
    let plain = "the issuer answered 403 `access_denied`: check what this client was granted: the audience and the scopes";
    for odd in ["1", "null", "true", "[[1]]", r#"{"a":{}}"#, "\"\"", "\" \""] {
        assert_eq!(of(&format!(r#"{{"error":"access_denied","error_description":{odd}}}"#)), plain);
    }
    let unregistered = of(r#"{"error":"what?"}"#);
    assert!(
        unregistered.contains("403 with the unregistered error code \"what?\": check"),
        "{unregistered}"
    );
    let silent = of(r#"{"error_description":"Forbidden"}"#);
    assert!(silent.starts_with("the issuer answered 403 (\"Forbidden\"): check"), "{silent}");
}

#[test]
fn a_scope_is_read_and_one_of_another_type_is_no_reason_to_refuse_the_token() {
    assert_eq!(ok(r#","scope":"read write""#).unwrap().scope.as_deref(), Some("read write"));
    for odd in
        ["", r#","scope":["read"]"#, r#","scope":{"a":[]}"#, r#","scope":7"#, r#","scope":null"#]
    {
        assert_eq!(ok(odd).unwrap().scope, None, "{odd}");
    }
    let deep = format!(r#","error_description":{}1{}"#, "[".repeat(9000), "]".repeat(9000));
    assert!(ok(&deep).is_ok());
}

/// An answer to a request with a proof.
fn proven(status: u16, nonces: &[&str], body: &str) -> Reading {
    let mut response = Response::builder().status(status);
    for nonce in nonces {
        response = response.header(NONCE, *nonce);
    }
    let response = response.body(Bytes::from(body.to_owned())).unwrap();
    super::read(response, NOW, &[], TokenType::Dpop, &Redactions::new())
}

// torture: D37
#[test]
fn with_a_proof_only_a_token_that_is_bound_to_its_key_is_used() {
    let of = |kind: &str| {
        proven(200, &[], &format!(r#"{{"access_token":"abc","token_type":"{kind}"}}"#)).token
    };
    for good in ["DPoP", "dpop", "DPOP"] {
        assert!(of(good).is_ok(), "{good}");
    }
    let failure = of("Bearer").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unusable);
    assert!(failure.detail.contains("`token_type` is not `DPoP`"), "{failure:?}");
    let bearer = answer(200, "application/json", r#"{"access_token":"abc","token_type":"DPoP"}"#);
    assert_eq!(kind(bearer), FailureKind::Unusable);
}

#[test]
fn a_nonce_is_read_where_it_is_one_and_asked_for_only_then() {
    let wanted = r#"{"error":"use_dpop_nonce"}"#;
    let of = |nonces: &[&str]| {
        let reading = proven(400, nonces, wanted);
        (reading.nonce, reading.token.unwrap_err().kind)
    };
    assert_eq!(of(&["eyJ.n-0_1~"]), (Some("eyJ.n-0_1~".to_owned()), FailureKind::NonceRequired));
    let long = "n".repeat(LONGEST_NONCE);
    assert_eq!(of(&[&long]).1, FailureKind::NonceRequired);
    let longer = "n".repeat(LONGEST_NONCE + 1);
    for none in [&[][..], &[""], &["a b"], &["a\"b"], &["a\\b"], &["a", "b"], &[&longer]] {
        assert_eq!(of(none), (None, FailureKind::Rejected), "{none:?}");
    }
    let token = r#"{"access_token":"abc","token_type":"DPoP"}"#;
    assert_eq!(proven(200, &["next"], token).nonce.as_deref(), Some("next"));
    // Where no proof was sent, a nonce is of no use.
    let response = Response::builder().status(400).header(NONCE, "n").body(Bytes::from(wanted));
    assert_eq!(kind(read(response.unwrap(), NOW, &[]).token), FailureKind::Rejected);
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let of = |value: &str, date: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after(&headers, NOW).map(|length| length.as_secs())
    };
    assert_eq!(of("120", None), Some(120));
    assert_eq!(of("99999999999999999999999", None), Some(u64::MAX));
    let date = "Fri, 31 Dec 1999 23:59:59 GMT";
    assert_eq!(
        of("Fri, 31 Dec 1999 23:59:59 GMT", Some("Fri, 31 Dec 1999 23:58:59 GMT")),
        Some(60)
    );
    assert_eq!(of(date, None), Some(0));
    assert_eq!(of("soon", None), None);
    assert_eq!(of("-1", None), None);
}

proptest! {
    #[test]
    fn no_answer_panics(status in 100u16..1000, body in proptest::collection::vec(any::<u8>(), 0..200), retry in "[ -~]{0,40}") {
        let response = Response::builder().status(status).header(RETRY_AFTER, retry.as_str()).body(Bytes::from(body));
        prop_assert!(read(response.unwrap(), NOW, &[]).token.is_err());
    }
}
