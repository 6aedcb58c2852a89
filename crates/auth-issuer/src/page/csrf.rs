//! Who may use the settings page and the admin API: decided by what a browser says of a request, and by secrets of this
//! run.
//!
//! Any website can make a browser post to a loopback port, and can point its own name at 127.0.0.1. So a request must
//! come from this machine, name a host that no foreign site can have, carry the session, and, if it changes
//! something, come from this page and carry the page's own value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::header::{COOKIE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::refused::Refused;
use crate::random;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The secrets of one run, and what is known of the listener.
pub(crate) struct AdminAccess {
    /// Opens the admin API.
    token: SecretString,
    /// Opens the page: browsers keep addresses in their history, and the API is not to be had from there.
    entrance: SecretString,
    /// What the cookie holds: none of these, since cookies go to every port of a host.
    session: SecretString,
    /// What each form carries.
    csrf: SecretString,
    bound: SocketAddr,
}

impl AdminAccess {
    /// Fresh secrets for an issuer that listens on `bound`.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub(crate) fn new(bound: SocketAddr) -> Result<Self, getrandom::Error> {
        let secret = || random::hex::<32>().map(SecretString::from);
        let (token, entrance) = (secret()?, secret()?);
        Ok(Self { token, entrance, session: secret()?, csrf: secret()?, bound })
    }

    /// The token of the admin API.
    pub(crate) fn token(&self) -> &str {
        self.token.expose_secret()
    }

    /// Where the page is entered, with what opens it.
    pub(crate) fn entrance(&self) -> String {
        let entrance = self.entrance.expose_secret();
        let ip = match self.bound.ip() {
            // No address to go to.
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let host = SocketAddr::new(ip, self.bound.port());
        format!("http://{host}/settings/api/enter?token={entrance}")
    }

    /// The value that the page's forms carry.
    pub(crate) fn csrf(&self) -> &str {
        self.csrf.expose_secret()
    }

    /// Whether `given` is the admin token; in constant time.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        is_same(&self.token, given)
    }

    /// Whether `given` opens the page; in constant time.
    pub(crate) fn is_entrance(&self, given: &str) -> bool {
        is_same(&self.entrance, given)
    }

    /// The `Set-Cookie` of the session (RFC 6265 §4.1). Its name has the port, so that two issuers of one machine do not
    /// replace each other's.
    pub(crate) fn session_cookie(&self) -> String {
        let (name, value) = (self.cookie_name(), self.session.expose_secret());
        format!("{name}={value}; Path=/settings; HttpOnly; SameSite=Strict")
    }

    /// Whether the request's address and host are let in; the host, if so.
    ///
    /// # Errors
    ///
    /// [`Refused::Peer`] and [`Refused::Host`].
    pub(crate) fn admit(
        &self,
        peer: Option<SocketAddr>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Authority, Refused> {
        // Whoever is let in makes credentials, so that other machines never are, whatever the listener is bound to. A
        // connection from the listener's own address is one of this machine.
        let is_near = peer.is_some_and(|peer| {
            let ip = peer.ip().to_canonical();
            ip.is_loopback() || ip == self.bound.ip().to_canonical()
        });
        if !is_near {
            return Err(Refused::Peer);
        }
        let host = host(uri, headers).ok_or(Refused::Host)?;
        if self.is_own(&host) { Ok(host) } else { Err(Refused::Host) }
    }

    /// Whether the request carries the session's cookie.
    ///
    /// # Errors
    ///
    /// [`Refused::NoSession`].
    pub(crate) fn check_session(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let name = self.cookie_name();
        let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        // A neighbour on another port can add a cookie of this name, and must not shut the user out with it.
        let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name).then_some(value)
        });
        let is_there = pairs.any(|value| is_same(&self.session, value));
        if is_there { Ok(()) } else { Err(Refused::NoSession) }
    }

    /// Whether a request that changes something comes from a page of `host`, by the headers that no page can set
    /// (Fetch, `Origin` and `Sec-Fetch-Site`). One of them must be there, and each that is there must agree.
    ///
    /// # Errors
    ///
    /// [`Refused::CrossSite`].
    pub(crate) fn check_origin(host: &Authority, headers: &HeaderMap) -> Result<(), Refused> {
        let own = format!("http://{host}");
        match is_own_page(headers, &[&own], &["same-origin"]) {
            Some(true) => Ok(()),
            Some(false) | None => Err(Refused::CrossSite),
        }
    }

    /// Whether a browser says that it sent the request for the page of another site; programs say nothing of that. `url` is
    /// the issuer's own.
    ///
    /// The host that the request names counts only if no foreign site can have it: a name can be pointed here.
    pub(crate) fn is_foreign(&self, url: &str, uri: &Uri, headers: &HeaderMap) -> bool {
        let host = host(uri, headers).filter(|host| self.is_own(host));
        let own = host.map_or_else(|| url.to_owned(), |host| format!("http://{host}"));
        // `none` is a user's own doing.
        is_own_page(headers, &[url, &own], &["same-origin", "none"]) == Some(false)
    }

    /// Whether a form carries the page's value.
    ///
    /// # Errors
    ///
    /// [`Refused::FormToken`].
    pub(crate) fn check_form(&self, given: Option<&str>) -> Result<(), Refused> {
        let is_own = given.is_some_and(|given| is_same(&self.csrf, given));
        if is_own { Ok(()) } else { Err(Refused::FormToken) }
    }

    /// A name that only this machine answers to, or an address of the listener. Names are what rebinding needs; an
    /// address cannot be pointed elsewhere.
    fn is_own(&self, host: &Authority) -> bool {
        let name = host.host();
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok_and(|ip| {
            let (ip, bound) = (ip.to_canonical(), self.bound.ip().to_canonical());
            ip.is_loopback() || (ip == bound && !bound.is_unspecified())
        })
    }

    fn cookie_name(&self) -> String {
        format!("issuer_admin_{}", self.bound.port())
    }
}

/// Whether all that a browser says of the page that a request comes from is one of these (Fetch, `Origin` and
/// `Sec-Fetch-Site`); `None` if it says nothing.
fn is_own_page(headers: &HeaderMap, origins: &[&str], sites: &[&str]) -> Option<bool> {
    let is_origin = |value: &HeaderValue| {
        origins.iter().any(|own| value.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
    };
    // Another port of this host is `same-site`, and none of ours.
    let is_site = |value: &HeaderValue| sites.iter().any(|own| value == own);
    let origins = headers.get_all(ORIGIN).iter().map(is_origin);
    origins.chain(headers.get_all(SEC_FETCH_SITE).iter().map(is_site)).reduce(|all, one| all && one)
}

/// The one host that the request names: in its target, as HTTP/2 and absolute forms have it, or in `Host`. If both are
/// there they must agree (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut values = headers.get_all(HOST).iter();
    let in_header = match (values.next(), values.next()) {
        (Some(value), None) => Some(Authority::try_from(value.as_bytes()).ok()?),
        (None, _) => None,
        (Some(_), Some(_)) => return None,
    };
    let host = match (uri.authority(), in_header) {
        (Some(target), Some(header)) if *target != header => return None,
        (Some(target), _) => target.clone(),
        (None, header) => header?,
    };
    is_plain(&host).then_some(host)
}

/// A host and perhaps a port, without the user info and the rest behind a bracket that `Authority` lets pass.
fn is_plain(host: &Authority) -> bool {
    host.as_str().strip_prefix(host.host()).is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
    })
}

fn is_same(secret: &SecretString, given: &str) -> bool {
    secret.expose_secret().as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests;
