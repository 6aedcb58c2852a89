//! Where a secret may go.

use std::net::IpAddr;

use reqwest::Url;

/// Passes `https`, and `http` to this machine itself, not by way of a proxy.
pub(super) fn destination(url: &Url, has_proxy: bool) -> Result<(), &'static str> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if !url.host_str().is_some_and(is_loopback) => {
            Err("the token endpoint is plain http and not on loopback")
        }
        "http" if has_proxy => {
            Err("the token endpoint is plain http, and a proxy would read the secret")
        }
        "http" => Ok(()),
        _ => Err("the token endpoint is neither https nor http"),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    // torture: E41
    #[test]
    fn the_secret_goes_by_https_or_stays_on_the_machine() {
        let passes = |url: &str, has_proxy| destination(&url.parse().unwrap(), has_proxy).is_ok();
        assert!(passes("https://issuer.example/t", false));
        assert!(passes("https://issuer.example/t", true));
        for url in
            ["http://127.0.0.1:1/t", "http://127.1/", "http://LOCALHOST/", "http://[::1]:80/"]
        {
            assert!(passes(url, false), "{url}");
            assert!(!passes(url, true), "{url}");
        }
        let bad = [
            "http://issuer.example/t",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://127.0.0.1@evil.example/",
            "ftp://127.0.0.1/",
            "file:///etc/hosts",
        ];
        for url in bad {
            assert!(!passes(url, false), "{url}");
        }
    }
}
