//! What there is to see of a credential: its events as they happen, and its metrics as Prometheus scrapes them.
//!
//! A client asks an API, its token is revoked early, and for a while the issuer is down. The events go to standard output,
//! and a scrape of `/metrics` at the end shows what that cost.
//!
//! `cargo run --example metrics`

use anyhow::{Context, Result, ensure};
use auth_core::{Authenticator, ClientCredentials, EventKind, Events, Quota, Store};
use auth_issuer::{Fault, Issuer};
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // Before the first token request, which counts as well.
    let prometheus = PrometheusBuilder::new().set_buckets(&[0.01, 0.1, 1.0, 10.0])?;
    let prometheus = prometheus.install_recorder()?;

    let issuer = Issuer::start().await?;
    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    let authenticator = Authenticator::builder(credentials)
        .name("shipping")
        .quota(Quota::per_day(10))
        .store(Store::memory())
        .transport(ReqwestTransport::new()?)
        .insecure_loopback(true)
        .build()?;
    let (told, held) = oneshot::channel();
    tokio::spawn(tell(authenticator.events(), told));

    let auth = AuthMiddleware::new(authenticator.clone());
    let client = auth.client(reqwest::Client::builder().no_proxy())?;
    let client = ClientBuilder::new(client).with(auth).build();
    let shipments = format!("{}/v2/shipments", issuer.url());

    println!("events");
    for _ in 0..3 {
        ensure!(status(&client, &shipments).await? == 200);
    }
    issuer.revoke_all();
    ensure!(status(&client, &shipments).await? == 200, "one renewal, and the request again");
    issuer.fail_all(Fault::status(503));
    ensure!(authenticator.renew().await.is_err());
    ensure!(status(&client, &shipments).await? == 200, "the token at hand is served on");
    held.await.context("no event told of the outage")?;

    let scrape = serve(authenticator, prometheus).await?;
    let metrics = reqwest::Client::builder().no_proxy().build()?;
    let metrics = metrics.get(scrape).send().await?.text().await?;
    println!("\n/metrics");
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        println!("  {line}");
    }
    for expected in [
        r#"oauth_token_requests_total{credential="shipping",cause="start",outcome="token"} 1"#,
        r#"oauth_token_requests_total{credential="shipping",cause="refused",outcome="token"} 1"#,
        r#"oauth_token_requests_total{credential="shipping",cause="manual",outcome="unavailable"} 1"#,
        r#"oauth_token_requests_left{credential="shipping"} 7"#,
    ] {
        ensure!(metrics.contains(expected), "the metrics lack {expected}");
    }
    ensure!(!metrics.contains(issuer.client_secret()));
    Ok(())
}

async fn status(client: &ClientWithMiddleware, url: &str) -> Result<u16> {
    Ok(client.get(url).send().await?.status().as_u16())
}

/// Prints what happens, until the token requests are held back.
async fn tell(mut events: Events, held: oneshot::Sender<()>) {
    while let Some(event) = events.next().await {
        println!("  {event}");
        if let EventKind::Held { .. } = event.kind {
            break;
        }
    }
    // Nobody waits any more if the program has failed.
    let _ = held.send(());
}

/// Where Prometheus scrapes; the URL.
async fn serve(authenticator: Authenticator, prometheus: PrometheusHandle) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    let metrics = get(move || async move {
        // The gauges stand still by themselves.
        authenticator.status().await;
        prometheus.render()
    });
    let app = Router::new().route("/metrics", metrics);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
