//! `private_key_jwt`: the assertion by which a client says who it is (RFC 7523 §2.2 and §3).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Number;

use super::jwk::PublicKey;
use super::jws::{Jws, seconds};
use super::replay::Replays;
use crate::clock::unix_seconds;

/// How far away the end of an assertion may be, in seconds: each is made for one request.
const LONGEST: u64 = 60 * 60;

/// How many assertions of one client are remembered; more than a client with a quota can use in an hour.
const REMEMBERED: usize = 4096;

/// The registered keys of the clients, and the assertions that each has used.
#[derive(Default)]
pub(crate) struct ClientKeys(HashMap<String, Client>);

struct Client {
    keys: Vec<PublicKey>,
    /// Of its own, so that one client's flood is no other's trouble.
    used: Mutex<Replays>,
}

/// Why an assertion proves nothing; for the log, since the client is told no more than `invalid_client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AssertionError {
    /// Not a JWS, or an extension is demanded.
    Malformed,
    /// No key is registered for the client.
    NoKey,
    /// No registered key made the signature, by an algorithm that is permitted.
    Signature,
    /// `iss` and `sub` are not the client.
    Party,
    Audience,
    /// Expired, valid for too long, or not yet.
    Time,
    /// Its `jti` is empty, or was used before.
    Replayed,
}

/// RFC 7523 §3. A `jti` is optional there; here it is what makes an assertion good for one use.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Number,
    nbf: Option<Number>,
    jti: String,
}

/// One or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl ClientKeys {
    /// Registers another key of `client`.
    pub(crate) fn register(&mut self, client: &str, key: PublicKey) {
        let entry = self.0.entry(client.to_owned());
        let client = entry
            .or_insert_with(|| Client { keys: Vec::new(), used: Replays::new(REMEMBERED).into() });
        client.keys.push(key);
    }

    /// Whether `assertion` shows that its maker is `client`. One that does is used up.
    ///
    /// `audiences` are the names of this issuer: its URL and its token endpoint.
    pub(crate) fn check(
        &self,
        client: &str,
        assertion: &str,
        audiences: [&str; 2],
        now: SystemTime,
    ) -> Result<(), AssertionError> {
        let jws = Jws::read(assertion).ok_or(AssertionError::Malformed)?;
        let registered = self.0.get(client).ok_or(AssertionError::NoKey)?;
        let kid = jws.header.kid.as_deref();
        let claims: Claims = registered
            .keys
            .iter()
            .filter(|key| key.may_be(kid))
            .find_map(|key| jws.verified(key))
            .ok_or(AssertionError::Signature)?;
        if claims.iss != client || claims.sub != client {
            return Err(AssertionError::Party);
        }
        if !claims.aud.names(audiences) {
            return Err(AssertionError::Audience);
        }
        let now = unix_seconds(now);
        let expires_at = seconds(&claims.exp).ok_or(AssertionError::Time)?;
        let begins_at = claims.nbf.as_ref().map_or(Some(0), seconds).ok_or(AssertionError::Time)?;
        if expires_at <= now || expires_at - now > LONGEST || begins_at > now {
            return Err(AssertionError::Time);
        }
        // Last: only an assertion that is good otherwise can be used up, or fill the memory.
        let mut used = registered.used.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.jti.is_empty() || !used.is_first(client, &claims.jti, expires_at) {
            return Err(AssertionError::Replayed);
        }
        Ok(())
    }
}

impl Audience {
    fn names(&self, audiences: [&str; 2]) -> bool {
        match self {
            Self::One(one) => audiences.contains(&one.as_str()),
            Self::Several(several) => several.iter().any(|one| audiences.contains(&one.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::*;
    use crate::holder::Holder;

    const AUDIENCES: [&str; 2] = ["http://issuer", "http://issuer/oauth/token"];
    const NOW: u64 = 1_000_000;

    struct Bench {
        holder: Holder,
        keys: ClientKeys,
        jti: u64,
    }

    impl Bench {
        fn new(holder: Holder) -> Self {
            let mut keys = ClientKeys::default();
            keys.register("app", PublicKey::parse(&holder.jwk().to_string()).unwrap());
            Self { holder, keys, jti: 0 }
        }

        fn claims(&mut self) -> Value {
            self.jti += 1;
            json!({
                "iss": "app", "sub": "app", "aud": "http://issuer", "exp": NOW + 60,
                "jti": self.jti.to_string(),
            })
        }

        fn check(&self, claims: &Value) -> Result<(), AssertionError> {
            let header = json!({"alg": self.holder.algorithm()});
            self.check_text(&self.holder.sign(&header, claims))
        }

        fn check_text(&self, assertion: &str) -> Result<(), AssertionError> {
            let now = UNIX_EPOCH + Duration::from_secs(NOW);
            self.keys.check("app", assertion, AUDIENCES, now)
        }
    }

    #[test]
    fn a_good_assertion_of_every_algorithm_is_taken_once() {
        for holder in Holder::all() {
            let mut bench = Bench::new(holder);
            let claims = bench.claims();
            assert_eq!(bench.check(&claims), Ok(()), "{}", bench.holder.algorithm());
            assert_eq!(bench.check(&claims), Err(AssertionError::Replayed));
            let more = bench.claims();
            assert_eq!(bench.check(&more), Ok(()));
        }
    }

    #[test]
    fn every_claim_counts() {
        let mut bench = Bench::new(Holder::es256());
        for (name, value, expected) in [
            ("iss", json!("other"), Err(AssertionError::Party)),
            ("sub", json!("other"), Err(AssertionError::Party)),
            ("iss", json!(null), Err(AssertionError::Signature)),
            ("aud", json!("http://other"), Err(AssertionError::Audience)),
            ("aud", json!("http://issuer/"), Err(AssertionError::Audience)),
            ("aud", json!([]), Err(AssertionError::Audience)),
            ("aud", json!(["http://other", "http://issuer/oauth/token"]), Ok(())),
            ("exp", json!(NOW), Err(AssertionError::Time)),
            ("exp", json!(NOW + 1), Ok(())),
            ("exp", json!(NOW as f64 + 1.5), Ok(())),
            ("exp", json!(NOW + LONGEST), Ok(())),
            ("exp", json!(NOW + LONGEST + 1), Err(AssertionError::Time)),
            ("exp", json!(u64::MAX), Err(AssertionError::Time)),
            ("exp", json!(-1), Err(AssertionError::Time)),
            ("nbf", json!(NOW), Ok(())),
            ("nbf", json!(NOW + 1), Err(AssertionError::Time)),
            ("jti", json!(""), Err(AssertionError::Replayed)),
            ("jti", json!(7), Err(AssertionError::Signature)),
        ] {
            let mut claims = bench.claims();
            claims[name] = value;
            assert_eq!(bench.check(&claims), expected, "{claims}");
        }
        for name in ["iss", "sub", "aud", "exp", "jti"] {
            let mut claims = bench.claims();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(bench.check(&claims), Err(AssertionError::Signature), "without {name}");
        }
    }

    #[test]
    fn a_refused_assertion_does_not_use_up_its_jti() {
        let mut bench = Bench::new(Holder::es256());
        let good = bench.claims();
        let mut bad = good.clone();
        bad["aud"] = "http://other".into();
        assert_eq!(bench.check(&bad), Err(AssertionError::Audience));
        assert_eq!(bench.check(&good), Ok(()));
    }

    #[test]
    fn a_key_that_is_not_registered_and_a_secret_made_of_the_public_one_prove_nothing() {
        let mut bench = Bench::new(Holder::es256());
        let (claims, header) = (bench.claims(), json!({"alg": "ES256"}));
        let foreign = Holder::es256().sign(&header, &claims);
        assert_eq!(bench.check_text(&foreign), Err(AssertionError::Signature));
        for alg in ["HS256", "none", "RS256"] {
            let text = bench.holder.sign(&json!({"alg": alg}), &claims);
            assert_eq!(bench.check_text(&text), Err(AssertionError::Signature));
        }
        // A key in the header is the sender's word.
        let own = Holder::es256();
        let text = own.sign(&json!({"alg": "ES256", "jwk": own.jwk()}), &claims);
        assert_eq!(bench.check_text(&text), Err(AssertionError::Signature));
        assert_eq!(bench.check(&claims), Ok(()));

        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let nobody =
            bench.keys.check("nobody", &bench.holder.sign(&header, &claims), AUDIENCES, now);
        assert_eq!(nobody, Err(AssertionError::NoKey));
    }

    #[test]
    fn each_of_several_keys_counts_by_its_kid() {
        let mut bench = Bench::new(Holder::es256());
        let second = Holder::es256();
        let mut jwk = second.jwk();
        jwk["kid"] = "2".into();
        bench.keys.register("app", PublicKey::parse(&jwk.to_string()).unwrap());
        for (kid, expected) in [("2", Ok(())), ("3", Err(AssertionError::Signature))] {
            let text = second.sign(&json!({"alg": "ES256", "kid": kid}), &bench.claims());
            assert_eq!(bench.check_text(&text), expected);
        }
        let text = second.sign(&json!({"alg": "ES256"}), &bench.claims());
        assert_eq!(bench.check_text(&text), Ok(()));
    }
}
