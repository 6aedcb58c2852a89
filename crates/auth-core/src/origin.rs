//! Where a credential may go: origins, compared by scheme, host and port (RFC 6454).

use std::fmt;
use std::str::FromStr;

use http::Uri;

use crate::error::ConfigError;
use crate::wire::endpoint::{HttpUrl, default_port};

/// The scheme, host and port of a URL.
///
/// ```
/// use auth_core::Origin;
///
/// let origin: Origin = "https://API.example/v2".parse()?;
/// assert_eq!(origin.to_string(), "https://api.example:443");
/// # Ok::<_, auth_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    pub(crate) fn of_url(url: &HttpUrl) -> Self {
        let uri = url.uri();
        let scheme = uri.scheme_str().unwrap_or("https");
        Self {
            https: scheme == "https",
            host: uri.host().unwrap_or_default().to_ascii_lowercase(),
            port: uri.port_u16().or_else(|| default_port(scheme)).unwrap_or(443),
        }
    }

    /// Whether a request to `uri` goes to this origin. Allocates nothing.
    #[inline]
    pub fn covers(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return false;
        };
        let port = authority.port_u16();
        // `Authority` lets ports pass that are no numbers; such an authority is nobody's origin.
        let well_formed = port.is_some() || authority.as_str().ends_with(authority.host());
        well_formed && self.covers_parts(scheme, authority.host(), port)
    }

    /// Whether a request to these parts of a URL goes to this origin; no port is the scheme's own. IPv6 addresses are in
    /// brackets, as in a URL. Allocates nothing.
    #[inline]
    pub fn covers_parts(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let (own, default) = if self.https { ("https", 443) } else { ("http", 80) };
        scheme.eq_ignore_ascii_case(own)
            && port.unwrap_or(default) == self.port
            && host.eq_ignore_ascii_case(&self.host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.https { "https" } else { "http" }, self.host, self.port)
    }
}

impl FromStr for Origin {
    type Err = ConfigError;

    /// From an absolute URL; what comes after the authority does not matter. Plain `http` is accepted for loopback.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        HttpUrl::parse("origin", text, true).map(|url| Self::of_url(&url))
    }
}

/// How a request's destination relates to a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One of the credential's origins: the request gets the credential.
    Bound,
    /// Another origin: the credential stays here.
    Foreign,
    /// The URI has no scheme or no authority, so nothing can be said.
    Relative,
}

impl Target {
    pub(crate) fn of(uri: &Uri, origins: &[Origin]) -> Self {
        if uri.scheme().is_none() || uri.host().is_none() {
            Self::Relative
        } else if origins.iter().any(|origin| origin.covers(uri)) {
            Self::Bound
        } else {
            Self::Foreign
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(origin: &str, uri: &str) -> bool {
        origin.parse::<Origin>().unwrap().covers(&uri.parse().unwrap())
    }

    #[test]
    fn scheme_host_and_port_must_all_agree() {
        for same in ["https://a.example", "https://A.EXAMPLE:443/x?y", "https://u@a.example/"] {
            assert!(covers("https://a.example/v2", same), "{same}");
        }
        for other in [
            "http://a.example/",
            "https://a.example:8443/",
            "https://b.example/",
            "https://a.example.evil/",
            "https://evil-a.example/",
            "https://sub.a.example/",
            "https://evil/a.example",
            "https://a.example@evil/",
            "https://a.example./",
            "https://a.example:99999/",
            "https://a.example:/",
            "/v2",
            "a.example:443",
        ] {
            assert!(!covers("https://a.example/v2", other), "{other}");
        }
        assert!(covers("http://[::1]:8080", "http://[::1]:8080/x"));
        assert!(covers("http://127.0.0.1:80", "http://127.0.0.1/"));
    }

    #[test]
    fn a_uri_without_an_authority_is_relative() {
        let origins = ["https://a.example".parse().unwrap()];
        assert_eq!(Target::of(&"/v2".parse().unwrap(), &origins), Target::Relative);
        assert_eq!(Target::of(&"a.example:443".parse().unwrap(), &origins), Target::Relative);
        assert_eq!(Target::of(&"https://a.example/".parse().unwrap(), &origins), Target::Bound);
        assert_eq!(Target::of(&"https://b.example/".parse().unwrap(), &origins), Target::Foreign);
    }
}
