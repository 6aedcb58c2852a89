//! Many callers at once without a token.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use auth_core::Authenticator;
use auth_tower::AuthLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::task::JoinHandle;
use tower::{Layer, Service, service_fn};

use crate::child::{ask, number, resident};
use crate::clock::now;
use crate::credential::{self, API, Ahead, Issuer, LIFETIME};
use crate::section::{Scale, Section, Table};
use crate::threads::core_count;

pub(crate) const NAME: &str = "herd";

const METHOD: &str = "Callers that are tasks on a runtime with a worker per core. None has a token: the authenticator never had \
one (cold), or it is past its end (expired), and the issuer answers when all of them wait. Bytes per waiter are those by which \
the process grew while they gathered, the task included, each row in a process of its own; below 100,000 callers that says \
nothing. The time is from the issuer's answer until the last task has ended. Through the layer each waiter keeps its request \
and a copy for the replay.";

/// By whom, and in which state.
const WAYS: [(&str, &str, &str); 3] = [
    ("authorization(), cold", "plain", "cold"),
    ("authorization(), expired", "plain", "expired"),
    ("AuthLayer, cold", "layer", "cold"),
];

/// Cold starts and expiries, in herds.
pub fn herd(scale: Scale) -> Section {
    let counts: &[usize] = scale.pick(&[1, 1_000], &[1, 1_000, 100_000, 1_000_000]);
    let mut section = Section::new("herd: callers without a token", METHOD);
    let mut table =
        Table::new(["callers", "", "token requests", "bytes per waiter", "last served after, ms"]);
    for count in counts {
        for (name, way, state) in WAYS {
            let figures = ask(NAME, &[way, state, &count.to_string()]);
            let [requests, bytes, length] = figures[..] else {
                section.notes.push(format!("{name}, {count} callers: not measured"));
                continue;
            };
            let bytes = if *count < 100_000 { "–".to_owned() } else { format!("{:.0}", bytes) };
            table.row([
                count.to_string(),
                name.to_owned(),
                format!("{requests:.0}"),
                bytes,
                format!("{:.2}", length * 1000.0),
            ]);
            if *count == 1_000_000 && state == "cold" {
                let ratio = if way == "plain" { "herd_waiter_bytes" } else { "herd_layer_bytes" };
                section.ratios.push((ratio, figures[1]));
            }
        }
    }
    section.tables.push(table);
    section
}

/// Token requests, bytes per waiter, and seconds until the last was served.
pub(crate) fn child(arguments: &[String]) -> Vec<f64> {
    let is = |at: usize, what: &str| arguments.get(at).is_some_and(|argument| argument == what);
    let (layered, expired, count) = (is(0, "layer"), is(1, "expired"), number(arguments, 2));
    let (issuer, clock) = (Issuer::new(), Ahead::default());
    let authenticator = credential::builder(&issuer).clock(clock.clone()).build();
    let authenticator = authenticator.expect("the settings are good");
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(core_count()).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if expired {
            authenticator.authorization().await.expect("a token");
            clock.forward(2 * LIFETIME);
        }
        let requests = issuer.requests();
        issuer.hang(true);
        let mut tasks = Vec::with_capacity(count);
        let begun = Arc::new(AtomicUsize::new(0));
        let before = resident();
        if layered {
            through_the_layer(&mut tasks, &authenticator, count, &begun);
        } else {
            plain(&mut tasks, &authenticator, count, &begun);
        }
        while begun.load(Relaxed) < count || issuer.requests() == requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The last of them has begun, and may not wait yet.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let bytes = (resident() - before) / count as f64;
        let started = now();
        issuer.hang(false);
        for task in tasks {
            task.await.expect("each is served");
        }
        let length = started.elapsed().as_secs_f64();
        vec![(issuer.requests() - requests) as f64, bytes, length]
    })
}

fn plain(
    tasks: &mut Vec<JoinHandle<()>>,
    authenticator: &Authenticator,
    count: usize,
    begun: &Arc<AtomicUsize>,
) {
    for _ in 0..count {
        let (authenticator, begun) = (authenticator.clone(), begun.clone());
        tasks.push(tokio::spawn(async move {
            begun.fetch_add(1, Relaxed);
            authenticator.authorization().await.expect("a token");
        }));
    }
}

fn through_the_layer(
    tasks: &mut Vec<JoinHandle<()>>,
    authenticator: &Authenticator,
    count: usize,
    begun: &Arc<AtomicUsize>,
) {
    let service =
        AuthLayer::new(authenticator.clone()).layer(service_fn(|_: Request<Full<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(()))
        }));
    for _ in 0..count {
        let (mut service, begun) = (service.clone(), begun.clone());
        tasks.push(tokio::spawn(async move {
            begun.fetch_add(1, Relaxed);
            let request = Request::get(API).body(Full::<Bytes>::default()).expect("a request");
            // The service is always ready.
            service.call(request).await.expect("a response");
        }));
    }
}
