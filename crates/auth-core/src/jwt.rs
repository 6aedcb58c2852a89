//! A JWT's claims, read and never trusted: nothing here verifies a signature, and nothing depends on its being right.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The claims that say how long a token lives (RFC 7519 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Claims {
    #[serde(default)]
    pub(crate) exp: Claim,
    #[serde(default)]
    pub(crate) iat: Claim,
}

/// A NumericDate in Unix seconds. One that is no number is malformed, which is not the same as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Claim {
    #[default]
    Absent,
    Malformed,
    Value(i64),
}

impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Value::deserialize(deserializer)?))
    }
}

impl Claim {
    fn of(value: &Value) -> Self {
        const LAST: f64 = 253_402_300_799.0;
        match value.as_i64() {
            Some(seconds) => Self::Value(seconds),
            None => match value.as_f64() {
                // The cast is exact enough after the clamp: the year 9999 needs 38 bits.
                #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
                Some(seconds) if seconds.is_finite() => {
                    Self::Value(seconds.clamp(-LAST, LAST) as i64)
                }
                _ => Self::Malformed,
            },
        }
    }

    pub(crate) fn value(self) -> Option<i64> {
        match self {
            Self::Value(seconds) => Some(seconds),
            Self::Absent | Self::Malformed => None,
        }
    }
}

/// The claims of a JWT; `None` for tokens that are opaque, encrypted or broken, all of which are used as they are.
pub(crate) fn claims(token: &str) -> Option<Claims> {
    // The decoder looks at the last part but one alone, whatever stands around it.
    (form(token) == Form::Jwt)
        .then(|| jsonwebtoken::dangerous::insecure_decode_claims(token).ok())?
}

/// What a token is by its looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Three parts, a JSON header and JSON claims (RFC 7519 §3, RFC 7515 §3.1), whatever its `alg` is.
    Jwt,
    /// Five parts, and a JSON header that has `enc` (RFC 7516 §3.1 and §4.1.2). Its claims are for the API alone.
    Jwe,
    /// Anything else.
    Opaque,
}

pub(crate) fn form(token: &str) -> Form {
    // More parts than any form has are counted no further.
    let parts: Vec<_> = token.splitn(6, '.').collect();
    match parts[..] {
        [header, claims, _] if object(header).is_some() && object(claims).is_some() => Form::Jwt,
        [header, _, _, _, _] if object(header).is_some_and(|it| it.contains_key("enc")) => {
            Form::Jwe
        }
        _ => Form::Opaque,
    }
}

/// What a token says of whom it is for, who asked for it, and what it allows. A claim of a type that it should not have is
/// as good as absent: nothing is decided by these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// `aud`: a string, or several (RFC 7519 §4.1.3).
    pub(crate) audience: Option<Vec<String>>,
    /// `azp`: the client that the token was given to, by OpenID Connect Core 1.0 §2.
    pub(crate) azp: Option<String>,
    /// The same by RFC 9068 §2.2.
    pub(crate) client_id: Option<String>,
    /// `scope` (RFC 9068 §2.2.3), else `scp`, as some issuers call it.
    pub(crate) scope: Option<Vec<String>>,
    pub(crate) exp: Claim,
    pub(crate) iat: Claim,
}

/// The details of what is a [`Form::Jwt`]; `None` for every other token.
pub(crate) fn details(token: &str) -> Option<Details> {
    if form(token) != Form::Jwt {
        return None;
    }
    let claims = object(token.split('.').nth(1)?)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let claim = |name: &str| claims.get(name).map(Claim::of).unwrap_or_default();
    let audience = claims.get("aud").and_then(|value| match value {
        Value::String(one) => Some(vec![one.clone()]),
        other => strings(other),
    });
    let scopes = |name: &str| match claims.get(name)? {
        Value::String(text) => Some(text.split_ascii_whitespace().map(str::to_owned).collect()),
        other => strings(other),
    };
    Some(Details {
        audience,
        azp: text("azp"),
        client_id: text("client_id"),
        scope: scopes("scope").or_else(|| scopes("scp")),
        exp: claim("exp"),
        iat: claim("iat"),
    })
}

/// An array of nothing but strings.
fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// A part that is the base64url of a JSON object. Of a member that stands twice the last counts (RFC 7519 §4).
fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jwt(header: &str, claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(claims), encode("signature"))
    }

    #[test]
    fn reads_numbers_whatever_the_algorithm() {
        for header in [r#"{"alg":"RS256"}"#, r#"{"alg":"none"}"#, r#"{"alg":"XX"}"#, "{}"] {
            let token = jwt(header, r#"{"exp":1700000000.9,"iat":1600000000,"sub":"a"}"#);
            let expected =
                Claims { exp: Claim::Value(1_700_000_000), iat: Claim::Value(1_600_000_000) };
            assert_eq!(claims(&token), Some(expected), "{header}");
        }
    }

    // torture: D31
    #[test]
    fn a_claim_of_another_type_is_malformed_and_not_absent() {
        for exp in [r#""1700000000""#, "[1]", "{}", "true", "null"] {
            let token = jwt(r#"{"alg":"RS256"}"#, &format!(r#"{{"exp":{exp}}}"#));
            assert_eq!(claims(&token).unwrap().exp, Claim::Malformed, "{exp}");
        }
        assert_eq!(claims(&jwt(r#"{"alg":"RS256"}"#, "{}")).unwrap().exp, Claim::Absent);
    }

    // torture: D32
    #[test]
    fn what_is_not_a_jwt_has_no_claims() {
        let claims_in = ["x.eyJleHAiOjF9.y", "eyJlbmMiOiJBMjU2R0NNIn0.b.c.eyJleHAiOjF9.t"];
        for token in ["opaque", "a.b", "a.b.c", "a.b.c.d.e", "...."].into_iter().chain(claims_in) {
            assert_eq!(claims(token), None, "{token}");
        }
    }

    // torture: D32
    #[test]
    fn the_form_is_told_by_the_parts_and_the_header_whatever_the_algorithm() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for header in [r#"{"alg":"RS256"}"#, r#"{"alg":"none"}"#, r#"{"alg":"XX"}"#, "{}"] {
            assert_eq!(form(&jwt(header, "{}")), Form::Jwt, "{header}");
        }
        let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode("{}"));
        assert_eq!(form(&unsigned), Form::Jwt);
        let encrypted = encode(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM"}"#);
        assert_eq!(form(&format!("{encrypted}.a.b.c.d")), Form::Jwe);
        // Encrypted with the key itself, the second part is empty (RFC 7516 §5.1).
        assert_eq!(form(&format!("{encrypted}..b.c.d")), Form::Jwe);
        let signed = encode(r#"{"alg":"RS256"}"#);
        for opaque in [
            "",
            "opaque",
            "....",
            "a.b.c",
            "a.b.c.d.e",
            &format!("{signed}.{}.c", encode("[]")),
            &format!("{signed}.{}.c", encode("no claims")),
            &format!("{signed}.{}", encode("{}")),
            &format!("{signed}.a.b.c.d"),
            &format!("{encrypted}.a.b.c.d.e"),
        ] {
            assert_eq!(form(opaque), Form::Opaque, "{opaque}");
            assert_eq!(details(opaque), None, "{opaque}");
        }
    }

    #[test]
    fn details_take_a_string_or_an_array() {
        let of = |claims: &str| details(&jwt(r#"{"alg":"RS256"}"#, claims)).unwrap();
        let list = |items: &[&str]| Some(items.iter().map(|&item| item.to_owned()).collect());
        let read = of(
            r#"{"aud":"a","azp":"id","client_id":"id","scope":"read  write","scp":"x","exp":9,"iat":5}"#,
        );
        let expected = Details {
            audience: list(&["a"]),
            azp: Some("id".to_owned()),
            client_id: Some("id".to_owned()),
            scope: list(&["read", "write"]),
            exp: Claim::Value(9),
            iat: Claim::Value(5),
        };
        assert_eq!(read, expected);
        assert_eq!(of(r#"{"aud":["a","b"]}"#).audience, list(&["a", "b"]));
        assert_eq!(of(r#"{"scp":["read","write"]}"#).scope, list(&["read", "write"]));
        assert_eq!(of(r#"{"scp":"read write"}"#).scope, list(&["read", "write"]));
        assert_eq!(of(r#"{"scope":""}"#).scope, list(&[]));
    }

    #[test]
    fn details_of_another_type_are_as_good_as_absent() {
        for value in ["1", "true", "null", "{}", "[1]", r#"["a",1]"#] {
            let claims = format!(
                r#"{{"aud":{value},"azp":{value},"client_id":{value},"scope":{value},"scp":{value}}}"#
            );
            let read = details(&jwt("{}", &claims)).unwrap();
            assert_eq!(read, Details::default(), "{value}");
        }
    }

    proptest! {
        /// Nothing panics, and there are details exactly of what is a JWT.
        #[test]
        fn any_token_is_read_or_opaque(header in "[ -~]{0,20}", claims in "[ -~]{0,40}", raw in ".{0,60}") {
            for token in [jwt(&header, &claims), jwt("{}", &claims), raw] {
                prop_assert_eq!(details(&token).is_some(), form(&token) == Form::Jwt);
            }
        }
    }
}
