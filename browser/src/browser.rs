//! `Browser`: one session of a headless Chromium.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::driver::{Driver, Programs};

/// No command takes as long; one that does fails its test.
const COMMAND: Duration = Duration::from_secs(60);

/// How long an element may take to appear, in milliseconds.
const APPEAR: u32 = 20_000;

/// A headless Chromium with an empty profile. Dropping it ends it.
pub struct Browser {
    http: reqwest::Client,
    session: String,
    driver: Driver,
    // Dropped last: Chromium writes to it until it has ended.
    _folder: TempDir,
}

/// A key of the keyboard, by its code point in WebDriver (WebDriver §17.4.2, "normalised key values").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// To the next control.
    Tab,
    /// Ticks, and presses buttons.
    Space,
    /// Submits, and presses buttons.
    Enter,
}

impl Browser {
    /// Starts one; `None` where Chromium or its driver is not installed.
    ///
    /// # Errors
    ///
    /// When both are there and do not start.
    pub async fn start() -> Result<Option<Self>> {
        let Some(programs) = Programs::find() else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        let driver = Driver::start(&programs, folder.path()).await?;
        // A proxy of the environment has no business on loopback.
        let http = reqwest::Client::builder().no_proxy().timeout(COMMAND).build()?;
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "implicit": APPEAR },
            "goog:chromeOptions": {
                "binary": programs.chromium,
                "args": [
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--no-proxy-server",
                    // Chromium ends with the driver, even if that is killed.
                    "--remote-debugging-pipe",
                    "--window-size=1200,1400",
                    format!("--user-data-dir={}", folder.path().join("profile").display()),
                ],
            },
        } } });
        let mut browser = Self { http, session: driver.url(), driver, _folder: folder };
        let session = browser.post("session", &wanted).await?;
        let id = session["sessionId"].as_str().context("a session has an id")?;
        browser.session = format!("{}/session/{id}", browser.driver.url());
        browser.driver.session = Some(id.to_owned());
        Ok(Some(browser))
    }

    /// A command of this session (WebDriver §6.3).
    pub(crate) async fn post(&self, command: &str, parameters: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}/{command}", self.session));
        answer(request.body(parameters.to_string())).await.with_context(|| command.to_owned())
    }

    pub(crate) async fn get(&self, command: &str) -> Result<Value> {
        let request = self.http.get(format!("{}/{command}", self.session));
        answer(request).await.with_context(|| command.to_owned())
    }

    pub(crate) async fn delete(&self, command: &str) -> Result<Value> {
        let request = self.http.delete(format!("{}/{command}", self.session));
        answer(request).await.with_context(|| command.to_owned())
    }

    /// A command of the DevTools protocol, where WebDriver has none.
    pub(crate) async fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Key {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tab => "\u{e004}",
            Self::Space => " ",
            Self::Enter => "\u{e007}",
        }
    }
}

/// The value of an answer, or the error that it tells of (WebDriver §6.6).
async fn answer(request: reqwest::RequestBuilder) -> Result<Value> {
    let response = request.send().await?;
    let status = response.status();
    let mut body: Value = serde_json::from_slice(&response.bytes().await?)?;
    let value = body["value"].take();
    if status.is_success() {
        return Ok(value);
    }
    let (error, message) = (value["error"].as_str(), value["message"].as_str());
    bail!("{}: {}", error.unwrap_or("no error"), message.unwrap_or_default())
}
