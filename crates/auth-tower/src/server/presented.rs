//! What a request shows: the credential in its `Authorization` field (RFC 9110 §11.6.2), read and not yet judged.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// A request's credential. It borrows from the header, and does not print.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) enum Presented<'a> {
    /// None, or one of a scheme that this server does not know, which is the same to it (RFC 6750 §3.1).
    Nothing,
    /// `Bearer`: an access token (RFC 6750 §2.1), or a legacy key in its place.
    Bearer(&'a str),
    /// `DPoP`: an access token that a proof has to be shown with (RFC 9449 §7.1).
    Dpop(&'a str),
    /// `Token token="…"`: a legacy key.
    Key(Cow<'a, str>),
}

/// The scheme that a token came with, and that a refusal names in its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750.
    #[default]
    Bearer,
    /// RFC 9449.
    Dpop,
}

impl<'a> Presented<'a> {
    /// Reads the credential of a request with these headers and this query.
    ///
    /// Schemes have no case (RFC 9110 §11.1). A token in the query (RFC 6750 §2.3) is not looked at: it stands in logs. Beside
    /// an `Authorization` field it is a second credential.
    ///
    /// # Errors
    ///
    /// When there are several, or one that is none by its grammar. The error quotes nothing.
    pub(crate) fn read(headers: &'a HeaderMap, query: Option<&str>) -> Result<Self, PresentError> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let Some(field) = fields.next() else { return Ok(Self::Nothing) };
        if fields.next().is_some() || query.is_some_and(has_token) {
            return Err(PresentError::Several);
        }
        let field = field.as_bytes();
        let (scheme, rest) = match field.iter().position(|byte| *byte == b' ') {
            Some(space) => field.split_at(space),
            None => (field, &b""[..]),
        };
        let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
        // One space or more (RFC 9110 §11.4).
        let rest = rest.trim_ascii_start();
        if is(b"Bearer") {
            b64token(rest).map(Self::Bearer).ok_or(PresentError::Malformed(Scheme::Bearer))
        } else if is(b"DPoP") {
            b64token(rest).map(Self::Dpop).ok_or(PresentError::Malformed(Scheme::Dpop))
        } else if is(b"Token") {
            key(rest).map(Self::Key).ok_or(PresentError::Malformed(Scheme::Bearer))
        } else {
            Ok(Self::Nothing)
        }
    }

    /// The scheme to refuse it by.
    pub(crate) fn scheme(&self) -> Scheme {
        if matches!(self, Self::Dpop(_)) { Scheme::Dpop } else { Scheme::Bearer }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Bearer(_) => "Bearer(..)",
            Self::Dpop(_) => "Dpop(..)",
            Self::Key(_) => "Key(..)",
        })
    }
}

/// Why a request's credential cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PresentError {
    /// Two `Authorization` fields, or one and a token in the query. Which of them counts, servers see differently
    /// (RFC 6750 §2).
    Several,
    /// It is not what its scheme has (RFC 6750 §2.1).
    Malformed(Scheme),
}

impl fmt::Display for PresentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Several => "the request has more than one credential",
            Self::Malformed(_) => "the credential has not the form that its scheme demands",
        })
    }
}

impl StdError for PresentError {}

/// `b64token` (RFC 6750 §2.1).
fn b64token(text: &[u8]) -> Option<&str> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &text[..text.len() - padding];
    // To the end, whatever comes: without a way out, the compiler takes many octets at a time.
    let has_other = digits.iter().fold(false, |other, octet| other | !is_digit68(*octet));
    if digits.is_empty() || has_other {
        return None;
    }
    str::from_utf8(text).ok()
}

/// A digit of `token68` (RFC 9110 §11.2). Without a branch.
fn is_digit68(octet: u8) -> bool {
    let within = |low: u8, high: u8| octet.wrapping_sub(low) <= high - low;
    // `-`, `.`, `/` and the decimal digits stand side by side.
    within(b'a', b'z')
        | within(b'A', b'Z')
        | within(b'-', b'9')
        | (octet == b'_')
        | (octet == b'~')
        | (octet == b'+')
}

/// `token="…"`, a parameter whose value may be a `token` or a `quoted-string` (RFC 9110 §11.2). There must be no other one.
fn key(text: &[u8]) -> Option<Cow<'_, str>> {
    let (name, value) = text.split_at(text.iter().position(|byte| *byte == b'=')?);
    if !name.trim_ascii_end().eq_ignore_ascii_case(b"token") {
        return None;
    }
    let value = value[1..].trim_ascii();
    let quoted = value.strip_prefix(b"\"").map(|rest| rest.strip_suffix(b"\""));
    let value = match quoted {
        None if value.iter().all(is_token) => value,
        None | Some(None) => return None,
        Some(Some(value)) => value,
    };
    if value.is_empty() || !value.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return None;
    }
    let value = str::from_utf8(value).ok()?;
    if !value.contains(['"', '\\']) {
        return Some(Cow::Borrowed(value));
    }
    let mut key = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            // It ends the string, so something follows.
            '"' => return None,
            '\\' => key.push(characters.next()?),
            character => key.push(character),
        }
    }
    Some(Cow::Owned(key))
}

/// `tchar` (RFC 9110 §5.6.2).
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Whether a query has a token in it, as an HTML form would write it.
fn has_token(query: &str) -> bool {
    // Names alone: to decode a value takes memory.
    query.split('&').any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        form_urlencoded::parse(name.as_bytes()).any(|(name, _)| name == "access_token")
    })
}

#[cfg(test)]
mod tests {
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
            ("", Presented::Nothing),
        ] {
            assert_eq!(
                Presented::read(&headers(&[field]), None).as_ref(),
                Ok(&expected),
                "{field}"
            );
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
            ("Bearer a, Bearer b", Scheme::Bearer),
            ("Bearer a\tb", Scheme::Bearer),
            ("Bearer ==", Scheme::Bearer),
            ("Bearer a=b", Scheme::Bearer),
            ("Bearer \"abc\"", Scheme::Bearer),
            ("DPoP a,b", Scheme::Dpop),
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
        for query in [
            "access_token=x",
            "a=b&access_token",
            "%61ccess%5Ftoken=",
            "access_token=&access_token=",
        ] {
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
        for field in
            ["Bearer canary", "DPoP canary", "Token token=\"canary\"", "Bearer canary canary"]
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
}
