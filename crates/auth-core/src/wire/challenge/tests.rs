use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn challenge(scheme: &str, params: &[(&str, &str)]) -> Challenge {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Challenge { scheme: scheme.to_owned(), params: params.collect() }
}

fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
    }
    headers
}

#[test]
fn the_examples_of_the_specifications_are_read() {
    let read = |line: &str| parse(line.as_bytes());
    // RFC 9110 §11.6.1.
    assert_eq!(
        read(r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#),
        [
            challenge("basic", &[("realm", "simple")]),
            challenge(
                "newauth",
                &[("realm", "apps"), ("type", "1"), ("title", r#"Login to "apps""#)]
            ),
        ]
    );
    // RFC 6750 §3.
    assert_eq!(
        read(
            r#"Bearer realm="example", error="invalid_token", error_description="The access token expired""#
        ),
        [challenge(
            "bearer",
            &[
                ("realm", "example"),
                ("error", "invalid_token"),
                ("error_description", "The access token expired"),
            ]
        )]
    );
    // RFC 9449 §7.1 and §7.2.
    assert_eq!(read(r#"DPoP algs="ES256 PS256""#), [challenge("dpop", &[("algs", "ES256 PS256")])]);
    let both = r#"Bearer, DPoP algs="ES256 PS256""#;
    assert_eq!(
        read(both),
        [challenge("bearer", &[]), challenge("dpop", &[("algs", "ES256 PS256")])]
    );
    // RFC 7616 §3.9.1, in two lines.
    let digest = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5"#;
    let challenges = challenges(&headers(&[digest, digest]));
    assert_eq!(challenges.len(), 2);
    assert_eq!(challenges[1].param("qop"), Some("auth, auth-int"));
    assert_eq!(challenges[1].param("algorithm"), Some("MD5"));
}

#[test]
fn what_the_grammar_allows_is_read() {
    let bearer = |params| vec![challenge("bearer", params)];
    for (line, expected) in [
        ("", vec![]),
        (" , ,\t,", vec![]),
        ("Bearer", bearer(&[])),
        ("BEARER  ERROR = \t\"a\"", bearer(&[("error", "a")])),
        (",, Bearer ,a=1,, b=2 ,", bearer(&[("a", "1"), ("b", "2")])),
        // Not allowed, and clear all the same.
        ("Bearer, a=1", bearer(&[("a", "1")])),
        (r#"Bearer a="", b="\\\"\c""#, bearer(&[("a", ""), ("b", r#"\"c"#)])),
        ("Bearer a=\"\u{e9}, x=\u{20ac}\"", bearer(&[("a", "\u{e9}, x=\u{20ac}")])),
        // Single quotes are token characters.
        ("Bearer a='b'", bearer(&[("a", "'b'")])),
        // A parameter may have the name of a scheme.
        ("Bearer dpop=1", bearer(&[("dpop", "1")])),
        ("Bearer a=1, a=2", bearer(&[("a", "1"), ("a", "2")])),
    ] {
        assert_eq!(parse(line.as_bytes()), expected, "{line}");
    }
    assert_eq!(parse(b"Bearer a=1, a=2")[0].param("a"), Some("1"));
    assert_eq!(parse(b"Bearer a=\"\xff\"")[0].param("a"), Some("\u{fffd}"));
}

#[test]
fn a_token68_is_read_over() {
    let bearer = challenge("bearer", &[("error", "x")]);
    for line in [
        "Negotiate oYGeMIGboAMKAQE+/w==, Bearer error=x",
        "Negotiate a, Bearer error=x",
        "Negotiate  a== , Bearer error=x",
        "Negotiate, Bearer error=x",
        "Negotiate a= ,, Bearer error=x",
    ] {
        assert_eq!(parse(line.as_bytes()), [challenge("negotiate", &[]), bearer.clone()], "{line}");
    }
    // Rather an unquoted value that is empty than a token68: what comes after it is not lost.
    assert_eq!(parse(b"Bearer realm=, error=x"), [bearer]);
}

#[test]
fn what_stands_before_an_error_counts() {
    let kept = [challenge("bearer", &[("a", "1")])];
    for line in [
        "Bearer a=1, b",
        "Bearer a=1, b=",
        "Bearer a=1, b=\"open",
        "Bearer a=1, b=\"open\\",
        "Bearer a=1, b=\"bell\x07\"",
        "Bearer a=1, b=\"escape\\\x1b\"",
        "Bearer a=1, b=https://a.example",
        "Bearer a=1, b==",
        "Bearer a=1 b=2",
        "Bearer a=\"1\"b=2",
        "Bearer a=1, Basic;",
        "Bearer a=1, \"b\"",
        "Bearer a=1, (",
        "Bearer a=1, \u{e9}",
    ] {
        let mut read = parse(line.as_bytes());
        // What is no parameter may be a scheme.
        read.retain(|challenge| challenge.scheme != "b");
        assert_eq!(read, kept, "{line}");
    }
    for line in ["a=1", "=", "\"a\"", "Bearer=", "Bearer/1", "\r\n"] {
        assert_eq!(parse(line.as_bytes()), [], "{line}");
    }
    assert_eq!(parse(b"Bearer Basic realm=1"), [challenge("bearer", &[])]);
    // Each line is for itself.
    let lines = headers(&["Bearer a=\"", "error=1", "DPoP error=use_dpop_nonce"]);
    let dpop = challenge("dpop", &[("error", "use_dpop_nonce")]);
    assert_eq!(challenges(&lines), [challenge("bearer", &[]), dpop]);
}

#[test]
fn a_nonce_is_wanted_by_dpop_alone() {
    // RFC 9449 §9.
    let example = r#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof""#;
    assert!(wants_dpop_nonce(&headers(&[example])));
    assert!(wants_dpop_nonce(&headers(&["Bearer", "Basic realm=a, dpop ERROR=use_dpop_nonce"])));
    for other in [
        "Bearer error=\"use_dpop_nonce\"",
        "DPoP error=\"invalid_token\"",
        "DPoP",
        "DPoP error_description=\"error=use_dpop_nonce\"",
        "Bearer a=\", DPoP error=use_dpop_nonce\"",
    ] {
        assert!(!wants_dpop_nonce(&headers(&[other])), "{other}");
    }
    assert!(!wants_dpop_nonce(&HeaderMap::new()));
}

#[test]
fn there_is_a_bound() {
    let long = format!("Bearer a=\"{}\"", "a".repeat(LONGEST_FIELD));
    assert_eq!(parse(long.as_bytes()), []);
    let line = "A,".repeat(MOST_CHALLENGES - 1);
    let lines = headers(&[&line, &line]);
    assert_eq!(challenges(&lines).len(), MOST_CHALLENGES);
    // Parameters of the challenge that is one too many do not become the last one's.
    let many = format!("{}B a=1", "A,".repeat(MOST_CHALLENGES));
    assert_eq!(parse(many.as_bytes()).last(), Some(&challenge("a", &[])));
    let lines = headers(&[&"A,".repeat(MOST_CHALLENGES), "b=1", "C b=1"]);
    assert!(challenges(&lines).iter().all(|challenge| challenge.params.is_empty()));
}

/// How a value is written: as a token if it is one and `bare` says so.
fn written(value: &str, bare: bool) -> String {
    if bare && !value.is_empty() && value.bytes().all(is_token) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn built() -> impl Strategy<Value = (String, Vec<Challenge>)> {
    let token = "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,8}";
    let value = prop_oneof![token.boxed(), "[ -~\té€]{0,16}".boxed()];
    let space = "[ \t]{0,2}";
    let param = (token, space, space, value, any::<bool>(), "( ?,[ \t]?){1,3}");
    let own = prop_oneof![
        vec(param, 0..4).prop_map(|params| (None, params)),
        "[a-zA-Z0-9._~+/-]{1,9}={0,2}".prop_map(|token68| (Some(token68), vec![])),
    ];
    let challenge = (token, "[ ]{1,2}", own, "( ?,[ \t]?){1,3}");
    vec(challenge, 0..6).prop_map(|challenges| {
        let (mut line, mut expected) = (String::new(), Vec::new());
        for (scheme, space, (token68, params), end) in challenges {
            line += &scheme;
            line += &space;
            line += token68.as_deref().unwrap_or_default();
            let mut read = Vec::new();
            for (at, (name, before, behind, value, bare, comma)) in params.into_iter().enumerate() {
                if at > 0 {
                    line += &comma;
                }
                line += &format!("{name}{before}={behind}{}", written(&value, bare));
                read.push((name.to_ascii_lowercase(), value));
            }
            line += &end;
            expected.push(Challenge { scheme: scheme.to_ascii_lowercase(), params: read });
        }
        (line, expected)
    })
}

proptest! {
    #[test]
    fn what_is_built_is_parsed_back((line, expected) in built()) {
        prop_assert_eq!(parse(line.as_bytes()), expected, "{}", line);
    }

    /// No input panics, and what is there already is left alone.
    #[test]
    fn any_line_is_read_as_far_as_it_goes(
        line in prop_oneof![
            vec(any::<u8>(), 0..200),
            r#"([a-zA-Z]{1,3}|[ \t,="\\/;é])*"#.prop_map(String::into_bytes),
        ]
    ) {
        for challenge in parse(&line) {
            prop_assert!(challenge.scheme.bytes().all(|byte| is_token(byte) && !byte.is_ascii_uppercase()));
            for (name, value) in challenge.params {
                prop_assert!(name.bytes().all(|byte| is_token(byte) && !byte.is_ascii_uppercase()));
                prop_assert!(value.bytes().all(is_text));
            }
        }
    }
}
