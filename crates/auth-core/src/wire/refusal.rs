//! What an API's answer says of the credential that it was sent (RFC 6750 §3, RFC 9110 §15.5.2 and §15.5.4).

use http::{HeaderMap, HeaderName, StatusCode};

use super::challenge::{self, Challenge};

/// gRPC's status, which stands among the headers of an answer that has nothing else to say ("Trailers-Only").
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// `UNAUTHENTICATED` and `PERMISSION_DENIED`.
const UNAUTHENTICATED: &[u8] = b"16";
const PERMISSION_DENIED: &[u8] = b"7";

/// Longer scopes are nobody's.
const LONGEST_SCOPE: usize = 1024;

/// What an answer says of the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It was taken.
    Accepted,
    /// It was not: by name (`invalid_token`), or with no reason given.
    Refused { by_name: bool },
    /// It is good, and not for this; the scope that would be, where the server says so.
    OutOfScope { scope: Option<String> },
    /// Nothing.
    Nothing,
}

/// Reads an answer; gRPC's own status counts if `grpc` says so.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, grpc: bool) -> Word {
    if grpc && let Some(status) = headers.get(GRPC_STATUS) {
        return match status.as_bytes() {
            b"0" => Word::Accepted,
            // As a 401: gateways send the challenge along with it.
            UNAUTHENTICATED => unauthorized(headers),
            PERMISSION_DENIED => Word::OutOfScope { scope: None },
            _ => Word::Nothing,
        };
    }
    match status {
        status if status.is_success() || status == StatusCode::NOT_MODIFIED => Word::Accepted,
        StatusCode::UNAUTHORIZED => unauthorized(headers),
        StatusCode::FORBIDDEN => Word::OutOfScope { scope: missing(&challenges(headers)) },
        _ => Word::Nothing,
    }
}

fn unauthorized(headers: &HeaderMap) -> Word {
    if challenge::is_about_proof(headers) {
        return Word::Nothing;
    }
    let challenges = challenges(headers);
    let says = |code| challenges.iter().any(|challenge| challenge.param("error") == Some(code));
    if says("invalid_token") {
        Word::Refused { by_name: true }
    } else if says("insufficient_scope") {
        Word::OutOfScope { scope: missing(&challenges) }
    } else if says("invalid_request") || says("insufficient_user_authentication") {
        // The request is at fault, or the person behind it (RFC 9470 §3).
        Word::Nothing
    } else {
        Word::Refused { by_name: false }
    }
}

/// The challenges of the schemes by which a token is presented.
fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut challenges = challenge::challenges(headers);
    challenges.retain(|challenge| matches!(&*challenge.scheme, "bearer" | "dpop"));
    challenges
}

/// The scope that a challenge names, if it is one (RFC 6749 §3.3): the server's words are shown nowhere else.
fn missing(challenges: &[Challenge]) -> Option<String> {
    let short = |challenge: &&Challenge| challenge.param("error") == Some("insufficient_scope");
    let scope = challenges.iter().find(short)?.param("scope")?;
    let legal = |byte: u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    let is_scope = !scope.is_empty() && scope.len() <= LONGEST_SCOPE && scope.bytes().all(legal);
    is_scope.then(|| scope.to_owned())
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;

    use super::*;

    fn word(status: u16, challenges: &[&str]) -> Word {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, challenge.parse().unwrap());
        }
        read(StatusCode::from_u16(status).unwrap(), &headers, false)
    }

    #[test]
    fn a_401_refuses_by_name_or_without_a_reason() {
        let by_name = Word::Refused { by_name: true };
        for challenge in [
            r#"Bearer error="invalid_token""#,
            "bearer error=invalid_token",
            r#"Basic realm="a, Bearer error=x", Bearer realm="b", error="invalid_token""#,
            r#"DPoP algs="ES256", error="invalid_token""#,
        ] {
            assert_eq!(word(401, &[challenge]), by_name, "{challenge}");
        }
        assert_eq!(word(401, &["Negotiate", r#"Bearer error="invalid_token""#]), by_name);
        let bare = Word::Refused { by_name: false };
        for challenge in [
            "Bearer",
            r#"Bearer realm="invalid_token""#,
            r#"Basic error="invalid_token""#,
            r#"Token error="insufficient_scope""#,
            r#"Bearer error="something_else""#,
            r#"Bearer error="invalid_token"#,
        ] {
            assert_eq!(word(401, &[challenge]), bare, "{challenge}");
        }
        assert_eq!(word(401, &[]), bare);
    }

    // torture: B13
    #[test]
    fn what_is_out_of_scope_is_no_refusal() {
        let missing = |scope: Option<&str>| Word::OutOfScope { scope: scope.map(str::to_owned) };
        let challenge =
            r#"Bearer scope="bookings:read bookings:write", error="insufficient_scope""#;
        for status in [401, 403] {
            assert_eq!(word(status, &[challenge]), missing(Some("bookings:read bookings:write")));
        }
        assert_eq!(word(403, &[]), missing(None));
        assert_eq!(word(403, &[r#"Bearer error="invalid_token", scope="a""#]), missing(None));
        // What is no scope is not shown.
        for scope in ["", "a\\\\b", "\t", &"a".repeat(1025)] {
            let challenge = format!("Bearer error=insufficient_scope, scope=\"{scope}\"");
            assert_eq!(word(403, &[&challenge]), missing(None), "{scope}");
        }
    }

    #[test]
    fn a_request_that_is_wrong_refuses_no_token() {
        for code in ["invalid_request", "insufficient_user_authentication"] {
            assert_eq!(word(401, &[&format!("Bearer error={code}")]), Word::Nothing);
        }
    }

    #[test]
    fn a_proof_that_is_wrong_refuses_no_token() {
        assert_eq!(word(401, &[r#"DPoP error="invalid_dpop_proof""#]), Word::Nothing);
        assert_eq!(word(401, &[r#"DPoP error="use_dpop_nonce""#]), Word::Nothing);
    }

    #[test]
    fn only_success_says_that_a_token_was_taken() {
        for status in [200, 204, 206, 304] {
            assert_eq!(word(status, &[]), Word::Accepted);
        }
        for status in [100, 302, 400, 404, 407, 429, 500, 503] {
            assert_eq!(word(status, &[]), Word::Nothing, "{status}");
        }
    }

    #[test]
    fn grpcs_status_counts_where_it_is_to() {
        let mut headers = HeaderMap::new();
        let mut word = |status: &str, grpc| {
            headers.insert(GRPC_STATUS, status.parse().unwrap());
            read(StatusCode::OK, &headers, grpc)
        };
        assert_eq!(word("16", true), Word::Refused { by_name: false });
        assert_eq!(word("16", false), Word::Accepted);
        assert_eq!(word("7", true), Word::OutOfScope { scope: None });
        assert_eq!(word("0", true), Word::Accepted);
        assert_eq!(word("14", true), Word::Nothing);
    }

    #[test]
    fn grpcs_16_says_what_a_401_with_the_same_challenge_does() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, "16".parse().unwrap());
        for challenge in [
            r#"Bearer error="invalid_token""#,
            r#"Bearer error="insufficient_scope", scope="bookings""#,
            r#"DPoP error="use_dpop_nonce""#,
            "Bearer",
        ] {
            headers.insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
            assert_eq!(
                read(StatusCode::OK, &headers, true),
                word(401, &[challenge]),
                "{challenge}"
            );
        }
    }
}
