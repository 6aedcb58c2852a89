//! What is done to a page, and read off it.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::browser::{Browser, Key};

/// No page has more controls than this.
const MOST_TABS: usize = 200;

/// The member by which an answer refers to an element (WebDriver §12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Goes to an address, and waits until the page is loaded.
    ///
    /// # Errors
    ///
    /// As all methods: when the driver reports an error, or does not answer.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.post("url", &json!({ "url": url })).await.map(drop)
    }

    /// Loads the page anew.
    pub async fn reload(&self) -> Result<()> {
        self.post("refresh", &json!({})).await.map(drop)
    }

    /// The address that is shown.
    pub async fn url(&self) -> Result<String> {
        text_of(&self.get("url").await?)
    }

    /// The title of the page.
    pub async fn title(&self) -> Result<String> {
        text_of(&self.get("title").await?)
    }

    /// The text of an element as it is seen; waits until there is such an element.
    pub async fn text(&self, css: &str) -> Result<String> {
        let found = self.post("element", &json!({ "using": "css selector", "value": css })).await?;
        let element = found[ELEMENT].as_str().context("an element has an id")?;
        text_of(&self.get(&format!("element/{element}/text")).await?)
    }

    /// How many elements there are at this moment.
    pub async fn count(&self, css: &str) -> Result<u64> {
        let script = "return document.querySelectorAll(arguments[0]).length";
        self.run(script, &[css]).await?.as_u64().context("a number")
    }

    /// Runs a script in the page, and gives what it returns.
    pub async fn run(&self, script: &str, arguments: &[&str]) -> Result<Value> {
        self.post("execute/sync", &json!({ "script": script, "args": arguments })).await
    }

    /// Presses a key, wherever the focus is.
    pub async fn press(&self, key: Key) -> Result<()> {
        self.write(key.as_str()).await
    }

    /// Writes on the keyboard, wherever the focus is (WebDriver §15.4.1).
    pub async fn write(&self, text: &str) -> Result<()> {
        let strokes: Vec<Value> = text
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.post("actions", &json!({ "actions": [keyboard] })).await.map(drop)
    }

    /// Goes on with Tab until the focus is on such an element.
    ///
    /// # Errors
    ///
    /// When no Tab leads there.
    pub async fn tab_to(&self, css: &str) -> Result<()> {
        for _ in 0..MOST_TABS {
            self.press(Key::Tab).await?;
            if self.is_focused(css).await? {
                return Ok(());
            }
        }
        bail!("the keyboard does not reach {css}")
    }

    /// Whether the focus is on such an element.
    pub async fn is_focused(&self, css: &str) -> Result<bool> {
        let script = "return document.activeElement.matches(arguments[0])";
        self.run(script, &[css]).await?.as_bool().context("yes or no")
    }

    /// Lets pages of this origin read the clipboard, as a test must to see what a button has put there.
    pub async fn allow_clipboard(&self, origin: &str) -> Result<()> {
        let parameters = json!({ "origin": origin,
            "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        self.devtools("Browser.grantPermissions", &parameters).await?;
        // Chromium gives the clipboard to the page in front alone, and a headless one is in front of nobody.
        self.devtools("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true })).await?;
        Ok(())
    }

    /// What is on the clipboard.
    pub async fn clipboard(&self) -> Result<String> {
        text_of(&self.run("return navigator.clipboard.readText()", &[]).await?)
    }

    /// Forgets the cookies of the page's host.
    pub async fn forget_cookies(&self) -> Result<()> {
        self.delete("cookie").await.map(drop)
    }

    /// The errors that the console has had since the last call: failed loads, exceptions, what the page's policy stopped.
    pub async fn errors(&self) -> Result<Vec<String>> {
        let log = self.post("se/log", &json!({ "type": "browser" })).await?;
        let entries = log.as_array().context("a log is a list")?;
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| text_of(&entry["message"])).collect()
    }

    /// Makes the page as wide as a device of that width, which may be narrower than a window can be.
    pub async fn set_width(&self, pixels: u32) -> Result<()> {
        let parameters =
            json!({ "width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", &parameters).await.map(drop)
    }

    /// The whole page from top to bottom, as a PNG.
    pub async fn screenshot(&self) -> Result<Vec<u8>> {
        let script =
            "const page = document.documentElement; return [page.clientWidth, page.scrollHeight]";
        let size = self.run(script, &[]).await?;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let parameters = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let shot = self.devtools("Page.captureScreenshot", &parameters).await?;
        let picture = STANDARD.decode(text_of(&shot["data"])?)?;
        ensure!(picture.starts_with(b"\x89PNG"), "the picture is not a PNG");
        Ok(picture)
    }
}

fn text_of(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("a text")
}
