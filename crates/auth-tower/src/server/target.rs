//! The target of a request, and whether a proof is for it (RFC 9449 §4.3, claim `htu`).

use auth_core::{Origin, PathPrefix};
use http::header::HOST;
use http::{HeaderMap, Uri};

/// The origin that a request was sent to, by its URI or its `Host` field (RFC 9110 §7.1). `https` says how this server is
/// reached, where the URI does not.
pub(super) fn origin(uri: &Uri, headers: &HeaderMap, https: bool) -> Option<Origin> {
    let scheme = uri.scheme_str().unwrap_or(if https { "https" } else { "http" });
    let authority = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => {
            let mut hosts = headers.get_all(HOST).iter();
            let host = hosts.next()?.to_str().ok()?;
            if hosts.next().is_some() {
                return None;
            }
            host
        }
    };
    let builder = Uri::builder().scheme(scheme).authority(authority).path_and_query("/");
    Origin::of_uri(&builder.build().ok()?)
}

/// Whether `htu` names this target. Both are compared after normalization (RFC 3986 §6.2.2, §6.2.3) and without query and
/// fragment; a slash at the end makes a difference, as it does in a URI. A path that servers read in different ways is no target.
pub(super) fn is_target(htu: &str, origin: &Origin, path: &str) -> bool {
    let Some(uri) =
        htu.parse::<Uri>().ok().filter(|uri| Origin::of_uri(uri).as_ref() == Some(origin))
    else {
        return false;
    };
    // It is no part of a target (RFC 9110 §4.2.4).
    let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
    !has_user && is_same_path(uri.path(), path)
}

fn is_same_path(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|path| {
        let ends_in_slash = path.len() > 1 && path.ends_with('/');
        PathPrefix::canonical(path).ok().map(|form| (form, ends_in_slash))
    });
    one.is_some() && one == other
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn is_for(htu: &str, origin: &str, path: &str) -> bool {
        is_target(htu, &origin.parse().unwrap(), path)
    }

    #[test]
    fn a_target_is_compared_after_normalization() {
        for htu in [
            "https://api.example/v2/a%C3%A9",
            "HTTPS://API.Example:443/v2/a%c3%a9",
            "https://api.example:/%762/%61%C3%A9",
            "https://api.example/v2/a%C3%A9?x=y",
            "https://api.example/v2/a%C3%A9#z",
        ] {
            assert!(is_for(htu, "https://api.example", "/v2/a%C3%A9"), "{htu}");
        }
        assert!(is_for("https://api.example", "https://api.example", "/"));
        assert!(is_for("https://api.example/", "https://api.example", ""));
        assert!(is_for("https://[2001:DB8:0::1]:8443/a", "https://[2001:db8::1]:8443", "/a"));
    }

    #[test]
    fn another_target_is_another() {
        for htu in [
            "http://api.example/v2/a",
            "https://api.example:8443/v2/a",
            "https://api.example.evil/v2/a",
            "https://evil.example/v2/a",
            "https://api.example@evil.example/v2/a",
            "https://user@api.example/v2/a",
            "https://api.example/v2/b",
            "https://api.example/v2/a/",
            "https://api.example/V2/a",
            "https://api.example/v2/x/../a",
            "https://api.example//v2/a",
            "https://api.example/v2%2fa",
            "https://api.example/",
            "/v2/a",
            "api.example/v2/a",
            "*",
            "",
        ] {
            assert!(!is_for(htu, "https://api.example", "/v2/a"), "{htu}");
        }
        // What is ambiguous is not even its own target.
        assert!(!is_for("https://api.example/v2/../a", "https://api.example", "/v2/../a"));
    }

    #[test]
    fn the_origin_comes_from_the_uri_or_from_the_host_field() {
        let of = |uri: &str, hosts: &[&str], https| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_str(host).unwrap());
            }
            origin(&uri.parse().unwrap(), &headers, https).map(|origin| origin.to_string())
        };
        let told = |origin: &str| Some(origin.to_owned());
        assert_eq!(of("/a", &["API.example"], true), told("https://api.example:443"));
        assert_eq!(of("/a", &["api.example:8080"], false), told("http://api.example:8080"));
        assert_eq!(of("https://a.example/a", &["b.example"], false), told("https://a.example:443"));
        assert_eq!(of("/a", &[], true), None);
        assert_eq!(of("/a", &[""], true), None);
        assert_eq!(of("/a", &["a.example", "b.example"], true), None);
        assert_eq!(of("/a", &["a.example/b"], true), None);
        assert_eq!(of("ftp://a.example/a", &[], true), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_panics(htu: String, path: String) {
            is_for(&htu, "https://api.example", &path);
            is_for(&format!("https://api.example{path}"), "https://api.example", &path);
        }
    }
}
