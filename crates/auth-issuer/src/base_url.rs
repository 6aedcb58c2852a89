//! The URL that clients know an issuer by, where it is not the address that it listens on.

use http::Uri;

/// `given` without a slash at its end, as everything else begins with it.
///
/// # Errors
///
/// What is wrong with it, for an issuer identifier (RFC 8414 §2) of this server, which has its endpoints at the root.
pub(crate) fn parse(given: &str) -> Result<String, &'static str> {
    let uri: Uri = given.parse().map_err(|_| "it is no URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it must begin with http:// or https://");
    }
    let Some(authority) = uri.authority() else { return Err("it has no host") };
    if authority.host().is_empty() {
        return Err("it has no host");
    }
    if authority.as_str().contains('@') {
        return Err("it must not have a user or a password in it");
    }
    let port = authority.as_str().strip_prefix(authority.host());
    let is_port =
        |port: &str| port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if !port.is_some_and(|port| port.is_empty() || is_port(port)) {
        return Err("its port is no port");
    }
    let base = given.strip_suffix('/').unwrap_or(given);
    // A query or a fragment too: what is left is no more than the two parts that were looked at.
    let (_, rest) = base.split_once("://").ok_or("it is no URL")?;
    if rest != authority.as_str() {
        return Err("it must not have a path, a query or a fragment");
    }
    Ok(base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_scheme_and_a_host() {
        for (given, base) in [
            ("http://issuer", "http://issuer"),
            ("https://issuer.example:8443/", "https://issuer.example:8443"),
            ("http://[::1]:8400", "http://[::1]:8400"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(base));
        }
        for bad in [
            "",
            "/",
            "issuer",
            "issuer:8400",
            "//issuer",
            "ftp://issuer",
            "http://",
            "http:///",
            "http://:80",
            "http://user@issuer",
            "http://user:password@issuer",
            "http://issuer:port",
            "http://issuer:84000",
            "http://issuer//",
            "http://issuer/path",
            "http://issuer?query",
            "http://issuer/?query",
            "http://issuer?",
            "http://issuer#fragment",
            "http://issuer/#",
            "http://iss uer",
            " http://issuer",
            "http://issuer\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
