//! What happened, as a table.

use std::fmt;
use std::time::Duration;

use auth_issuer::Issuer;
use tokio::time::Instant;

/// One phase: what was sent, what failed, and what it cost.
#[derive(Clone, Copy)]
pub(crate) struct Phase {
    requests: u64,
    failed: u64,
    token_requests: u64,
    took: Duration,
}

impl Phase {
    pub(crate) fn is(&self, requests: u64, token_requests: u64) -> bool {
        self.requests == requests && self.failed == 0 && self.token_requests == token_requests
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.token_requests == 1 { "" } else { "s" };
        let Self { requests, failed, token_requests, .. } = self;
        write!(f, "{requests} requests, {failed} failed, {token_requests} token request{plural}")
    }
}

/// All phases so far; token requests are read from the issuer's side.
pub(crate) struct Report<'a> {
    issuer: &'a Issuer,
    phases: Vec<(&'static str, Phase)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(issuer: &'a Issuer) -> Self {
        Self { issuer, phases: Vec::new() }
    }

    pub(crate) async fn phase(
        &mut self,
        name: &'static str,
        load: impl Future<Output = (u64, u64)>,
    ) {
        let (before, started) = (self.issuer.token_requests(), Instant::now());
        let (answered, failed) = load.await;
        let token_requests = self.issuer.token_requests() - before;
        let phase =
            Phase { requests: answered + failed, failed, token_requests, took: started.elapsed() };
        self.phases.push((name, phase));
    }

    pub(crate) fn last(&self) -> Phase {
        self.phases.last().expect("asked after a phase").1
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<26}{:>10}{:>8}{:>16}{:>12}",
            "phase", "requests", "failed", "token requests", "requests/s"
        );
        for (name, phase) in &self.phases {
            let rate = phase.requests as f64 / phase.took.as_secs_f64();
            let Phase { requests, failed, token_requests, .. } = phase;
            println!("{name:<26}{requests:>10}{failed:>8}{token_requests:>16}{rate:>12.0}");
        }
    }
}
