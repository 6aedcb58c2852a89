//! The settings page of the embedded issuer in a real Chromium.

mod app;
mod keyboard;
mod layout;
mod session;

use std::io::Write as _;

use browser::Browser;

/// A browser, or a line that says that there is none.
async fn browser(test: &str) -> anyhow::Result<Option<Browser>> {
    let browser = Browser::start().await?;
    if browser.is_none() {
        // Not by `println`, which nobody sees of a test that passes.
        let line = format!("SKIPPED: {test}: chromium and chromedriver are not both on the path\n");
        std::io::stdout().write_all(line.as_bytes())?;
    }
    Ok(browser)
}
