//! Whole requests over loopback, against the same client with a header that never changes.

use std::time::Duration;

use auth_core::Authenticator;
use auth_reqwest::AuthMiddleware;
use auth_tower::AuthLayer;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::task::JoinSet;
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_http::set_header::SetRequestHeaderLayer;

use crate::clock::now;
use crate::credential::{self, Issuer};
use crate::loopback::{Api, one_worker};
use crate::section::{Scale, Section, Table};
use crate::stats::{median, quantile};

/// Requests at once.
const CONCURRENCY: usize = 16;

const METHOD: &str = "Requests per second over loopback to a server in the same process, 16 at once, the client and the \
server with a worker each. hyper: `AuthLayer`, as it is by default, around hyper-util's client, against tower-http's \
`SetRequestHeader` around the same. reqwest: `AuthMiddleware` in reqwest-middleware's client, against that client with no \
middleware and the header among reqwest's default headers. Slices of the two follow one another as static, ours, ours, static, \
which makes two pairs. The spread is that of the last static slice of such four over the first: what differs by itself.";

/// Both clients, against themselves with a static header.
pub fn end_to_end(scale: Scale) -> Section {
    let (fours, length) = scale.pick((1, 10), (50, 60));
    let length = Duration::from_millis(length);
    let api = Api::start();
    let authenticator = credential::builder(&Issuer::new()).origin(api.url());
    let authenticator = authenticator.insecure_loopback(true).build().expect("good settings");
    credential::runtime().block_on(authenticator.authorization()).expect("a token");

    let mut section = Section::new("end to end: over loopback", METHOD);
    let mut table = Table::new([
        "client",
        "static, requests/s",
        "ours, requests/s",
        "ours to static",
        "p10",
        "p90",
        "static to static p10",
        "p90",
        "pairs",
    ]);
    for (name, ratio, pairs) in [
        ("hyper", "e2e_hyper", hyper(&api, &authenticator, fours, length)),
        ("reqwest", "e2e_reqwest", reqwest(&api, &authenticator, fours, length)),
    ] {
        let share = |share| format!("{:.3}", quantile(&pairs.ratios, share));
        let spread = |share| format!("{:.3}", quantile(&pairs.spread, share));
        table.row([
            name.to_owned(),
            format!("{:.0}", median(&pairs.fixed)),
            format!("{:.0}", median(&pairs.ours)),
            share(0.5),
            share(0.1),
            share(0.9),
            spread(0.1),
            spread(0.9),
            pairs.ratios.len().to_string(),
        ]);
        section.ratios.push((ratio, median(&pairs.ratios)));
    }
    section.tables.push(table);
    section
}

fn hyper(api: &Api, authenticator: &Authenticator, fours: usize, length: Duration) -> Pairs {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let uri: Uri = format!("{}/v2/shipments", api.url()).parse().expect("a URI");
    let fixed = SetRequestHeaderLayer::overriding(AUTHORIZATION, credential::header());
    let (fixed, ours) =
        (fixed.layer(client.clone()), AuthLayer::new(authenticator.clone()).layer(client));
    Pairs::of(fours, &Tower(fixed, uri.clone()), &Tower(ours, uri), length)
}

fn reqwest(api: &Api, authenticator: &Authenticator, fours: usize, length: Duration) -> Pairs {
    let url = format!("{}/v2/shipments", api.url());
    let builder = || reqwest::Client::builder().no_proxy();
    let fixed = HeaderMap::from_iter([(AUTHORIZATION, credential::header())]);
    let fixed = builder().default_headers(fixed).build().expect("a client");
    let ours = builder().build().expect("a client");
    let ours = ClientBuilder::new(ours).with(AuthMiddleware::new(authenticator.clone()));
    let fixed = Reqwest(ClientBuilder::new(fixed).build(), url.clone());
    Pairs::of(fours, &fixed, &Reqwest(ours.build(), url), length)
}

/// Something that sends a request and reads the answer.
trait Sends: Clone + Send + 'static {
    fn send(&mut self) -> impl Future<Output = ()> + Send;
}

#[derive(Clone)]
struct Tower<S>(S, Uri);

#[derive(Clone)]
struct Reqwest(ClientWithMiddleware, String);

impl<S> Sends for Tower<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    async fn send(&mut self) {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.1.clone();
        let service = self.0.ready().await.map_err(Into::into).expect("it is always ready");
        let response = service.call(request).await.map_err(Into::into).expect("an answer");
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.expect("two bytes");
    }
}

impl Sends for Reqwest {
    async fn send(&mut self) {
        let response = self.0.get(&self.1).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        response.bytes().await.expect("two bytes");
    }
}

/// Requests per second, and what they are to each other.
#[derive(Default)]
struct Pairs {
    fixed: Vec<f64>,
    ours: Vec<f64>,
    ratios: Vec<f64>,
    spread: Vec<f64>,
}

impl Pairs {
    fn of(fours: usize, fixed: &impl Sends, ours: &impl Sends, length: Duration) -> Self {
        let runtime = one_worker();
        let mut pairs = Self::default();
        for four in 0..=fours {
            let a = runtime.block_on(load(fixed, length));
            let b = runtime.block_on(load(ours, length));
            let c = runtime.block_on(load(ours, length));
            let d = runtime.block_on(load(fixed, length));
            // The first warms up.
            if four > 0 {
                pairs.fixed.extend([a, d]);
                pairs.ours.extend([b, c]);
                pairs.ratios.extend([b / a, c / d]);
                pairs.spread.push(d / a);
            }
        }
        pairs
    }
}

/// Requests per second.
async fn load(client: &impl Sends, length: Duration) -> f64 {
    let started = now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let mut client = client.clone();
        tasks.spawn(async move {
            let mut requests = 0_u32;
            while started.elapsed() < length {
                client.send().await;
                requests += 1;
            }
            requests
        });
    }
    let requests: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(requests) / started.elapsed().as_secs_f64()
}
