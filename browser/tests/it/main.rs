//! The settings page of the embedded issuer in a real Chromium.

mod app;
mod keyboard;
mod layout;
mod session;

use browser::Browser;

/// A browser, or a line that says that there is none.
async fn browser(test: &str) -> anyhow::Result<Option<Browser>> {
    let browser = Browser::start().await?;
    if browser.is_none() {
        println!("SKIPPED: {test}: chromium and chromedriver are not both on the path");
    }
    Ok(browser)
}
