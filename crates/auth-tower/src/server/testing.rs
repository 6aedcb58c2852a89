//! For tests: keys that sign tokens, and an endpoint that publishes them.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use auth_core::{BoxFuture, TokioClock, Transport, TransportError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::aws_lc;
use serde_json::{Value, json};

use super::algorithm::Algorithm;

pub(crate) const ISSUER: &str = "https://issuer.example/";
pub(crate) const AUDIENCE: &str = "https://api.example";

/// Sees to it that tokens can be signed.
pub(crate) fn provider() {
    // Whoever was first chose the same.
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
}

/// A key pair.
pub(crate) struct Pair {
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) jwk: Value,
}

impl Pair {
    fn of(algorithm: Algorithm, pair: &rcgen::KeyPair) -> Self {
        provider();
        let mut pkcs8 = pair.serialize_der();
        let key = match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => EncodingKey::from_ec_der(&pkcs8),
            Algorithm::EdDsa => {
                // In the form without the public half (RFC 8410 §7), which ends with the seed.
                let seed = pkcs8[16..48].to_vec();
                pkcs8 = [
                    &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..],
                    &seed,
                ]
                .concat();
                EncodingKey::from_ed_der(&pkcs8)
            }
            // The `RSAPrivateKey` in it, after 26 bytes for a key of this length.
            _ => EncodingKey::from_rsa_der(&pkcs8[26..]),
        };
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, algorithm.of_library()).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk.as_object_mut().unwrap().remove("alg");
        Self { algorithm, key, pkcs8, jwk }
    }

    pub(crate) fn p256() -> Self {
        Self::of(
            Algorithm::Es256,
            &rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
        )
    }

    pub(crate) fn p384() -> Self {
        Self::of(
            Algorithm::Es384,
            &rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
        )
    }

    pub(crate) fn ed25519() -> Self {
        Self::of(Algorithm::EdDsa, &rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap())
    }

    /// One for the whole process: it takes a while.
    pub(crate) fn rsa() -> &'static Self {
        static RSA: LazyLock<Pair> = LazyLock::new(|| {
            let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
            Pair::of(Algorithm::Rs256, &pair)
        });
        &RSA
    }

    /// The public half, with more members.
    pub(crate) fn published(&self, members: Value) -> Value {
        merged(self.jwk.clone(), members)
    }

    pub(crate) fn named(&self, kid: &str) -> Value {
        self.published(json!({ "kid": kid }))
    }

    /// `header` without `alg`, and `claims`, signed.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_with(self.algorithm, header, claims)
    }

    pub(crate) fn sign_with(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        let mut header = header.clone();
        let name = serde_json::to_value(algorithm.of_library()).unwrap();
        header.as_object_mut().unwrap().entry("alg").or_insert(name);
        let message = message(&header, claims);
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, algorithm.of_library())
                .unwrap();
        format!("{message}.{signature}")
    }
}

pub(crate) fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

pub(crate) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Claims that are good for an hour from the start of the clock.
pub(crate) fn claims() -> Value {
    let now = TokioClock::START.as_millis() / 1000;
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "c@clients", "azp": "c", "iat": now, "exp": now + 3600 })
}

/// The claims, with other members.
pub(crate) fn claims_but(members: Value) -> Value {
    merged(claims(), members)
}

fn merged(one: Value, other: Value) -> Value {
    let (Value::Object(mut members), Value::Object(others)) = (one, other) else {
        panic!("no objects")
    };
    members.extend(others);
    Value::Object(members)
}

/// What an endpoint does with a request, after 10 ms of tokio's time.
#[derive(Clone)]
pub(crate) enum Does {
    Answer(String),
    AnswerFor(u64, String),
    Fail,
    Panic,
    Hang,
}

/// An endpoint that counts.
#[derive(Clone)]
pub(crate) struct Endpoint {
    does: Arc<Mutex<Does>>,
    count: Arc<AtomicUsize>,
}

impl Endpoint {
    pub(crate) fn new(does: Does) -> Self {
        Self { does: Arc::new(Mutex::new(does)), count: Arc::default() }
    }

    pub(crate) fn of(keys: &[Value]) -> Self {
        Self::new(Does::Answer(set(keys)))
    }

    pub(crate) fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    pub(crate) fn publishes(&self, keys: &[Value]) {
        self.now(Does::Answer(set(keys)));
    }

    pub(crate) fn fetches(&self) -> usize {
        self.count.load(SeqCst)
    }
}

impl Transport for Endpoint {
    fn send(
        &self,
        request: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        assert_eq!((request.method(), request.body().len()), (&http::Method::GET, 0));
        self.count.fetch_add(1, SeqCst);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let does = self.does.lock().unwrap().clone();
            match does {
                Does::Answer(text) => Ok(Response::new(text.into())),
                Does::AnswerFor(seconds, text) => Ok(Response::builder()
                    .header("cache-control", format!("max-age={seconds}"))
                    .body(text.into())
                    .unwrap()),
                Does::Fail => Err(TransportError::not_sent("down")),
                Does::Panic => panic!("the transport panics"),
                Does::Hang => std::future::pending().await,
            }
        })
    }
}
