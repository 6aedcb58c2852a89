//! URLs, checked before anything is sent to them.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

use crate::error::ConfigError;

/// An absolute `http` or `https` URL without user info and without a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl(Uri);

impl HttpUrl {
    /// Checks `text`; `field` is the setting that an error names. Plain `http` is for loopback, and only if
    /// `insecure_loopback` says so.
    pub(crate) fn parse(
        field: &'static str,
        text: &str,
        insecure_loopback: bool,
    ) -> Result<Self, ConfigError> {
        let fail = |problem: &str| Err(ConfigError::new(field, problem));
        if text.is_empty() {
            return fail("is empty; it must be an https URL");
        }
        // `Uri` drops a fragment without a word, and takes user info for a part of the authority.
        if text.contains('#') {
            return fail("must not have a fragment (`#…`)");
        }
        if !text.is_ascii() {
            return fail(
                "has characters outside of ASCII: write the host in its ASCII form (IDNA, `xn--…`)",
            );
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return fail("is not a URL");
        };
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return fail("must be an absolute URL such as https://issuer.example/oauth/token");
        };
        if authority.as_str().contains('@') {
            return fail("must not have user info (`user@`): credentials do not belong into a URL");
        }
        if authority.host().is_empty() {
            return fail("has no host");
        }
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let digits =
            port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
        if !port.is_empty() && (!digits || authority.port().is_none()) {
            return fail("has a port that is no number between 0 and 65535");
        }
        if authority.port_u16() == Some(0) {
            return fail("has port 0, which nobody listens on");
        }
        if *scheme == Scheme::HTTP {
            if !is_loopback(authority.host()) {
                return fail(
                    "must be https: over plain http anyone on the way reads the secret and the token",
                );
            }
            if !insecure_loopback {
                return fail(
                    "is plain http; for a server on loopback that is allowed with `insecure_loopback(true)`",
                );
            }
        } else if *scheme != Scheme::HTTPS {
            return fail("has a scheme that is neither https nor http");
        }
        Ok(Self(uri))
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// The URL as the ledger names it: lower-case scheme and host, no default port.
    pub(crate) fn normalized(&self) -> String {
        let uri = &self.0;
        let scheme = uri.scheme_str().unwrap_or_default();
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        match uri.port_u16().filter(|port| Some(*port) != default_port(scheme)) {
            Some(port) => format!("{scheme}://{host}:{port}{path}"),
            None => format!("{scheme}://{host}{path}"),
        }
    }
}

pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    // torture: E41, G53
    #[test]
    fn only_https_or_loopback_by_opt_in() {
        let parse = |text, loopback| HttpUrl::parse("token_endpoint", text, loopback);
        for good in ["https://a.example/t", "HTTPS://A.example", "https://a:8443/?q=1"] {
            assert!(parse(good, false).is_ok(), "{good}");
        }
        for loopback in
            ["http://127.0.0.1:1/t", "http://localhost/t", "http://[::1]:80/t", "http://127.8.8.8/"]
        {
            assert!(
                parse(loopback, false).unwrap_err().to_string().contains("insecure_loopback"),
                "{loopback}"
            );
            assert!(parse(loopback, true).is_ok(), "{loopback}");
        }
        let bad = [
            "",
            "a.example/t",
            "/t",
            "http://a.example/t",
            "http://127.0.0.1.example/t",
            "http://10.0.0.1/t",
            "http://localhost.example/",
            "file:///etc/passwd",
            "ftp://a.example/",
            "https://u:p@a.example/",
            "https://u@a.example/",
            "https://a.example/#f",
            "https://a b/",
            "https://a.example:99999/",
            "https://",
            "https://a.example:0/",
            "unix:/run/x",
            "https://bücher.example/",
        ];
        for bad in bad {
            let error = parse(bad, true).expect_err(bad);
            assert_eq!(error.field(), "token_endpoint");
        }
    }

    #[test]
    fn one_endpoint_has_one_name() {
        let name = |text| HttpUrl::parse("x", text, true).unwrap().normalized();
        assert_eq!(name("HTTPS://Api.Example:443/oauth/Token"), "https://api.example/oauth/Token");
        assert_eq!(name("https://api.example"), "https://api.example/");
        assert_eq!(name("https://api.example:8443/?a=B"), "https://api.example:8443/?a=B");
    }
}
