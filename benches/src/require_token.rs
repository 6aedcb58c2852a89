//! What the layer of a server costs, around a service that does nothing.

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use auth_core::{BoxFuture, Clock, SystemClock};
use auth_tower::server::{Access, Algorithm, Jwks, KeyRing, Need, RequireToken, RequireTokenLayer};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::{Layer, Service};

use crate::contended::{flatness, in_threads};
use crate::hit::Rounds;
use crate::layer::{Body, HEADERS, Noop};
use crate::section::{Scale, Section, Table};
use crate::threads::{calls_in, core_count, round};
use crate::work::{Case, Work, at_once};

const ISSUER: &str = "https://issuer.example/";
const AUDIENCE: &str = "https://api.example";
const TARGET: &str = "/v2/shipments/17";
const API_KEY: &str = "shltm_0123456789abcdef0123456789abcdef01234567";

const THREADS: [usize; 4] = [1, 2, 4, 8];

const NOOP: &str = "noop";
const HIT: &str = "RequireTokenLayer, hit";
const KEY: &str = "RequireTokenLayer, API key";
const VERIFY: &str = "RequireTokenLayer, verify every time";
const LIBRARY: &str = "jsonwebtoken alone";
const HASH: &str = "SHA-256 alone";

const METHOD: &str = "A request with four headers of its own and an `Authorization` is built, passed through, and dropped by a \
service that does nothing. Pinned threads, each with a clone of the service. Nanoseconds per call and core, the median of the calm \
rounds, and what is left after the bare service's median is taken away. The token is signed with RS256. `hit` has verified it \
before; `verify every time` remembers nothing; `jsonwebtoken alone` decodes the same token with the same key, and `SHA-256 alone` is \
the hash by which a known token is found: neither has a request. \
The API key is one of four. `flat` is a run of its own that goes on until there are enough calm rounds.";

/// The layer of a server, around nothing.
pub fn require_token(scale: Scale) -> Section {
    let signed = Arc::new(Signed::new());
    let cases = signed.cases();
    let rounds = interleaved(&cases, scale);

    let mut section = Section::new(
        "require_token: a server's layer around a service that does nothing",
        format!("{METHOD} The token has {} bytes.", signed.token.len()),
    );
    let median_of = |name| {
        let at = cases.iter().position(|case| case.name == name).expect("it is a case");
        rounds[at].median()
    };
    let over = |name| median_of(name) - median_of(NOOP);
    let mut table = Table::new(["case", "ns", "over the bare one", "calm rounds"]);
    for (case, rounds) in cases.iter().zip(&rounds) {
        let over = if [LIBRARY, HASH].contains(&case.name) {
            "-".to_owned()
        } else {
            format!("{:.1}", over(case.name))
        };
        let median = format!("{:.1}", rounds.median());
        table.row([case.name.to_owned(), median, over, rounds.calm().to_string()]);
    }
    section.tables.push(table);
    section.tables.push(threads(&signed, scale));
    let (table, flat) = flatness(scale, || vec![signed.noop(), signed.hit()]);
    section.tables.push(table);
    section.ratios = vec![
        ("require_token_hit_ns", over(HIT)),
        ("require_token_flat", flat),
        ("require_token_hit_vs_verify", over(HIT) / over(VERIFY)),
    ];
    section
}

fn interleaved(cases: &[Case], scale: Scale) -> Vec<Rounds> {
    let (count, length) = scale.pick((1, 50), (61, 4_000));
    let calls: Vec<_> =
        cases.iter().map(|case| calls_in(case, 1, Duration::from_micros(length))).collect();
    let mut rounds: Vec<_> = cases.iter().map(|_| Rounds::default()).collect();
    for _ in 0..count {
        for ((case, calls), rounds) in cases.iter().zip(&calls).zip(&mut rounds) {
            rounds.push(round(case, 1, *calls));
        }
    }
    rounds
}

fn threads(signed: &Arc<Signed>, scale: Scale) -> Table {
    let cases = [signed.noop(), signed.hit()];
    let rounds = in_threads(&cases, &THREADS, scale);
    let median_of = |name, count| rounds[&(name, count)].median();
    let heads = THREADS.map(|threads| format!("{threads} threads"));
    let first = format!("case, {} cores", core_count());
    let mut table = Table::new([first].into_iter().chain(heads).chain(["2 to 1".into()]));
    for case in &cases {
        let cells = THREADS.map(|count| format!("{:.1}", median_of(case.name, count)));
        let flat = median_of(case.name, 2) / median_of(case.name, 1);
        table.row([case.name.to_owned()].into_iter().chain(cells).chain([format!("{flat:.2}")]));
    }
    table
}

/// A key set, and a token that is signed with a key of it.
struct Signed {
    set: String,
    key: DecodingKey,
    token: String,
}

impl Signed {
    fn new() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().expect("a key can be written");
        // The `RSAPrivateKey` (RFC 8017 §A.1.2) in it, which follows 26 bytes for a key of this length.
        let signing = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
        let mut jwk =
            Jwk::from_encoding_key(&signing, jsonwebtoken::Algorithm::RS256).expect("RSA");
        jwk.common.key_id = Some("2026-01".to_owned());
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: jwk.common.key_id.clone(),
            ..Header::new(jsonwebtoken::Algorithm::RS256)
        };
        let token = jsonwebtoken::encode(&header, &claims(), &signing).expect("it can be signed");
        let key = DecodingKey::from_jwk(&jwk).expect("RSA");
        Self { set: json!({ "keys": [jwk] }).to_string(), key, token }
    }

    fn layered(&self, remembered: usize) -> RequireToken<Noop> {
        let access = Access::builder()
            .route(Method::GET, "/v2/shipments/{id}", Need::scope("shipments:read").or_key())
            .route(Method::GET, "/v2/shipments", Need::scope("shipments:read").or_key())
            .any_method("/v2/products/{*rest}", Need::scope("products:write"))
            .public(Method::GET, "/health")
            .build()
            .expect("the table is good");
        let keys = [("a", "k-1"), ("b", "k-2"), ("c", API_KEY), ("d", "k-4")];
        let layer = RequireTokenLayer::builder(Jwks::from_json(&self.set))
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .algorithms([Algorithm::Rs256])
            .access(access)
            .api_keys(KeyRing::of_keys(keys))
            .remembered(remembered)
            .build()
            .expect("the settings are good");
        layer.layer(Noop)
    }

    fn cases(self: &Arc<Self>) -> [Case; 6] {
        let key = Calls::case(KEY, self.layered(4096), &format!("Bearer {API_KEY}"));
        let verify = Calls::case(VERIFY, self.layered(0), &self.bearer());
        [self.noop(), self.hit(), key, verify, self.library(), self.hash()]
    }

    fn noop(&self) -> Case {
        Calls::case(NOOP, Noop, &self.bearer())
    }

    fn hit(&self) -> Case {
        Calls::case(HIT, self.layered(4096), &self.bearer())
    }

    fn library(self: &Arc<Self>) -> Case {
        let signed = Arc::clone(self);
        Case::of(LIBRARY, move || {
            let mut validation = Validation::new(jsonwebtoken::Algorithm::RS256);
            validation.set_issuer(&[ISSUER]);
            validation.set_audience(&[AUDIENCE]);
            Box::new(Decodes { signed: Arc::clone(&signed), validation })
        })
    }

    fn hash(self: &Arc<Self>) -> Case {
        let signed = Arc::clone(self);
        Case::of(HASH, move || Box::new(Hashes(Arc::clone(&signed))))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// As a large issuer has them: the token that they are in has some 900 bytes.
fn claims() -> Value {
    let now = SystemClock::default().now().wall.as_millis() / 1000;
    json!({
        "iss": ISSUER,
        "sub": "q8ZKk0dPVu3m0gVvvV2vP6tS3nRj1cXy@clients",
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 86_400,
        "azp": "q8ZKk0dPVu3m0gVvvV2vP6tS3nRj1cXy",
        "gty": "client-credentials",
        "scope": "bookings:read bookings:write shipments:read products:read products:write documents:read invoices:read",
        "jti": "0b5f7b1e-5f0c-4b53-9b0a-2a4d8b0a3c55",
    })
}

/// Calls of a service, with the same credential each time.
struct Calls<S> {
    service: S,
    uri: Uri,
    authorization: HeaderValue,
}

impl<S, R> Calls<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + Sync + 'static,
{
    fn case(name: &'static str, service: S, authorization: &str) -> Case {
        let authorization = authorization.to_owned();
        Case::of(name, move || {
            // Of each thread's own, as the requests of its connections are.
            let authorization = HeaderValue::from_str(&authorization).expect("visible ASCII");
            let uri = Uri::from_static(TARGET);
            Box::new(Self { service: service.clone(), uri, authorization })
        })
    }
}

impl<S, R> Work for Calls<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Send,
{
    fn run(&mut self, calls: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..calls {
                let mut map = HeaderMap::with_capacity(2 * HEADERS.len());
                for (name, value) in &HEADERS {
                    map.insert(name.clone(), value.clone());
                }
                map.insert(AUTHORIZATION, self.authorization.clone());
                let mut request = Request::new(Body::default());
                *request.uri_mut() = self.uri.clone();
                *request.headers_mut() = map;
                assert!(self.service.poll_ready(&mut context).is_ready());
                let answer = at_once(self.service.call(request));
                assert!(answer.is_ok_and(|answer| answer.status() == StatusCode::OK));
            }
        })
    }
}

/// The library that the layer verifies with, alone.
struct Decodes {
    signed: Arc<Signed>,
    validation: Validation,
}

impl Work for Decodes {
    fn run(&mut self, calls: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for _ in 0..calls {
                let Signed { token, key, .. } = &*self.signed;
                let decoded = jsonwebtoken::decode::<Value>(token, key, &self.validation);
                assert!(black_box(decoded).is_ok());
            }
        })
    }
}

/// The least that a known token costs.
struct Hashes(Arc<Signed>);

impl Work for Hashes {
    fn run(&mut self, calls: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for _ in 0..calls {
                black_box(Sha256::digest(black_box(&self.0.token)));
            }
        })
    }
}
