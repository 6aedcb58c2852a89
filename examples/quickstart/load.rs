//! Many requests at once, through two clients.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use auth_tower::Auth;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use indicatif::{ProgressBar, ProgressDrawTarget};
use reqwest_middleware::ClientWithMiddleware;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// A client that sends one request and says whether it was answered with a 200.
pub(crate) trait Send200: Clone + Send + Sync + 'static {
    fn send(&self, url: &str) -> impl Future<Output = bool> + Send;
}

#[derive(Clone)]
pub(crate) struct Reqwest(pub(crate) ClientWithMiddleware);

impl Send200 for Reqwest {
    async fn send(&self, url: &str) -> bool {
        let Ok(response) = self.0.get(url).send().await else { return false };
        response.status() == 200 && response.bytes().await.is_ok()
    }
}

#[derive(Clone)]
pub(crate) struct Tower(pub(crate) Auth<Client<HttpConnector, Full<Bytes>>>);

impl Send200 for Tower {
    async fn send(&self, url: &str) -> bool {
        let Ok(request) = Request::get(url).body(Full::default()) else { return false };
        let Ok(response) = self.0.clone().oneshot(request).await else { return false };
        response.status() == 200 && response.into_body().collect().await.is_ok()
    }
}

/// Where to, and how many at once.
pub(crate) struct Load {
    pub(crate) url: String,
    pub(crate) concurrency: u64,
}

impl Load {
    /// Sends `each` requests through either client, and counts the answered and the failed ones.
    pub(crate) async fn run(&self, each: u64, reqwest: &Reqwest, tower: &Tower) -> (u64, u64) {
        let bar = ProgressBar::new(2 * each);
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let mut workers = JoinSet::new();
        self.spawn(&mut workers, each, reqwest, &bar);
        self.spawn(&mut workers, each, tower, &bar);
        let mut total = (0, 0);
        while let Some(worker) = workers.join_next().await {
            // A worker that panicked counts as a failure, so that it cannot go unnoticed.
            let (answered, failed) = worker.unwrap_or((0, 1));
            total = (total.0 + answered, total.1 + failed);
        }
        bar.finish_and_clear();
        total
    }

    fn spawn(
        &self,
        workers: &mut JoinSet<(u64, u64)>,
        requests: u64,
        client: &impl Send200,
        bar: &ProgressBar,
    ) {
        let left = Arc::new(AtomicU64::new(requests));
        for _ in 0..self.concurrency / 2 {
            let (url, client, bar, left) =
                (self.url.clone(), client.clone(), bar.clone(), left.clone());
            workers.spawn(async move {
                let mut counts = (0, 0);
                // The counter hands out requests and guards nothing else.
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    match client.send(&url).await {
                        true => counts.0 += 1,
                        false => counts.1 += 1,
                    }
                    bar.inc(1);
                }
                counts
            });
        }
    }
}

/// Client and server live in this one process, so every connection takes two descriptors.
pub(crate) fn allow_many_sockets(connections: u64) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = connections + 200;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < wanted) {
        let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum })?;
    }
    Ok(())
}
