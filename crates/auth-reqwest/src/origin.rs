//! Where a request goes, and where its answer came from.

use http::Uri;
use http::uri::PathAndQuery;
use reqwest::Url;

/// The host that reqwest names for a response that another middleware put together without saying its URL.
const UNKNOWN_HOST: &str = "no.url.provided.local";

/// Scheme and authority of a request's URL. Its path and query are left out: they are not needed, and could be long.
#[derive(Debug)]
pub(crate) struct Destination(Uri);

impl Destination {
    /// `None` for a URL without an authority, or with one that HTTP cannot address; reqwest sends neither.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let uri = Uri::builder()
            .scheme(url.scheme())
            .authority(url.authority())
            .path_and_query(PathAndQuery::from_static("/"))
            .build();
        uri.ok().map(Self)
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether an answer from `url` is this destination's own: reqwest follows redirects, and what another origin says of a
    /// token is no news. An answer that does not say where it is from is taken for the destination's.
    pub(crate) fn answered_from(&self, url: &Url) -> bool {
        let same_host =
            |host: &str| self.0.host().is_some_and(|own| own.eq_ignore_ascii_case(host));
        match url.host_str() {
            Some(UNKNOWN_HOST) => true,
            // Both were normalised by `Url`: the default port is left out.
            Some(host) => {
                same_host(host)
                    && self.0.scheme_str() == Some(url.scheme())
                    && self.0.port_u16() == url.port()
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(url: &str) -> Option<Destination> {
        Destination::of(&url.parse().unwrap())
    }

    #[test]
    fn only_scheme_and_authority_are_kept() {
        let uri = |url| destination(url).unwrap().uri().to_string();
        assert_eq!(uri("https://A.example:443/v2?a=b#fragment"), "https://a.example/");
        assert_eq!(uri("http://127.0.0.1:8080/{odd}|path#"), "http://127.0.0.1:8080/");
        assert_eq!(uri("https://[::1]:8443"), "https://[::1]:8443/");
        assert_eq!(uri("https://bücher.example/"), "https://xn--bcher-kva.example/");
    }

    #[test]
    fn what_has_no_authority_goes_nowhere() {
        for url in ["data:text/plain,x", "mailto:a@b.example", "file:///etc/hosts"] {
            assert!(destination(url).is_none(), "{url}");
        }
    }

    #[test]
    fn an_answer_is_ones_own_by_scheme_host_and_port() {
        let own = |url: &str| {
            destination("https://u:p@a.example/x").unwrap().answered_from(&url.parse().unwrap())
        };
        assert!(own("https://a.example:443/y?z"));
        for other in
            ["http://a.example/", "https://a.example:8443/", "https://b.example/", "data:,"]
        {
            assert!(!own(other), "{other}");
        }
        let rebuilt = reqwest::Response::from(http::Response::new(""));
        assert!(own(rebuilt.url().as_str()), "{}", rebuilt.url());
    }
}
