//! Where a credential may go: origins, compared by scheme, host and port (RFC 6454).

use std::cmp::Ordering;
use std::fmt;
use std::net::Ipv6Addr;
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
            host: normalized(uri.host().unwrap_or_default()),
            port: uri.port_u16().or_else(|| default_port(scheme)).unwrap_or(443),
        }
    }

    /// That of an absolute URI; `None` for one that has none which a request could go to.
    pub fn of_uri(uri: &Uri) -> Option<Self> {
        let parts = Parts::of(uri.scheme_str()?, uri.authority()?.as_str())?;
        let host = normalized(parts.host);
        (!host.is_empty()).then_some(Self { https: parts.https, host, port: parts.port })
    }

    /// Whether a request to `uri` goes to this origin. Allocates nothing.
    #[inline]
    pub fn covers(&self, uri: &Uri) -> bool {
        let destination = uri.scheme_str().zip(uri.authority());
        destination
            .and_then(|(scheme, authority)| Parts::of(scheme, authority.as_str()))
            .is_some_and(|parts| self.is(parts))
    }

    /// Whether a request to these parts of a URL goes to this origin; no port is the scheme's own. IPv6 addresses are in
    /// brackets, as in a URL. Allocates nothing.
    #[inline]
    pub fn covers_parts(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        Parts::new(scheme, host, port).is_some_and(|parts| self.is(parts))
    }

    #[inline]
    fn is(&self, parts: Parts<'_>) -> bool {
        self.order(parts).is_eq() || (parts.host.starts_with('[') && self.is_address(parts))
    }

    /// The same for an IPv6 address, which has several spellings.
    #[inline(never)]
    fn is_address(&self, parts: Parts<'_>) -> bool {
        self.order(Parts { host: &normalized(parts.host), ..parts }).is_eq()
    }

    /// Where it stands among others: an order that is cheap to tell, and means nothing.
    #[inline]
    fn order(&self, than: Parts<'_>) -> Ordering {
        let short = (self.https, self.port, self.host.len());
        match short.cmp(&(than.https, than.port, than.host.len())) {
            Ordering::Equal if self.host.eq_ignore_ascii_case(than.host) => Ordering::Equal,
            Ordering::Equal => {
                self.host.bytes().cmp(than.host.bytes().map(|byte| byte.to_ascii_lowercase()))
            }
            unequal => unequal,
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// As it is usually written.
    pub(crate) fn authority(&self) -> String {
        let own = if self.https { 443 } else { 80 };
        if self.port == own { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    fn parts(&self) -> Parts<'_> {
        Parts { https: self.https, host: &self.host, port: self.port }
    }
}

/// In lower case, and an IPv6 address as it is usually written (RFC 5952), as browsers and reqwest write it.
fn normalized(host: &str) -> String {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match address.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        Some(address) => format!("[{address}]"),
        None => host.to_ascii_lowercase(),
    }
}

/// A request's destination, as an [`Origin`] is compared with it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Parts<'a> {
    https: bool,
    host: &'a str,
    port: u16,
}

impl<'a> Parts<'a> {
    /// `None` if the scheme is neither `http` nor `https`.
    #[inline]
    fn new(scheme: &str, host: &'a str, port: Option<u16>) -> Option<Self> {
        let (https, default) = if scheme.eq_ignore_ascii_case("https") {
            (true, 443)
        } else if scheme.eq_ignore_ascii_case("http") {
            (false, 80)
        } else {
            return None;
        };
        Some(Self { https, host, port: port.unwrap_or(default) })
    }

    /// In one pass from the end, which `Authority::host` and `port` take several for. `None` for a port that is no number
    /// up to 65535, which `Authority` lets pass: such an authority is nobody's origin.
    #[inline]
    fn of(scheme: &str, authority: &'a str) -> Option<Self> {
        let digits = authority.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (before, digits) = authority.split_at(authority.len() - digits);
        let (host, port) = match before.strip_suffix(':') {
            // An empty port is the default one (RFC 3986 §6.2.3).
            Some(host) if digits.is_empty() => (host, None),
            Some(host) => (host, Some(digits.parse().ok()?)),
            None => (authority, None),
        };
        let host = host.rfind('@').map_or(host, |at| &host[at + 1..]);
        Self::new(scheme, host, port)
    }
}

/// The origins of one credential, of which each request asks whether its own is among them.
#[derive(Clone)]
pub(crate) struct Origins {
    sorted: Box<[Origin]>,
    /// The scheme and the authority of the only one, as they are usually written: in lower case, and without the scheme's own
    /// port. What is written like this needs no second look.
    only: Option<(&'static str, String)>,
}

impl Origins {
    pub(crate) fn new(mut origins: Vec<Origin>) -> Self {
        origins.sort_unstable_by(|one, other| one.order(other.parts()));
        origins.dedup();
        let only = match &*origins {
            [only] => Some((only.scheme(), only.authority())),
            _ => None,
        };
        Self { sorted: origins.into(), only }
    }

    pub(crate) fn as_slice(&self) -> &[Origin] {
        &self.sorted
    }

    #[inline]
    pub(crate) fn target(&self, uri: &Uri) -> Target {
        self.locate(uri).0
    }

    /// Whether a request to `uri` goes to one of these, and the place of that among them. Allocates nothing; the time that it takes grows
    /// with the logarithm of their number.
    #[inline]
    pub(crate) fn locate(&self, uri: &Uri) -> (Target, usize) {
        match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                let authority = authority.as_str();
                match &self.only {
                    Some((own, only)) if scheme == *own && authority == only => (Target::Bound, 0),
                    _ => self.search(scheme, authority),
                }
            }
            _ => (Target::Relative, 0),
        }
    }

    #[inline(never)]
    fn search(&self, scheme: &str, authority: &str) -> (Target, usize) {
        let parts = Parts::of(scheme, authority);
        match parts.and_then(|parts| self.index(parts)) {
            Some(place) => (Target::Bound, place),
            None => (Target::Foreign, 0),
        }
    }

    #[inline]
    pub(crate) fn position_of_parts(
        &self,
        scheme: &str,
        host: &str,
        port: Option<u16>,
    ) -> Option<usize> {
        self.index(Parts::new(scheme, host, port)?)
    }

    /// The place of a URI's origin among these.
    pub(crate) fn position(&self, uri: &Uri) -> Option<usize> {
        let (scheme, authority) = uri.scheme_str().zip(uri.authority())?;
        self.index(Parts::of(scheme, authority.as_str())?)
    }

    /// The place of this origin among these.
    pub(crate) fn position_of(&self, origin: &Origin) -> Option<usize> {
        self.index(origin.parts())
    }

    #[inline]
    fn index(&self, parts: Parts<'_>) -> Option<usize> {
        if parts.host.starts_with('[') {
            return self.index_of_address(parts);
        }
        self.sorted.binary_search_by(|origin| origin.order(parts)).ok()
    }

    /// Of an IPv6 address, which has several spellings.
    #[inline(never)]
    fn index_of_address(&self, parts: Parts<'_>) -> Option<usize> {
        let host = normalized(parts.host);
        let parts = Parts { host: &host, ..parts };
        self.sorted.binary_search_by(|origin| origin.order(parts)).ok()
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sorted.fmt(f)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host, self.port)
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

#[cfg(test)]
mod tests {
    use http::uri::Authority;
    use proptest::prelude::*;

    use super::*;

    fn covers(origin: &str, uri: &str) -> bool {
        origin.parse::<Origin>().unwrap().covers(&uri.parse().unwrap())
    }

    #[test]
    fn scheme_host_and_port_must_all_agree() {
        for same in [
            "https://a.example",
            "https://A.EXAMPLE:443/x?y",
            "https://u@a.example/",
            "https://a.example:/",
        ] {
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
            "/v2",
            "a.example:443",
        ] {
            assert!(!covers("https://a.example/v2", other), "{other}");
        }
        assert!(covers("http://[::1]:8080", "http://[::1]:8080/x"));
        assert!(covers("http://127.0.0.1:80", "http://127.0.0.1/"));
        assert!(covers("https://[2001:DB8:0:0::1]", "https://[2001:db8::1]/"));
        assert!(covers("https://[2001:db8::1]", "https://[2001:0db8::1]/"));
        assert!(!covers("https://[2001:db8::1]", "https://[2001:db8::2]/"));
    }

    #[test]
    fn a_uri_without_an_authority_is_relative() {
        let origins = Origins::new(vec!["https://a.example".parse().unwrap()]);
        let target = |uri: &str| origins.target(&uri.parse().unwrap());
        assert_eq!(target("/v2"), Target::Relative);
        assert_eq!(target("a.example:443"), Target::Relative);
        assert_eq!(target("https://a.example/"), Target::Bound);
        assert_eq!(target("https://b.example/"), Target::Foreign);
        assert_eq!(target("ftp://a.example/"), Target::Foreign);
        assert_eq!(target("http://a.example/"), Target::Foreign);
        assert_eq!(target("https://a.example:443/"), Target::Bound);
        let origins = Origins::new(vec!["https://a.example:8443".parse().unwrap()]);
        assert_eq!(origins.target(&"https://a.example:8443/".parse().unwrap()), Target::Bound);
        assert_eq!(origins.target(&"https://a.example/".parse().unwrap()), Target::Foreign);
    }

    #[test]
    fn among_many_each_is_found_and_no_other() {
        let host = |n: usize| format!("h{n}.example");
        let origins = (0..1000).map(|n| format!("https://{}:{}", host(n), 443 + n % 3));
        let origins = Origins::new(origins.map(|text| text.parse().unwrap()).collect());
        assert_eq!(origins.as_slice().len(), 1000);
        for n in 0..1000 {
            for port in 442..447 {
                let uri = format!("https://{}:{port}/x", host(n).to_uppercase()).parse().unwrap();
                let expected = if port == 443 + n % 3 { Target::Bound } else { Target::Foreign };
                assert_eq!(origins.target(&uri), expected, "{uri}");
                let port = Some(u16::try_from(port).unwrap());
                let place = origins.position_of_parts("https", &host(n), port);
                assert_eq!(place.is_some(), expected == Target::Bound);
                assert!(place.is_none_or(|place| origins.as_slice()[place].covers(&uri)));
            }
        }
        assert_eq!(origins.target(&"https://h0.example/".parse().unwrap()), Target::Bound);
        assert_eq!(origins.target(&"https://h1000.example/".parse().unwrap()), Target::Foreign);
    }

    proptest! {
        /// What `Authority` itself says of its host and port, for all that it accepts.
        #[test]
        fn an_authority_is_read_as_its_own_parser_reads_it(
            authority in "(([a-c%:]{0,3}@)?([a-c.:]{0,4}|[0-9.]{1,8}|\\[[0-9:]{2,5}\\])(:[0-9]{0,6})?)",
        ) {
            if let Ok(authority) = authority.parse::<Authority>() {
                let port = authority.port_u16();
                // An empty port is none.
                let text = authority.as_str();
                let text = text.strip_suffix(':').unwrap_or(text);
                let rest = text.strip_suffix(authority.host());
                let well_formed =
                    port.is_some() || rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('@'));
                let expected =
                    Parts { https: true, host: authority.host(), port: port.unwrap_or(443) };
                let parts = Parts::of("https", authority.as_str());
                if !well_formed || authority.host().is_empty() {
                    // Nobody's origin, whatever is read there.
                    prop_assert!(parts.is_none_or(|parts| parts.host.is_empty() || parts.host.contains(':')));
                } else {
                    prop_assert_eq!(parts, Some(expected));
                }
            }
        }
    }
}
