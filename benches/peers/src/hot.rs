//! What a header costs while the token is fresh, on one thread and on two.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::policies::Policy;
use azure_core::http::{Context, Method, Request, StatusCode};
use benches::clock::Stopwatch;
use benches::credential::{self, header_of};
use benches::stats::median;
use benches::threads::{Round, core_count, pin, summary};
use benches::work::insert;
use benches::{Section, Table};
use gcp_auth::TokenProvider;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderValue};
use kube_client::client::Body;
use middle::Authorizer;
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt};

use crate::clients::{self, azure, objects, reqsign, smithy};
use crate::issuer::Issuer;

const METHOD: &str = "The header of a request from each crate's cached token, inserted into a reused `HeaderMap`; crates that give \
the token as text have it made into a header first, as their users must. What is a layer or a policy of its own client is called \
around a service that does nothing. Nanoseconds per call and thread, the median of the calm rounds (of all, in parentheses, if \
there was none); to the floor of this run, and to our `try_authorization`.";

/// In the order in which they are measured.
const OWN: [&str; 3] =
    ["floor: a private header", "ours, try_authorization", "ours, authorization().await"];
/// Gives a header that was made before, as we do.
const MIDDLE: &str = "middle";

const ROUNDS: usize = 61;
const LENGTH: Duration = Duration::from_millis(1);

type Run = Box<dyn Fn(usize, u64) -> Round>;

struct Cases<'a> {
    runtime: &'a Arc<Runtime>,
    cases: Vec<(&'static str, Run)>,
}

impl Cases<'_> {
    /// Each thread makes a state of its own.
    fn add<S, F>(
        &mut self,
        name: &'static str,
        state: impl Fn() -> S + Send + Sync + 'static,
        call: F,
    ) where
        S: 'static,
        F: AsyncFn(&mut S, &mut HeaderMap) + Copy + Send + Sync + 'static,
    {
        let (runtime, state) = (self.runtime.clone(), Arc::new(state));
        let run = move |threads: usize, calls: u64| {
            let (barrier, gate) = (Barrier::new(threads), AtomicUsize::new(0));
            let one = |thread: usize| {
                pin(thread);
                let (mut state, mut map) = (state(), HeaderMap::with_capacity(8));
                // Some peers ask for timers; the budget of a task is none of theirs.
                runtime.block_on(tokio::task::unconstrained(async {
                    for _ in 0..calls / 20 + 1 {
                        call(&mut state, &mut map).await;
                    }
                    barrier.wait();
                    gate.fetch_add(1, SeqCst);
                    while threads <= core_count() && gate.load(SeqCst) < threads {
                        std::hint::spin_loop();
                    }
                    let stopwatch = Stopwatch::start();
                    for _ in 0..calls {
                        call(&mut state, &mut map).await;
                    }
                    stopwatch.stop()
                }))
            };
            let one = &one;
            let laps: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
                threads.into_iter().map(|thread| thread.join().expect("no peer panics")).collect()
            });
            summary(&laps, calls, threads <= core_count())
        };
        self.cases.push((name, Box::new(run)));
    }
}

/// All of them, with ours.
pub fn hot(runtime: &Arc<Runtime>) -> Section {
    let issuer = runtime.block_on(Issuer::start());
    let directory = std::env::temp_dir().join(format!("auth-peers-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let mut cases = Cases { runtime, cases: Vec::new() };
    cases.add(OWN[0], credential::header, async |header, map| {
        insert(map, header.clone());
    });
    own(&mut cases, &issuer);
    peers(&mut cases, &issuer);
    layers(&mut cases, &issuer, &directory);
    for (_, run) in &cases.cases {
        // Most fetch at the first call.
        run(1, 1);
    }
    issuer.take_requests();
    let section = section(&cases.cases);
    assert_eq!(issuer.take_requests(), 0, "a crate asked for a token although it had one");
    // Whatever is left there is in the directory for temporary files.
    let _ = std::fs::remove_dir_all(directory);
    section
}

fn section(cases: &[(&'static str, Run)]) -> Section {
    let calls: Vec<_> = cases
        .iter()
        .map(|(_, run)| (LENGTH.as_nanos() as f64 / run(1, 2_000).nanoseconds) as u64 + 100)
        .collect();
    let mut rounds = vec![[Vec::new(), Vec::new()]; cases.len()];
    for _ in 0..ROUNDS {
        for (((_, run), calls), rounds) in cases.iter().zip(&calls).zip(&mut rounds) {
            for (threads, rounds) in [1, 2].into_iter().zip(rounds) {
                rounds.push(run(threads, *calls));
                rounds.push(run(threads, *calls));
            }
        }
    }
    let mut section = Section::new("peers: the hot path", METHOD);
    let mut table = Table::new([
        "crate",
        "1 thread, ns",
        "to the floor",
        "to ours",
        "2 threads, ns",
        "to the floor",
        "to ours",
    ]);
    let lengths = |row: usize| rounds[row].each_ref().map(|rounds| figure(rounds).0);
    let (floor, ours) = (lengths(0), lengths(1));
    let mut least = f64::INFINITY;
    for ((name, _), rounds) in cases.iter().zip(&rounds) {
        let mut cells = vec![(*name).to_owned()];
        for (threads, rounds) in rounds.iter().enumerate() {
            let (length, calm) = figure(rounds);
            cells.push(if calm { format!("{length:.1}") } else { format!("({length:.1})") });
            cells.push(format!("{:.1}", length / floor[threads]));
            cells.push(format!("{:.1}", length / ours[threads]));
            match (*name, threads) {
                (MIDDLE, 0) => section.ratios.push(("peers_middle_1_thread", length / ours[0])),
                (MIDDLE, _) => section.ratios.push(("peers_middle_2_threads", length / ours[1])),
                (name, 0) if !OWN.contains(&name) => least = least.min(length / ours[0]),
                _ => {}
            }
        }
        table.row(cells);
    }
    section.ratios.push(("peers_least", least));
    section.tables.push(table);
    section
}

/// The median, and whether it is that of calm rounds.
fn figure(rounds: &[Round]) -> (f64, bool) {
    let any = !rounds.iter().any(|round| round.calm);
    let rounds = rounds.iter().filter(|round| any || round.calm);
    (median(&rounds.map(|round| round.nanoseconds).collect::<Vec<_>>()), !any)
}

fn own(cases: &mut Cases<'_>, issuer: &Arc<Issuer>) {
    // The system's clock, as users have it.
    let authenticator = clients::ours_by_the_system_clock(issuer);
    cases.runtime.block_on(authenticator.authorization()).expect("a token");
    let other = authenticator.clone();
    cases.add(
        OWN[1],
        move || authenticator.clone(),
        async |auth, map| {
            insert(map, auth.try_authorization().expect("fresh").into_header());
        },
    );
    cases.add(
        OWN[2],
        move || other.clone(),
        async |auth, map| {
            insert(map, auth.authorization().await.expect("fresh").into_header());
        },
    );
}

fn bearer(token: &str) -> HeaderValue {
    header_of(&format!("Bearer {token}"))
}

fn peers(cases: &mut Cases<'_>, issuer: &Arc<Issuer>) {
    let runtime = cases.runtime.clone();
    let entered = runtime.enter();

    let google = clients::google(issuer);
    cases.add(
        "google-cloud-auth",
        move || google.clone(),
        async |google, map| {
            use google_cloud_auth::credentials::CacheableResource;
            let headers = google.headers(Extensions::new()).await.expect("a token");
            let CacheableResource::New { mut data, .. } = headers else { unreachable!("no tag") };
            insert(map, data.remove(AUTHORIZATION).expect("it has one"));
        },
    );
    let azure = azure::credential(issuer);
    cases.add(
        "azure_identity",
        move || azure.clone(),
        async |azure, map| {
            let token = azure.get_token(&azure::SCOPES, None).await.expect("a token");
            insert(map, bearer(token.token.secret()));
        },
    );
    let smithy = Arc::new(smithy::Client::new(issuer));
    cases.add(
        "aws-smithy-runtime, lazy cache",
        move || smithy.clone(),
        async |smithy, map| {
            use aws_smithy_runtime_api::client::identity::http::Token;
            let identity = smithy.token().await.expect("a token");
            insert(map, bearer(identity.data::<Token>().expect("it is one").token()));
        },
    );
    let yup = runtime.block_on(clients::yup(issuer));
    cases.add(
        "yup-oauth2",
        move || yup.clone(),
        async |yup, map| {
            let token = yup.token(&["s"]).await.expect("a token");
            insert(map, bearer(token.token().expect("it has one")));
        },
    );
    let gcp = Arc::new(clients::gcp(issuer));
    cases.add(
        "gcp_auth",
        move || gcp.clone(),
        async |gcp, map| {
            insert(map, bearer(gcp.token(&["s"]).await.expect("a token").as_str()));
        },
    );
    let objects = objects::provider(issuer);
    cases.add(
        "object_store (azure)",
        move || objects.clone(),
        async |objects, map| {
            let credential = objects.get_credential().await.expect("a token");
            insert(map, bearer(objects::token(&credential)));
        },
    );
    let signer = Arc::new(reqsign::signer(issuer));
    cases.add(
        "reqsign-core",
        move || (signer.clone(), reqsign::request()),
        async |state, map| {
            state.0.sign(&mut state.1, None).await.expect("a token");
            insert(map, state.1.headers.remove(AUTHORIZATION).expect("it has one"));
        },
    );
    let middle = runtime.block_on(clients::middle(issuer)).expect("a token");
    cases.add(
        MIDDLE,
        move || middle.clone(),
        async |middle, map| {
            let header = middle.authorization_header().expect("a token");
            insert(map, Arc::unwrap_or_clone(header));
        },
    );
    let aliri = runtime.block_on(clients::aliri::watcher(issuer)).expect("a token");
    cases.add(
        "aliri_tokens",
        move || aliri.clone(),
        async |aliri, map| {
            insert(map, bearer(aliri.token().access_token().as_str()));
        },
    );
    let huskarl = Arc::new(clients::huskarl::authorizer_by_the_system_clock(issuer));
    let uri: http::Uri = credential::API.parse().expect("a URI");
    cases.add(
        "huskarl",
        move || (huskarl.clone(), uri.clone()),
        async |state, map| {
            let headers = state.0.get_headers(&http::Method::GET, &state.1).await;
            let mut headers = headers.expect("a token");
            insert(map, headers.remove(AUTHORIZATION).expect("it has one"));
        },
    );
    let gears = clients::gears::provider(issuer);
    cases.add(
        "cf-gears-toolkit-auth",
        move || gears.clone(),
        async |gears, map| {
            insert(map, bearer(gears.get().await.expect("a token").expose()));
        },
    );
    drop(entered);
}

fn layers(cases: &mut Cases<'_>, issuer: &Arc<Issuer>, directory: &std::path::Path) {
    let policy = Arc::new(azure::policy(issuer));
    let api: Arc<dyn Policy> = Arc::new(azure::Api(StatusCode::Ok));
    let request = || Request::new(credential::API.parse().expect("a URL"), Method::Get);
    let state = move || (policy.clone(), [api.clone()], request(), Context::new());
    cases.add("azure_core, policy", state, async |(policy, api, request, context), _| {
        black_box(policy.send(context, request, api).await.expect("a response"));
    });

    let layer = clients::kube(&issuer.token, directory);
    let service = layer.layer(tower::service_fn(|request: http::Request<Body>| {
        black_box(request);
        std::future::ready(Ok::<_, tower::BoxError>(http::Response::new(())))
    }));
    let service = std::sync::Mutex::new(service);
    let state = move || service.lock().expect("not poisoned").clone();
    cases.add("kube-client, AuthLayer", state, async |service, _| {
        let request = http::Request::new(Body::empty());
        let service = service.ready().await.expect("always");
        black_box(service.call(request).await.expect("a response"));
    });
}
