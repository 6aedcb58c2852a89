//! Where an answer came from.

use auth_core::Origin;
use reqwest::Url;

/// The host that reqwest names for a response that another middleware put together without saying its URL.
const UNKNOWN_HOST: &str = "no.url.provided.local";

/// Whether the answer that came from `from` is that of the origin that its request went to: reqwest follows redirects, and
/// what another origin says of a token is no news. An answer that does not say where it is from is taken for the
/// destination's.
pub(crate) fn is_answer_of(to: &Origin, from: &Url) -> bool {
    from.host_str().is_some_and(|host| {
        host == UNKNOWN_HOST || to.covers_parts(from.scheme(), host, from.port())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_ones_own_by_scheme_host_and_port() {
        let to = "https://A.example/x".parse().unwrap();
        let own = |url: &str| is_answer_of(&to, &url.parse().unwrap());
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
