use http::HeaderValue;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn headers(fields: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(AUTHORIZATION, HeaderValue::from_str(field).unwrap());
    }
    headers
}

#[test]
fn a_credential_is_read_by_its_scheme() {
    for (field, expected) in [
        ("Bearer abc", Presented::Bearer("abc")),
        ("bEARER   a-._~+/9==", Presented::Bearer("a-._~+/9==")),
        ("DPoP abc", Presented::Dpop("abc")),
        ("dpop abc", Presented::Dpop("abc")),
        ("Token token=\"a b,c\"", Presented::Key("a b,c".into())),
        ("TOKEN Token = \"abc\" ", Presented::Key("abc".into())),
        ("Token token=abc", Presented::Key("abc".into())),
        (r#"Token token="a\"b\\c""#, Presented::Key(r#"a"b\c"#.into())),
        ("Basic YTpi", Presented::Nothing),
        ("Negotiate", Presented::Nothing),
        ("Bearers abc", Presented::Nothing),
        ("Digest a=\"b, Bearer c\", d = \"e\",f=g", Presented::Nothing),
        ("", Presented::Nothing),
    ] {
        assert_eq!(Presented::read(&headers(&[field]), None).as_ref(), Ok(&expected), "{field}");
    }
    assert_eq!(
        Presented::read(&HeaderMap::new(), Some("access_token=abc")),
        Ok(Presented::Nothing)
    );
}

#[test]
fn what_has_not_the_form_of_its_scheme_is_refused() {
    for (field, scheme) in [
        ("Bearer", Scheme::Bearer),
        ("Bearer ", Scheme::Bearer),
        ("Bearer a b", Scheme::Bearer),
        ("Bearer a,", Scheme::Bearer),
        ("Bearer , a=b", Scheme::Bearer),
        ("Bearer \"a, Bearer b\"", Scheme::Bearer),
        ("Bearer a\tb", Scheme::Bearer),
        ("Bearer ==", Scheme::Bearer),
        ("Bearer a=b", Scheme::Bearer),
        ("Bearer \"abc\"", Scheme::Bearer),
        ("DPoP a,b=c", Scheme::Dpop),
        ("Token abc", Scheme::Bearer),
        ("Token token=\"\"", Scheme::Bearer),
        ("Token token=", Scheme::Bearer),
        ("Token token=\"abc", Scheme::Bearer),
        ("Token token=\"", Scheme::Bearer),
        ("Token token=a b", Scheme::Bearer),
        ("Token token=\"a\"b\"", Scheme::Bearer),
        ("Token token=\"a\\\"", Scheme::Bearer),
        ("Token token=\"a\", token=\"b\"", Scheme::Bearer),
        ("Token key=\"abc\"", Scheme::Bearer),
    ] {
        let headers = headers(&[field]);
        let read = Presented::read(&headers, Some("x=access_token"));
        assert_eq!(read, Err(PresentError::Malformed(scheme)), "{field}");
    }
    let mut binary = HeaderMap::new();
    binary.insert(AUTHORIZATION, HeaderValue::from_bytes(b"Bearer a\xff").unwrap());
    assert!(Presented::read(&binary, None).is_err());
}

#[test]
fn a_digit_of_a_token_is_one_of_the_grammar() {
    for octet in 0..=255_u8 {
        let legal = octet.is_ascii_alphanumeric() || b"-._~+/".contains(&octet);
        assert_eq!(is_digit68(octet), legal, "{octet}");
        // Wherever it stands.
        for place in [0, 5, 40, 63] {
            let mut text = [b'a'; 64];
            text[place] = octet;
            let is_padding = octet == b'=' && place == 63;
            assert_eq!(b64token(&text).is_some(), legal || is_padding, "{octet} at {place}");
        }
    }
}

#[test]
fn two_credentials_are_none() {
    for fields in
        [["Bearer a", "Bearer a"], ["Bearer a", "Token token=\"b\""], ["Basic a", "Bearer b"]]
    {
        assert_eq!(Presented::read(&headers(&fields), None), Err(PresentError::Several));
    }
    // In one field.
    for field in [
        "Bearer a, Bearer b",
        "Bearer a,Bearer b",
        "Bearer a , \tBearer b",
        "Bearer a=, bearer b=",
        "Bearer , Bearer b",
        "Bearer a,b",
        "DPoP a, Bearer b",
        "Bearer a, Token token=\"b\"",
        "Bearer a, Basic",
        "Token token=\"a\", Token token=\"b\"",
        "Token token=\"a\\\", b\", Bearer c",
        "Token token=a, Bearer b",
        "Token token=\"a\", x=y, Bearer b",
        "Basic a, Bearer b",
        "Digest a=\"b, c\", d = e,Bearer b",
    ] {
        assert_eq!(
            Presented::read(&headers(&[field]), None),
            Err(PresentError::Several),
            "{field}"
        );
    }
    for query in
        ["access_token=x", "a=b&access_token", "%61ccess%5Ftoken=", "access_token=&access_token="]
    {
        assert_eq!(
            Presented::read(&headers(&["Bearer a"]), Some(query)),
            Err(PresentError::Several),
            "{query}"
        );
    }
    for query in ["", "token=x", "a=access_token", "Access_Token=x", "access_token_x=y"] {
        assert!(Presented::read(&headers(&["Bearer a"]), Some(query)).is_ok(), "{query}");
    }
}

// torture: E43
#[test]
fn no_credential_is_shown() {
    for field in ["Bearer canary", "DPoP canary", "Token token=\"canary\"", "Bearer canary canary"]
    {
        let shown = format!("{:?}", Presented::read(&headers(&[field]), None));
        assert!(!shown.contains("canary"), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_field_and_no_query_panics(field in vec(any::<u8>(), 0..40), scheme in "(Bearer|DPoP|Token|) (token=)?", query: String) {
        let mut headers = HeaderMap::new();
        let field = [scheme.as_bytes(), &field].concat();
        if let Ok(field) = HeaderValue::from_bytes(&field) {
            headers.insert(AUTHORIZATION, field);
        }
        let _ = Presented::read(&headers, Some(&query));
        if let Ok(Presented::Bearer(token) | Presented::Dpop(token)) = Presented::read(&headers, None) {
            prop_assert!(!token.contains([' ', ',', '"', '\t']) && !token.is_empty());
        }
    }

    #[test]
    fn a_key_survives_its_quotes(key in "[ -~]{1,40}") {
        let quoted = key.replace('\\', r"\\").replace('"', "\\\"");
        let headers = headers(&[&format!("Token token=\"{quoted}\"")]);
        prop_assert_eq!(Presented::read(&headers, None), Ok(Presented::Key(key.into())));
    }
}

/// A quote behind a backslash ends no string, so what follows is no second credential.
#[test]
fn a_comma_in_a_string_with_an_escaped_quote_parts_nothing() {
    let field = r#"Digest username="a\", Bearer b", uri="/""#;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, http::HeaderValue::from_static(field))]);
    assert_eq!(Presented::read(&headers, None), Ok(Presented::Nothing));
}
