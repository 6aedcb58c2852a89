//! The answer of an introspection endpoint (RFC 7662 §2.2).

use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::{Deserialize, Deserializer};

use super::LONGEST_ANSWER;
use crate::clock::Timestamp;

/// What an issuer says of a token (RFC 7662 §2.2). Everything but [`active`](Self::active) is optional.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Introspection {
    /// Whether the token is valid now.
    pub active: bool,
    /// The scopes of the token, separated by spaces.
    pub scope: Option<String>,
    /// The client that it was given to.
    pub client_id: Option<String>,
    /// `Bearer` or `DPoP`.
    pub token_type: Option<String>,
    /// When it ends.
    pub expires_at: Option<SystemTime>,
    /// Whom it is for.
    pub audience: Vec<String>,
}

#[derive(Deserialize)]
struct Members {
    active: bool,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "one_or_many")]
    aud: Vec<String>,
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::<Audience>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Audience::One(one)) => vec![one],
        Some(Audience::Many(many)) => many,
    })
}

/// Reads the answer; the error says what is wrong with it, and repeats nothing of it.
pub(crate) fn read(response: &Response<Bytes>) -> Result<Introspection, String> {
    let status = response.status();
    if status != StatusCode::OK {
        return Err(format!("it answered {}", status.as_u16()));
    }
    if response.body().len() > LONGEST_ANSWER {
        return Err("its answer is longer than 64 KiB".to_owned());
    }
    let Ok(members) = serde_json::from_slice::<Members>(response.body()) else {
        return Err("its answer is no introspection response (RFC 7662 section 2.2)".to_owned());
    };
    // The cast is exact enough after the clamp: the year 9999 needs 38 bits.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
    let seconds = |exp: f64| exp.clamp(0.0, 253_402_300_799.0) as i64;
    Ok(Introspection {
        active: members.active,
        scope: members.scope,
        client_id: members.client_id,
        token_type: members.token_type,
        expires_at: members.exp.map(|exp| Timestamp::from_secs(seconds(exp)).into()),
        audience: members.aud,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str) -> Result<Introspection, String> {
        read(&Response::new(Bytes::from(text.to_owned())))
    }

    #[test]
    fn the_example_of_the_rfc() {
        let said = read_text(
            r#"{"active":true,"client_id":"l238j323ds-23ij4","username":"jdoe","scope":"read write dolphin",
                "sub":"Z5O3upPC88QrAjx00dis","aud":"https://protected.example.net/resource",
                "iss":"https://server.example.com/","exp":1419356238,"iat":1419350238}"#,
        );
        let said = said.unwrap();
        assert!(said.active);
        assert_eq!(said.scope.as_deref(), Some("read write dolphin"));
        assert_eq!(said.audience, ["https://protected.example.net/resource"]);
        let exp = said.expires_at.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(exp.as_secs(), 1_419_356_238);
        assert!(!read_text(r#"{"active":false}"#).unwrap().active);
        assert_eq!(read_text(r#"{"active":true,"aud":["a","b"]}"#).unwrap().audience, ["a", "b"]);
    }

    #[test]
    fn what_is_no_introspection_response_is_an_error() {
        for bad in ["", "{}", "[]", r#"{"active":"true"}"#, r#"{"active":true,"aud":1}"#] {
            assert!(read_text(bad).is_err(), "{bad}");
        }
        let refused = Response::builder().status(401).body(Bytes::new()).unwrap();
        assert_eq!(read(&refused).unwrap_err(), "it answered 401");
    }

    proptest! {
        #[test]
        fn no_answer_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&Response::new(Bytes::from(body)));
        }
    }
}
