//! Draws the settings page with three credentials into a PNG: `screenshot FILE [WIDTH]`.
//!
//! Times and ids are the same each time, so that a new picture differs only where the page does.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use auth_issuer::{Issuer, ManualClock, Resource};
use browser::Browser;
use serde_json::json;

/// 10 March 2026, 06:40 UTC.
const MORNING: Duration = Duration::from_secs(1_773_124_800);

const SECRET: &str = "only-for-the-picture";

/// Where the program listens if it is not told otherwise, so that the picture has an address that readers will see.
const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8400);

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), width, None) = (arguments.next(), arguments.next(), arguments.next()) else {
        bail!("usage: screenshot FILE [WIDTH]")
    };
    let width = width.map_or(Ok(1200), |width| width.parse()).context("WIDTH is in pixels")?;
    let clock = ManualClock::at(UNIX_EPOCH + MORNING);
    let issuer = Issuer::builder()
        .clock(clock.clone())
        .bind(ADDRESS.into())
        .client_for("nightly-export", SECRET, [Resource::Shipments, Resource::Invoices])
        .client_for("partner-forwarder", SECRET, [Resource::Bookings, Resource::Documents])
        .client_for("warehouse-dashboard", SECRET, [Resource::Products])
        .lifetime(Duration::from_secs(2 * 60 * 60))
        .start()
        .await?;
    issuer.create_api_key()?;
    // A client that keeps its token, and one that asks for one each time.
    for _ in 0..3 {
        ask(&issuer, "nightly-export").await?;
        for _ in 0..3 {
            ask(&issuer, "partner-forwarder").await?;
            clock.advance(Duration::from_secs(45 * 60));
        }
    }
    ask(&issuer, "partner-forwarder").await?;
    issuer.set_enabled("warehouse-dashboard", false)?;

    let Some(browser) = Browser::start().await? else {
        bail!("neither picture nor page without chromium and chromedriver");
    };
    browser.set_width(width).await?;
    browser.open(&issuer.settings_url()).await?;
    let picture = browser.screenshot().await?;
    std::fs::write(&file, &picture).with_context(|| format!("{file} cannot be written"))?;
    println!("{file}: {} bytes", picture.len());
    Ok(())
}

/// A token request of a client.
async fn ask(issuer: &Issuer, client_id: &str) -> Result<()> {
    let body = json!({ "client_id": client_id, "client_secret": SECRET,
        "audience": issuer.audience(), "grant_type": "client_credentials" });
    let request = reqwest::Client::builder().no_proxy().build()?.post(issuer.token_endpoint());
    let request = request.header("Content-Type", "application/json").body(body.to_string());
    let status = request.send().await?.status();
    ensure!(status.is_success(), "{client_id}: {status}");
    Ok(())
}
