use proptest::prelude::*;

use super::*;

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

#[test]
fn nothing_that_the_issuer_wrote_gets_into_the_message() {
    let body = r#"{"error":"canary","error_description":"canary","error_uri":"canary"}"#;
    for status in [200, 400, 401, 429, 500, 302] {
        let failure = answer(status, "application/json", body).unwrap_err();
        assert!(!format!("{failure:?} {}", failure.detail).contains("canary"));
    }
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
