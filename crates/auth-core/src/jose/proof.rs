//! DPoP: the proof that a request comes from the holder of the key that a token is bound to (RFC 9449).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::jose::assertion::{fresh_jti, numeric_date};
use crate::jose::jwk::PublicJwk;
use crate::jose::jws::jws;
use crate::jose::signer::{SignError, Signer};
use crate::wire::endpoint::default_port;

/// RFC 9449 §4.2.
#[derive(Serialize)]
struct Claims<'a> {
    jti: &'a str,
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

/// The value of the `DPoP` field for one request (RFC 9449 §4.2): to `htu`, as [`htu()`] writes it, by `method`, with
/// `token` if the request carries one, and with the `nonce` that the server gave if it gave one (§8). `jwk` is the signer's
/// public key, which the caller keeps since it is the same each time.
pub(crate) fn proof(
    signer: &dyn Signer,
    jwk: &PublicJwk,
    method: &str,
    htu: &str,
    now: Timestamp,
    token: Option<&str>,
    nonce: Option<&str>,
) -> Result<Zeroizing<String>, SignError> {
    let claims = Claims {
        jti: &fresh_jti(),
        htm: method,
        htu,
        iat: numeric_date(now),
        ath: token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token))),
        nonce,
    };
    jws(signer, Some("dpop+jwt"), Some(jwk), &claims)
}

/// The target of a request without query and fragment (RFC 9449 §4.2), as RFC 9110 §4.2.3 normalizes it: scheme and host in
/// lower case, no default port, `/` for an empty path. User information is no part of a target (RFC 9110 §4.2.4).
///
/// `path` may have the query and the fragment on it still.
pub(crate) fn htu(scheme: &str, authority: &str, path: &str) -> String {
    let scheme = scheme.to_ascii_lowercase();
    let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
    let (host, port) = match server.rsplit_once(':') {
        // The colons inside of the brackets are an IPv6 address's own.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (server, ""),
    };
    let host = host.to_ascii_lowercase();
    let is_default = port.parse().is_ok_and(|port: u16| default_port(&scheme) == Some(port));
    let port = if is_default || port.is_empty() { String::new() } else { format!(":{port}") };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{host}{port}{slash}{path}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::jose::jws::tests::{SCRIPTED, decoded};

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

    #[test]
    fn a_proof_has_the_header_and_claims_of_rfc_9449() {
        let jwk = PublicJwk::ec_p256([1; 32], [2; 32]);
        let make = |token, nonce| {
            let text = proof(&SCRIPTED(), &jwk, "POST", "https://api.example/a", NOW, token, nonce)
                .unwrap();
            let (header, mut claims) = decoded(&text);
            assert_eq!(header, json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}));
            assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
            claims.as_object_mut().unwrap().remove("jti");
            claims
        };
        let claims = json!({"htm": "POST", "htu": "https://api.example/a", "iat": 1_767_225_600});
        assert_eq!(make(None, None), claims);
        // The token and its hash are those of RFC 9449 §7.1.
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        let claims = json!({
            "htm": "POST", "htu": "https://api.example/a", "iat": 1_767_225_600,
            "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "nonce": "n-1",
        });
        assert_eq!(make(Some(token), Some("n-1")), claims);
    }

    #[test]
    fn each_proof_has_another_jti() {
        let jwk = PublicJwk::ed25519([1; 32]);
        let jti = || {
            let text =
                proof(&SCRIPTED(), &jwk, "GET", "https://a.example/", NOW, None, None).unwrap();
            decoded(&text).1["jti"].clone()
        };
        assert_ne!(jti(), jti());
    }

    #[test]
    fn the_target_is_normalized_and_has_no_query_and_no_fragment() {
        for (scheme, authority, path, expected) in [
            ("https", "api.example", "/a/B?c=d#e", "https://api.example/a/B"),
            ("https", "api.example", "/a#b?c", "https://api.example/a"),
            ("HTTPS", "API.Example:443", "/", "https://api.example/"),
            ("http", "api.example:80", "", "http://api.example/"),
            ("https", "api.example:80", "?q", "https://api.example:80/"),
            ("https", "api.example:", "/a", "https://api.example/a"),
            ("https", "u:p@api.example:8443", "/a%2Fb", "https://api.example:8443/a%2Fb"),
            ("https", "[2001:DB8::1]", "/", "https://[2001:db8::1]/"),
            ("https", "[2001:DB8::1]:443", "/", "https://[2001:db8::1]/"),
            ("https", "[::1]:8443", "/", "https://[::1]:8443/"),
        ] {
            assert_eq!(htu(scheme, authority, path), expected, "{scheme} {authority} {path}");
        }
    }

    proptest! {
        #[test]
        fn no_target_shows_a_query(authority: String, path in "/[ -~]{0,40}") {
            let target = htu("https", "api.example", &path);
            prop_assert!(!target.contains(['?', '#']));
            htu("https", &authority, &path);
        }
    }
}
