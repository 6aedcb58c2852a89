//! A JWT's claims, read and never trusted: nothing here verifies a signature, and nothing depends on its being right.

use serde::{Deserialize, Deserializer};

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
        const LAST: f64 = 253_402_300_799.0;
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(match value.as_i64() {
            Some(seconds) => Self::Value(seconds),
            None => match value.as_f64() {
                // The cast is exact enough after the clamp: the year 9999 needs 38 bits.
                #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
                Some(seconds) if seconds.is_finite() => {
                    Self::Value(seconds.clamp(-LAST, LAST) as i64)
                }
                _ => Self::Malformed,
            },
        })
    }
}

/// The claims of a JWT; `None` for tokens that are opaque, encrypted or broken, all of which are used as they are.
pub(crate) fn claims(token: &str) -> Option<Claims> {
    jsonwebtoken::dangerous::insecure_decode_claims(token).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
        for token in ["opaque", "a.b", "a.b.c", "a.b.c.d.e", "...."] {
            assert_eq!(claims(token), None, "{token}");
        }
    }
}
