//! Where an authorization server publishes its metadata, derived from its issuer identifier (RFC 8414 §3, OpenID Connect
//! Discovery 1.0 §4).

use http::Uri;

use super::endpoint::HttpUrl;
use crate::error::ConfigError;

/// Longer issuer identifiers are nobody's. A URL derived from one still fits into what [`Uri`] can hold.
const LONGEST_ISSUER: usize = 2048;

/// Which of the well-known documents an issuer's metadata is read from.
///
/// Both have the members of RFC 8414 §2. An issuer may publish one, the other or both, and they may differ. The document is
/// chosen and never probed: a guess that happens to be answered could be the answer of another tenant.
///
/// # Defaults
///
/// [`Discovery::OAuth`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Discovery {
    /// OAuth 2.0 authorization server metadata (RFC 8414 §3): `/.well-known/oauth-authorization-server` between the
    /// issuer's host and its path. For `https://issuer.example/tenant` that is
    /// `https://issuer.example/.well-known/oauth-authorization-server/tenant`.
    #[default]
    OAuth,
    /// OpenID Provider metadata (OpenID Connect Discovery 1.0 §4): `/.well-known/openid-configuration` after the issuer's
    /// path. For `https://issuer.example/tenant` that is
    /// `https://issuer.example/tenant/.well-known/openid-configuration`.
    OpenId,
}

/// An issuer identifier (RFC 8414 §2): an https URL without query and fragment, in the very text that was given, since that
/// is what the metadata must repeat (§3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuer {
    text: String,
    url: HttpUrl,
}

impl Issuer {
    /// Checks `text`. Plain `http` is for loopback, and only if `insecure_loopback` says so.
    pub(crate) fn parse(text: &str, insecure_loopback: bool) -> Result<Self, ConfigError> {
        let fail = |problem: &str| Err(ConfigError::new("issuer", problem));
        if text.len() > LONGEST_ISSUER {
            return fail("is longer than 2048 bytes");
        }
        // `Uri` lets more pass in a path.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return fail("has a character that no URL has (RFC 3986 §2)");
        }
        let url = HttpUrl::parse("issuer", text, insecure_loopback)?;
        if text.contains('?') {
            return fail("must not have a query (`?…`): RFC 8414 §2");
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// The identifier, as it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL of the document.
    pub(crate) fn url(&self, discovery: Discovery) -> Uri {
        let mut parts = self.url.uri().clone().into_parts();
        let path = self.url.uri().path();
        // Both specifications remove a terminating slash first, and only from here: the identifier keeps it.
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = match discovery {
            Discovery::OAuth => format!("/.well-known/oauth-authorization-server{path}"),
            Discovery::OpenId => format!("{path}/.well-known/openid-configuration"),
        };
        let path = path.try_into().expect("a path of a URL, with a path, is one");
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).expect("only the path of a whole URL was replaced")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_document_is_where_the_specifications_say() {
        const OAUTH: &str = "/.well-known/oauth-authorization-server";
        const OPENID: &str = "/.well-known/openid-configuration";
        let example = "https://example.com";
        let table = [
            // RFC 8414 §3.1 and OpenID Connect Discovery 1.0 §4.1.
            (example.to_owned(), format!("{example}{OAUTH}"), format!("{example}{OPENID}")),
            (
                format!("{example}/issuer1"),
                format!("{example}{OAUTH}/issuer1"),
                format!("{example}/issuer1{OPENID}"),
            ),
            (format!("{example}/"), format!("{example}{OAUTH}"), format!("{example}{OPENID}")),
            (
                format!("{example}/issuer1/"),
                format!("{example}{OAUTH}/issuer1"),
                format!("{example}/issuer1{OPENID}"),
            ),
            (
                format!("{example}:8443/realms/a%20b"),
                format!("{example}:8443{OAUTH}/realms/a%20b"),
                format!("{example}:8443/realms/a%20b{OPENID}"),
            ),
            (
                format!("{example}/a//"),
                format!("{example}{OAUTH}/a/"),
                format!("{example}/a/{OPENID}"),
            ),
            (
                "http://[::1]:8080/a".to_owned(),
                format!("http://[::1]:8080{OAUTH}/a"),
                format!("http://[::1]:8080/a{OPENID}"),
            ),
        ];
        for (issuer, oauth, openid) in table {
            let parsed = Issuer::parse(&issuer, true).unwrap();
            assert_eq!(parsed.as_str(), issuer);
            assert_eq!(parsed.url(Discovery::OAuth).to_string(), oauth);
            assert_eq!(parsed.url(Discovery::OpenId).to_string(), openid);
        }
    }

    #[test]
    fn an_issuer_is_an_https_url_without_query_fragment_and_user_info() {
        let long = format!("https://a.example/{}", "a".repeat(LONGEST_ISSUER));
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "https://a.example?",
            "https://a.example/?tenant=1",
            "https://a.example/#f",
            "https://u@a.example/",
            "https://a.example/\u{7f}",
            "https://a.example/é",
            "https://a.example ",
            &long,
        ] {
            assert_eq!(Issuer::parse(bad, true).expect_err(bad).field(), "issuer");
        }
        assert!(Issuer::parse("http://localhost:1/a", true).is_ok());
        let error = Issuer::parse("http://localhost:1/a", false).unwrap_err();
        assert!(error.to_string().contains("insecure_loopback"));
    }

    #[test]
    fn the_longest_issuer_has_a_document() {
        let text = "https://a.example/";
        let text = format!("{text}{}", "a".repeat(LONGEST_ISSUER - text.len()));
        let issuer = Issuer::parse(&text, false).unwrap();
        assert!(issuer.url(Discovery::OAuth).to_string().len() > LONGEST_ISSUER);
    }

    proptest! {
        /// Whatever is taken for an issuer has both documents, at its own host.
        #[test]
        fn any_text_is_refused_or_has_a_document(
            text in prop_oneof![any::<String>(), "https?://[ -~\u{7f}é]{0,40}", "https://[a-z.:0-9]{1,20}(/[!-~]{0,9}){0,3}"]
        ) {
            if let Ok(issuer) = Issuer::parse(&text, true) {
                prop_assert_eq!(issuer.as_str(), &text);
                for discovery in [Discovery::OAuth, Discovery::OpenId] {
                    let url = issuer.url(discovery);
                    prop_assert_eq!(url.authority(), issuer.url.uri().authority());
                    prop_assert!(url.path().contains("/.well-known/") && url.query().is_none());
                }
            }
        }
    }
}
