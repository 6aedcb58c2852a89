//! What the layer and the middleware cost, around a service that does nothing.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use auth_reqwest::AuthMiddleware;
use auth_tower::{AuthLayer, Never};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tower::{Layer, Service};
use tower_http::set_header::SetRequestHeaderLayer;

use crate::clock::Stopwatch;
use crate::credential::{self, API};
use crate::hit::Rounds;
use crate::section::{Scale, Section, Table};
use crate::threads::{Round, pinned};
use crate::work::at_once;

pub(crate) type Body = Full<Bytes>;

const METHOD: &str = "A request is built, passed through, and dropped by a service that does nothing; the request has room \
for another header, and none or four of its own. Nanoseconds, the median of the calm rounds, and what is left after the bare \
service's median is taken away. `Never` sends no request twice; `Auto` keeps a copy of the head for the case of a 401. \
`middleware` is reqwest-middleware's client with a last middleware that answers by itself, with and without \
`AuthMiddleware` before it. The ratios are those with four headers.";

pub(crate) const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (http::header::ACCEPT, HeaderValue::from_static("application/json")),
    (http::header::USER_AGENT, HeaderValue::from_static("benches/1")),
    (http::header::ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
    (http::header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
];

/// The layer and the middleware, around nothing.
pub fn layer(scale: Scale) -> Section {
    let (count, calls) = scale.pick((1, 50), (61, 10_000));
    let authenticator = credential::with_token();
    let fixed = SetRequestHeaderLayer::overriding(AUTHORIZATION, credential::header()).layer(Noop);
    let never = AuthLayer::new(authenticator.clone()).replay(Never).layer(Noop);
    let auto = AuthLayer::new(authenticator.clone()).layer(Noop);
    let client = || ClientBuilder::new(reqwest::Client::builder().no_proxy().build().expect("one"));
    let bare = client().with(Answers).build();
    let ours = client().with(AuthMiddleware::new(authenticator)).with(Answers).build();

    let mut rows = Rows::default();
    pinned(|| {
        for _ in 0..count {
            for headers in [0, HEADERS.len()] {
                rows.push(NOOP, headers, through(Noop, headers, calls));
                rows.push("SetRequestHeader", headers, through(fixed.clone(), headers, calls));
                rows.push(NEVER, headers, through(never.clone(), headers, calls));
                rows.push(AUTO, headers, through(auto.clone(), headers, calls));
            }
            rows.push(BARE, 0, sent(&bare, calls));
            rows.push(MIDDLEWARE, 0, sent(&ours, calls));
        }
    });

    let mut section = Section::new("layer: around a service that does nothing", METHOD);
    let mut table = Table::new(["case", "headers", "ns", "over the bare one", "calm rounds"]);
    for row in &rows.0 {
        let bare = if [BARE, MIDDLEWARE].contains(&row.name) { BARE } else { NOOP };
        table.row([
            row.name.to_owned(),
            row.headers.to_string(),
            format!("{:.1}", row.rounds.median()),
            format!("{:.1}", row.rounds.median() - rows.median(bare, row.headers)),
            row.rounds.calm().to_string(),
        ]);
    }
    section.tables.push(table);
    let over = |name| rows.median(name, HEADERS.len()) - rows.median(NOOP, HEADERS.len());
    section.ratios = vec![("layer_vs_noop_ns", over(NEVER)), ("layer_replay_ns", over(AUTO))];
    section
}

const NOOP: &str = "noop";
const NEVER: &str = "AuthLayer, Never";
const AUTO: &str = "AuthLayer, Auto";
const BARE: &str = "reqwest-middleware";
const MIDDLEWARE: &str = "AuthMiddleware";

/// In the order in which they were measured first.
#[derive(Default)]
struct Rows(Vec<Row>);

struct Row {
    name: &'static str,
    headers: usize,
    rounds: Rounds,
}

impl Rows {
    fn push(&mut self, name: &'static str, headers: usize, round: Round) {
        let at = self.0.iter().position(|row| row.name == name && row.headers == headers);
        let at = at.unwrap_or_else(|| {
            self.0.push(Row { name, headers, rounds: Rounds::default() });
            self.0.len() - 1
        });
        self.0[at].rounds.push(round);
    }

    fn median(&self, name: &str, headers: usize) -> f64 {
        let mut rows = self.0.iter();
        let row = rows.find(|row| row.name == name && row.headers == headers);
        row.map_or(f64::NAN, |row| row.rounds.median())
    }
}

/// Does nothing, and drops the request.
#[derive(Clone)]
pub(crate) struct Noop;

impl Service<Request<Body>> for Noop {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::new(())))
    }
}

/// So many calls of a service.
fn through<S>(mut service: S, headers: usize, calls: u64) -> Round
where
    S: Service<Request<Body>, Response = Response<()>>,
{
    let uri = Uri::from_static(API);
    let mut run = |calls| {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..calls {
            let mut map = HeaderMap::with_capacity(2 * HEADERS.len());
            for (name, value) in &HEADERS[..headers] {
                map.insert(name.clone(), value.clone());
            }
            let mut request = Request::new(Body::default());
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = map;
            assert!(service.poll_ready(&mut context).is_ready());
            assert!(at_once(service.call(request)).is_ok());
        }
    };
    run(calls / 20);
    timed(calls, || run(calls))
}

/// So many calls through the layer that sends nothing twice, or through nothing.
pub(crate) fn profile(layered: bool, calls: u64) {
    if layered {
        let layer = AuthLayer::new(credential::with_token()).replay(Never);
        through(layer.layer(Noop), HEADERS.len(), calls);
    } else {
        through(Noop, HEADERS.len(), calls);
    }
}

/// Answers instead of a server.
struct Answers;

#[async_trait]
impl Middleware for Answers {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        drop(black_box(request));
        Ok(Response::new(Bytes::new()).into())
    }
}

/// So many requests through a client that reaches no server.
fn sent(client: &ClientWithMiddleware, calls: u64) -> Round {
    let url: reqwest::Url = API.parse().expect("a URL");
    let run = |calls| {
        for _ in 0..calls {
            let request = reqwest::Request::new(reqwest::Method::GET, url.clone());
            assert!(at_once(client.execute(request)).is_ok());
        }
    };
    run(calls / 20);
    timed(calls, || run(calls))
}

fn timed(calls: u64, run: impl FnOnce()) -> Round {
    let stopwatch = Stopwatch::start();
    run();
    let lap = stopwatch.stop();
    Round { nanoseconds: lap.length().as_nanos() as f64 / calls as f64, calm: lap.is_calm() }
}
