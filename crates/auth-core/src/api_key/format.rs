//! How an API key stands in its header, and which keys can.

use http::HeaderName;
use zeroize::Zeroizing;

use crate::error::ConfigError;
use crate::preflight;
use crate::secret::ClientSecret;

/// The longest key that is accepted. Most servers refuse header lines above 8 to 16 KiB.
const LONGEST: usize = 16 * 1024;

/// A prefix is a scheme and little more.
const LONGEST_PREFIX: usize = 256;

/// Fields that frame or route a message, that belong to one connection (RFC 9110 §7.6.1) or to a proxy (RFC 9110 §11.7),
/// or that hold what others put there as well (RFC 6265 §4.2). A key in one of them breaks the request, or goes astray.
const NO_PLACE: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads the name of the header that a key goes into.
pub(super) fn header_name(name: &str) -> Result<HeaderName, ConfigError> {
    let fail = |problem| ConfigError::new("in_header", problem);
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| fail("is no name of a header field (RFC 9110 section 5.1)"))?;
    if NO_PLACE.contains(&name.as_str()) {
        return Err(fail(
            "is a field that frames or routes the request, or that others use: no key can go there",
        ));
    }
    Ok(name)
}

/// What stands around a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyFormat {
    /// `Bearer <key>` (RFC 6750 §2.1).
    Bearer,
    /// `Token token="<key>"`: a parameter of a scheme (RFC 9110 §11.4).
    Token,
    /// `<prefix><key>`.
    Prefixed(String),
    /// `<key>`.
    Bare,
}

impl KeyFormat {
    /// Whether it can stand in a header, whatever the key is.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self::Prefixed(prefix) = self else { return Ok(()) };
        let fail = |problem| Err(ConfigError::new("prefixed", problem));
        if prefix.is_empty() || prefix.starts_with(' ') || prefix.len() > LONGEST_PREFIX {
            return fail("is empty, begins with a space, or is longer than 256 bytes");
        }
        if !prefix.bytes().all(is_legal) {
            return fail("has characters that cannot stand in a header (RFC 9110 section 5.5)");
        }
        if prefix.ends_with(|last: char| last.is_ascii_alphanumeric()) {
            return fail(
                "runs into the key: a scheme ends with a space, as in `ApiKey ` (RFC 9110 section 11.4)",
            );
        }
        Ok(())
    }

    /// The value of the header, in a buffer that leaves no copy behind. The error quotes nothing.
    pub(super) fn value(&self, key: &ClientSecret) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
        let key = key.expose();
        self.check_key(key)?;
        let (before, after) = self.around();
        let escapes = if *self == Self::Token { key.bytes().filter(is_escaped).count() } else { 0 };
        // Of the full size from the start, since a buffer that grows leaves its old one unwiped.
        let size = before.len() + key.len() + escapes + after.len();
        let mut value = Zeroizing::new(Vec::with_capacity(size));
        value.extend_from_slice(before.as_bytes());
        for byte in key.bytes() {
            if escapes > 0 && is_escaped(&byte) {
                value.push(b'\\');
            }
            value.push(byte);
        }
        value.extend_from_slice(after.as_bytes());
        Ok(value)
    }

    fn check_key(&self, key: &str) -> Result<(), ConfigError> {
        let fail = |problem| Err(ConfigError::new("key", problem));
        if key.len() > LONGEST {
            return fail("is longer than 16 KiB");
        }
        preflight::secret("key", key)?;
        if self.is_in(key) {
            return fail(
                "begins with the scheme: give the key alone, without what stands before it",
            );
        }
        if !key.bytes().all(is_legal) {
            return fail("has characters that cannot stand in a header (RFC 9110 section 5.5)");
        }
        // Vendors have more characters in their keys than RFC 6750 has in its `b64token`, such as `|` and `:`.
        if *self == Self::Bearer && key.contains(' ') {
            return fail("has a space in it, which no bearer token has (RFC 6750 section 2.1)");
        }
        Ok(())
    }

    fn around(&self) -> (&str, &'static str) {
        match self {
            Self::Bearer => ("Bearer ", ""),
            Self::Token => ("Token token=\"", "\""),
            Self::Prefixed(prefix) => (prefix, ""),
            Self::Bare => ("", ""),
        }
    }

    /// Whether the key comes with its scheme, as after a copy of the whole line.
    fn is_in(&self, key: &str) -> bool {
        let Some((scheme, _)) = self.around().0.split_once(' ') else { return false };
        let Some((first, _)) = key.split_once(' ') else { return false };
        first.eq_ignore_ascii_case(scheme)
    }
}

/// Visible ASCII, or a space.
fn is_legal(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// RFC 9110 §5.6.4.
fn is_escaped(byte: &u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn value(format: &KeyFormat, key: &str) -> Result<String, String> {
        let value = format.value(&key.into()).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(value.to_vec()).unwrap())
    }

    fn formats() -> [KeyFormat; 4] {
        let prefixed = KeyFormat::Prefixed("ApiKey ".to_owned());
        [KeyFormat::Bearer, KeyFormat::Token, prefixed, KeyFormat::Bare]
    }

    #[test]
    fn each_form_has_the_key_in_its_place() {
        let values = formats().map(|format| value(&format, "sk_1|a:b").unwrap());
        let wanted = ["Bearer sk_1|a:b", "Token token=\"sk_1|a:b\"", "ApiKey sk_1|a:b", "sk_1|a:b"];
        assert_eq!(values, wanted);
    }

    #[test]
    fn a_key_in_quotation_marks_is_escaped() {
        let quoted = value(&KeyFormat::Token, r#"a"b\c d"#).unwrap();
        assert_eq!(quoted, r#"Token token="a\"b\\c d""#);
        // Nowhere else: there a backslash would be one more character of the key.
        assert_eq!(value(&KeyFormat::Bare, r#"a"b\c"#).unwrap(), r#"a"b\c"#);
    }

    #[test]
    fn a_key_that_cannot_be_one_is_refused_and_not_quoted() {
        let bad = [
            ("", "empty"),
            (" k1", "white space"),
            ("k1\n", "white space"),
            ("k1\r\nX-Evil: 1", "control characters"),
            ("k1\0", "control characters"),
            ("k1é", "cannot stand in a header"),
            ("${API_KEY}", "placeholder in brackets"),
            ("<api-key>", "placeholder in brackets"),
            ("$API_KEY", "placeholder in brackets"),
            ("YOUR_API_KEY", "looks like a placeholder"),
            ("your-key-here", "looks like a placeholder"),
            ("changeme", "looks like a placeholder"),
            ("********", "masked"),
            ("undefined", "missing value"),
        ];
        for format in formats() {
            for (key, problem) in bad {
                let error = format.value(&key.into()).unwrap_err();
                assert_eq!(error.field(), "key");
                assert!(error.to_string().contains(problem), "{key:?}: {error}");
            }
            let longest = "k1".repeat(LONGEST / 2);
            assert!(format.value(&longest.as_str().into()).is_ok());
            let error = value(&format, &(longest + "k")).unwrap_err();
            assert!(error.contains("longer than 16 KiB"), "{error}");
        }
    }

    #[test]
    fn a_key_with_its_scheme_is_a_careless_copy() {
        let [bearer, token, prefixed, bare] = formats();
        for (format, key) in [
            (&bearer, "Bearer k1"),
            (&bearer, "bearer k1"),
            (&token, "Token token=\"k1\""),
            (&prefixed, "apikey k1"),
        ] {
            assert!(value(format, key).unwrap_err().contains("begins with the scheme"), "{key}");
        }
        assert!(value(&bearer, "k1 k2").unwrap_err().contains("space"));
        assert_eq!(value(&bare, "Bearer k1").unwrap(), "Bearer k1");
        assert_eq!(value(&bearer, "bearer-k1").unwrap(), "Bearer bearer-k1");
    }

    #[test]
    fn a_prefix_that_breaks_the_header_or_runs_into_the_key_is_refused() {
        let long = "p".repeat(LONGEST_PREFIX) + " ";
        for prefix in ["", " ApiKey ", "Api\nKey ", "Schlüssel ", "ApiKey", "a1", long.as_str()] {
            let error = KeyFormat::Prefixed(prefix.to_owned()).check().unwrap_err();
            assert_eq!(error.field(), "prefixed", "{prefix:?}");
        }
        for prefix in ["ApiKey ", "key=", "Basic:", "Key id=1, key="] {
            assert_eq!(KeyFormat::Prefixed(prefix.to_owned()).check(), Ok(()), "{prefix:?}");
        }
    }

    #[test]
    fn a_header_that_frames_or_routes_the_request_is_no_place_for_a_key() {
        for name in NO_PLACE.iter().copied().chain(["Host", "COOKIE", "", "x y", "x:", "é", "a\n"])
        {
            assert_eq!(header_name(name).unwrap_err().field(), "in_header", "{name:?}");
        }
        for name in ["Authorization", "X-Api-Key", "apikey", "DD-API-KEY", "PRIVATE-TOKEN"] {
            assert_eq!(header_name(name).unwrap(), name);
        }
    }

    /// What a recipient makes of a quoted-string (RFC 9110 §5.6.4).
    fn unquoted(value: &str) -> String {
        let quoted = value.strip_prefix("Token token=\"").unwrap().strip_suffix('"').unwrap();
        let mut text = String::new();
        let mut chars = quoted.chars();
        while let Some(char) = chars.next() {
            assert_ne!(char, '"');
            text.push(if char == '\\' { chars.next().unwrap() } else { char });
        }
        text
    }

    fn keys() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[ -~]{0,40}", "[!-~]{1,40}", r#"["\\ a]{1,9}"#]
    }

    proptest! {
        /// Whatever passes makes a header that has the key in it; what does not is not quoted. Nothing panics.
        #[test]
        fn what_passes_makes_a_header_and_comes_back(key in keys()) {
            for format in formats() {
                match value(&format, &key) {
                    Ok(value) => {
                        prop_assert!(HeaderValue::from_str(&value).is_ok());
                        match format {
                            KeyFormat::Token => prop_assert_eq!(unquoted(&value), &key[..]),
                            _ => prop_assert!(value.ends_with(&key)),
                        }
                    }
                    Err(error) => prop_assert!(key.len() < 12 || !error.contains(&key)),
                }
            }
        }

        #[test]
        fn no_prefix_and_no_name_panics(text in any::<String>()) {
            let name = header_name(&text);
            prop_assert!(name.is_err() || HeaderName::from_bytes(text.as_bytes()).is_ok());
            let format = KeyFormat::Prefixed(text);
            if format.check().is_ok() {
                let value = value(&format, "k1").unwrap();
                prop_assert!(HeaderValue::from_str(&value).is_ok());
            }
        }
    }
}
