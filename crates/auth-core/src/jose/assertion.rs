//! The assertion by which a client says who it is: `private_key_jwt` and `client_secret_jwt`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::id::random_bytes;
use crate::jose::jws::jws;
use crate::jose::signer::{SignError, Signer};

/// How long an assertion can be used. It is made for one request and sent at once; a minute leaves room for clocks that
/// disagree, and issuers remember each `jti` no longer than that.
const LIFETIME: Duration = Duration::from_secs(60);

/// RFC 7523 §3. No `nbf`, which adds nothing to `iat` but one more clock to disagree with.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

/// An assertion for one request to the issuer that `audience` names: its issuer identifier or its token endpoint, whichever
/// it wants (RFC 7523 §3 (3)). Each has a `jti` of its own, since issuers take each only once.
///
/// The header has no `typ`. The update of RFC 7523 (draft-ietf-oauth-rfc7523bis-11 §4) recommends
/// `client-authentication+jwt`, to say that the audience is the issuer identifier, which only the caller knows. Most of
/// today's issuers do not look at it, oidc-provider for one; those on Nimbus accept `JWT` or nothing unless they are told
/// otherwise, so nothing is what most of them take. Those that demand it follow earlier drafts, in which it was a must.
pub(crate) fn assertion(
    signer: &dyn Signer,
    client_id: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Zeroizing<String>, SignError> {
    let claims = Claims {
        iss: client_id,
        sub: client_id,
        aud: audience,
        jti: &fresh_jti(),
        iat: numeric_date(now),
        exp: numeric_date(now + LIFETIME),
    };
    jws(signer, None, None, &claims)
}

/// 128 random bits in base64url.
pub(crate) fn fresh_jti() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<16>())
}

/// RFC 7519 §2, in whole seconds: some issuers refuse fractions.
pub(crate) fn numeric_date(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::jose::jws::tests::{SCRIPTED, decoded};
    use crate::jose::signer::HmacSecret;
    use crate::secret::ClientSecret;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_999);

    #[test]
    fn an_assertion_has_the_claims_of_rfc_7523() {
        let text = assertion(&SCRIPTED(), "client", "https://issuer.example", NOW).unwrap();
        let (header, mut claims) = decoded(&text);
        assert_eq!(header, json!({"alg": "ES256", "kid": "key/1"}));
        assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
        claims["jti"].take();
        let expected = json!({
            "iss": "client", "sub": "client", "aud": "https://issuer.example", "jti": null,
            "iat": 1_767_225_600, "exp": 1_767_225_660,
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn each_assertion_has_another_jti() {
        let jtis: HashSet<_> = (0..1000)
            .map(|_| assertion(&SCRIPTED(), "client", "https://issuer.example", NOW).unwrap())
            .map(|text| decoded(&text).1["jti"].to_string())
            .collect();
        assert_eq!(jtis.len(), 1000);
    }

    #[test]
    fn an_assertion_under_the_shared_secret_needs_no_feature() {
        let signer = HmacSecret::new(ClientSecret::new("a shared secret of thirty-two bytes"));
        let text = assertion(&signer, "client", "https://issuer.example", NOW).unwrap();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let expected = signer.sign(signed.as_bytes()).unwrap();
        assert_eq!(signature, URL_SAFE_NO_PAD.encode(expected));
        assert_eq!(decoded(&text).0, json!({"alg": "HS256"}));
    }

    proptest! {
        #[test]
        fn the_claims_survive_whatever_the_client_id_is(client_id: String, audience: String, millis: i64) {
            let now = Timestamp::from_millis(millis);
            let text = assertion(&SCRIPTED(), &client_id, &audience, now).unwrap();
            let claims = decoded(&text).1;
            prop_assert_eq!(&claims["iss"], &client_id);
            prop_assert_eq!(&claims["sub"], &client_id);
            prop_assert_eq!(&claims["aud"], &audience);
            prop_assert_eq!(claims["iat"].as_i64(), Some(millis.div_euclid(1000)));
            prop_assert!(claims["exp"].as_i64() >= claims["iat"].as_i64());
        }
    }
}
