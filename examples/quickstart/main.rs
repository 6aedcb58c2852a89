//! Twenty thousand requests, one token.
//!
//! Starts an issuer with a demo API on loopback, and sends requests through a reqwest client and a tower/hyper client that
//! share one credential: from cold, after a revocation, and while the issuer is down. Exits non-zero if anything failed, or
//! cost a token request more than it must.
//!
//! `cargo run --release --example quickstart`

mod load;
mod report;
mod travel;

use std::process::ExitCode;
use std::time::Duration;

use auth_core::{Authenticator, ClientAuth, ClientCredentials, Store};
use auth_issuer::{Fault, Issuer};
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use auth_tower::AuthLayer;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::ClientBuilder;
use tower::Layer;

use crate::load::{Load, Reqwest, Tower};
use crate::report::Report;
use crate::travel::Travel;

const REQUESTS: u64 = 10_000;
const CONCURRENCY: u64 = 1_000;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    load::allow_many_sockets(2 * CONCURRENCY)?;
    let clock = Travel::new();
    let issuer = Issuer::builder().clock(clock.clone()).start().await?;

    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience())
        .client_auth(ClientAuth::PostJson);
    let authenticator = Authenticator::builder(credentials)
        .name("demo")
        .store(Store::memory())
        .transport(ReqwestTransport::new()?)
        .insecure_loopback(true)
        .clock(clock.clone())
        .build()?;

    let middleware = AuthMiddleware::new(authenticator.clone());
    let reqwest = middleware.client(reqwest::Client::builder().no_proxy())?;
    let reqwest = Reqwest(ClientBuilder::new(reqwest).with(middleware).build());
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let tower = Tower(AuthLayer::new(authenticator.clone()).layer(hyper));

    let mut report = Report::new(&issuer);
    let load = Load { url: format!("{}/v2/shipments", issuer.url()), concurrency: CONCURRENCY };

    report.phase("from cold", load.run(REQUESTS, &reqwest, &tower)).await;
    let cold = report.last();

    issuer.revoke_all();
    report.phase("after a revocation", load.run(REQUESTS / 10, &reqwest, &tower)).await;
    let revoked = report.last();

    // 22 of the token's 24 hours later it is due for renewal, and the issuer is down.
    clock.forward(Duration::from_secs(22 * 3600));
    issuer.fail_all(Fault::status(503));
    report.phase("while the issuer is down", load.run(REQUESTS / 10, &reqwest, &tower)).await;
    let down = report.last();

    report.print();
    println!("{}", authenticator.status().await);
    println!("quickstart: {cold}");
    let expected =
        cold.is(2 * REQUESTS, 1) && revoked.is(REQUESTS / 5, 1) && down.is(REQUESTS / 5, 1);
    Ok(if expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
