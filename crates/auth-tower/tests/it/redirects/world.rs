//! Servers of several origins in one service: they redirect as a request's path says, and keep what
//! they were sent.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use auth_core::{ApiKey, Routes};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};

use crate::dpop::bound;
use crate::support::{Api, scripted};

/// The API, which comes first, and what differs from it in one thing.
pub(super) const ORIGINS: &[&str] = &[
    "https://api.example",
    "https://other.example",
    "https://api.example:8443",
    "http://api.example",
    "https://sub.api.example",
    "https://api.example.",
];

/// For tables that look at paths: the key's, the token's, nobody's, and the same paths elsewhere.
pub(super) const PATHS: &[&str] = &[
    "https://api.example/v1",
    "https://api.example/v2",
    "https://api.example/open",
    "https://other.example/v1",
    "https://other.example/v2",
];

pub(super) const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The place that a request goes to, and the redirects that it meets: their statuses, and where
/// they lead.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) first: usize,
    pub(super) hops: Vec<(u16, usize)>,
}

impl Chain {
    pub(super) fn new(first: usize, status: u16, places: &[usize]) -> Self {
        Self { first, hops: places.iter().map(|place| (status, *place)).collect() }
    }

    /// The URL of the first request. Its path says how it goes on.
    pub(super) fn uri(&self, places: &[&str]) -> String {
        let mut uri = places[self.first].to_owned();
        for (status, place) in &self.hops {
            write!(uri, "/{status}.{place}").unwrap();
        }
        uri
    }

    /// How many requests there are, with every redirect followed.
    pub(super) fn requests(&self) -> usize {
        1 + self.hops.len()
    }

    /// How many there are if redirects are followed only while `stays` says so.
    pub(super) fn requests_while(&self, stays: impl Fn(usize, usize) -> bool) -> usize {
        let to = self.hops.iter().map(|(_, place)| *place);
        let from = std::iter::once(self.first).chain(to.clone());
        1 + from.zip(to).take_while(|(from, to)| stays(*from, *to)).count()
    }
}

/// Every chain of one to three redirects from the first of so many places, by every status.
pub(super) fn chains(places: usize) -> impl Iterator<Item = Chain> {
    let digits = move |number: usize, count: u32| {
        (0..count).map(|at| number / places.pow(at) % places).collect::<Vec<_>>()
    };
    let hops = (1..=3).flat_map(move |count| (0..places.pow(count)).map(move |n| digits(n, count)));
    hops.flat_map(|hops| STATUSES.map(|status| Chain::new(0, status, &hops)))
}

/// How many they are to be, for 6 and for 5 places.
pub(super) const CHAINS: [usize; 2] = [5 * (6 + 36 + 216), 5 * (5 + 25 + 125)];

/// A credential, and where it belongs.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    text: &'static str,
    home: &'static str,
    /// A proof belongs beside it (RFC 9449 §7).
    proves: bool,
}

impl Secret {
    fn is_home(&self, uri: &str) -> bool {
        uri.strip_prefix(self.home).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        headers.values().any(|value| value.to_str().unwrap().contains(self.text))
    }
}

/// Credentials in a table, and where a chain may lead.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) routes: Routes,
    pub(super) secrets: Vec<Secret>,
    pub(super) places: &'static [&'static str],
}

/// One credential for the whole API: a token, a token that is bound to a key, and keys in two
/// headers.
pub(super) fn cases() -> [Case; 4] {
    let secret = |text, proves| vec![Secret { text, home: "https://api.example", proves }];
    let keyed = |key: ApiKey| Routes::builder().route("https://api.example", key).build().unwrap();
    let [custom, usual] = keys().map(keyed);
    let case = |routes, secrets| Case { routes, secrets, places: ORIGINS };
    [
        case(scripted().0.into(), secret("token-1", false)),
        case(bound().0.into(), secret("token-1", true)),
        case(custom, secret("key-one", false)),
        case(usual, secret("key-one", false)),
    ]
}

/// Two credentials at one origin: each of the keys, with each of the tokens.
pub(super) fn cases_of_paths() -> [Case; 4] {
    let case = |key: ApiKey, (tokens, proves): (auth_core::Authenticator, bool)| {
        let routes = Routes::builder()
            .route("https://api.example/v1", key)
            .route("https://api.example/v2", tokens)
            .bare("https://api.example/open");
        let key = Secret { text: "key-one", home: "https://api.example/v1", proves: false };
        let token = Secret { text: "token-1", home: "https://api.example/v2", proves };
        Case { routes: routes.build().unwrap(), secrets: vec![key, token], places: PATHS }
    };
    let [custom, usual] = keys();
    [
        case(custom.clone(), (scripted().0, false)),
        case(custom, (bound().0, true)),
        case(usual.clone(), (scripted().0, false)),
        case(usual, (bound().0, true)),
    ]
}

/// In a header of its own, and in the usual one.
fn keys() -> [ApiKey; 2] {
    let custom = ApiKey::builder("custom", "key-one").in_header("X-Api-Key").build().unwrap();
    [custom, ApiKey::new("usual", "key-one").unwrap()]
}

impl Case {
    /// Whether what a request carries may go along from one place to another, by the texts of the
    /// two.
    pub(super) fn stays(&self, from: usize, to: usize) -> bool {
        let origin = self.places[from].splitn(4, '/').take(3);
        let is_foreign = !origin.eq(self.secrets[0].home.splitn(4, '/').take(3));
        let proves = self.secrets.iter().any(|secret| secret.proves);
        from == to && !is_foreign && !proves
    }

    /// What is not where it belongs in these requests: in words, and empty if all is well.
    pub(super) fn leaks(&self, all: &[Seen]) -> Vec<String> {
        let mut leaks = Vec::new();
        for seen in all {
            for secret in &self.secrets {
                if secret.is_in(&seen.headers) && !secret.is_home(&seen.uri) {
                    leaks.push(format!("{} at {}", secret.text, seen.uri));
                }
            }
            for proof in proofs(&seen.headers) {
                let is_home = |secret: &Secret| secret.proves && secret.is_home(&seen.uri);
                let is_for_it = (&proof["htm"], &proof["htu"])
                    == (&seen.method.as_str().into(), &seen.uri.as_str().into());
                if !is_for_it || !self.secrets.iter().any(is_home) {
                    leaks.push(format!("a proof at {}", seen.uri));
                }
            }
        }
        leaks
    }

    /// That nothing is astray, and that no request lacks what it should have. How many requests
    /// these were.
    pub(super) fn check(&self, all: &[Seen]) -> usize {
        assert_eq!(self.leaks(all), [""; 0], "{all:?}");
        for seen in all {
            for secret in self.secrets.iter().filter(|secret| secret.is_home(&seen.uri)) {
                assert!(secret.is_in(&seen.headers), "{} is missing: {seen:?}", secret.text);
                assert_eq!(proofs(&seen.headers).len(), usize::from(secret.proves), "{seen:?}");
            }
        }
        all.len()
    }
}

/// The claims of the proofs in these headers, whatever their names are.
fn proofs(headers: &HeaderMap) -> Vec<Value> {
    let decode = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let words = headers.values().flat_map(|value| value.to_str().unwrap().split_whitespace());
    let proof = |word: &str| {
        let mut parts = word.split('.');
        let head = decode(parts.next()?)?;
        (head["typ"] == "dpop+jwt").then(|| decode(parts.next()?))?
    };
    words.filter_map(proof).collect()
}

/// What a server was sent.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
}

/// The servers.
#[derive(Clone, Default)]
pub(super) struct World {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl World {
    /// Answers with the first redirect that is written in the path, or with 200.
    pub(super) fn service(&self, places: &'static [&'static str]) -> Api {
        let all = self.seen.clone();
        BoxCloneSyncService::new(service_fn(move |request: Request<Full<Bytes>>| {
            let (head, _) = request.into_parts();
            let response = answer(head.uri.path(), places);
            let (method, uri) = (head.method, head.uri.to_string());
            all.lock().unwrap().push(Seen { method, uri, headers: head.headers });
            async { Ok(response) }
        }))
    }

    /// What arrived since the last time.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The answer to a request down this chain, and all that arrives on the way.
    pub(super) async fn send(
        &self,
        stack: &Api,
        case: &Case,
        chain: &Chain,
        method: Method,
    ) -> (StatusCode, Vec<Seen>) {
        let request = Request::builder().method(method).uri(chain.uri(case.places));
        let request = request.body(Full::default()).unwrap();
        let answer = stack.clone().oneshot(request).await.unwrap();
        (answer.status(), self.take())
    }
}

fn answer(path: &str, places: &[&str]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let steps = path.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| &path[at + 1..]);
    let step = |rest: &str| {
        let (step, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (status, place) = step.split_once('.')?;
        let slash = if rest.is_empty() { "" } else { "/" };
        let location = format!("{}{slash}{rest}", places[place.parse::<usize>().ok()?]);
        Some((StatusCode::from_bytes(status.as_bytes()).ok()?, location))
    };
    if let Some((status, location)) = steps.filter_map(step).next() {
        *response.status_mut() = status;
        response.headers_mut().insert(LOCATION, location.parse().unwrap());
    }
    response
}
