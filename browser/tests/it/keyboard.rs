//! From "Create API credentials" to "Revert", by the keyboard alone.

use anyhow::{Context as _, Result};
use auth_issuer::Issuer;
use browser::{Browser, Key};

use crate::app::{App, with_key};

/// A name that is markup, twice over.
const HOSTILE: &str =
    "<script>document.title='pwned'</script>\"><img src=x onerror=document.title='pwned'>";

const TITLE: &str = "API · Settings · Your Business";

// torture: B13
#[tokio::test]
async fn credentials_and_a_key_are_made_used_and_taken_back_by_keyboard() -> Result<()> {
    let Some(browser) = crate::browser("the page by keyboard").await? else { return Ok(()) };
    let issuer = Issuer::start().await?;
    browser.open(&issuer.settings_url()).await?;

    let (id, secret) = create(&browser).await?;
    assert_eq!(browser.title().await?, TITLE);
    assert_eq!(browser.text("tbody:last-of-type .name").await?, HOSTILE);
    assert_eq!(browser.count("main script, main img").await?, 0);
    assert_eq!(browser.text("tbody:last-of-type .facts td").await?, "Shipments, Invoices");
    browser.reload().await?;
    assert_eq!(browser.text("tbody:last-of-type .id code").await?, id);
    assert_eq!(browser.count("#created-id, #created-secret").await?, 0);
    assert!(!source(&browser).await?.contains(&secret));

    let app = App::new(&issuer, &id, &secret)?;
    assert_eq!(app.get("/v2/shipments").await?, 200);
    assert_eq!(app.get("/v2/documents").await?, 403);
    browser.reload().await?;
    assert_eq!(browser.count(".dot").await?, 20);
    assert_eq!(browser.count(".dot.spent").await?, 1);
    let filled = "return document.querySelector('tbody:last-of-type .dot.spent').ariaLabel";
    let label = browser.run(filled, &[]).await?;
    let label = label.as_str().unwrap();
    assert!(label.starts_with("spent ") && label.ends_with(", start, issued"), "{label}");

    revert(&browser, &issuer).await?;
    assert_eq!(browser.title().await?, TITLE);
    assert_eq!(browser.errors().await?, [] as [&str; 0]);
    Ok(())
}

/// Each button puts on the clipboard what stands beside it, and says so; the page's script is nothing else.
#[tokio::test]
async fn the_copy_buttons_copy_what_stands_beside_them() -> Result<()> {
    let Some(browser) = crate::browser("the copy buttons").await? else { return Ok(()) };
    let issuer = Issuer::start().await?;
    browser.allow_clipboard(issuer.url()).await?;
    browser.open(&issuer.settings_url()).await?;
    let (id, secret) = create(&browser).await?;
    copied(&browser, "created-id", &id).await?;
    copied(&browser, "created-secret", &secret).await?;
    copied(&browser, "client-id-1", &id).await?;
    copied(&browser, "token-endpoint", issuer.token_endpoint()).await?;
    copied(&browser, "audience", issuer.audience()).await?;
    browser.tab_to(".banner button").await?;
    browser.press(Key::Enter).await?;
    let key = browser.text("#created-key").await?;
    copied(&browser, "created-key", &key).await?;
    assert_eq!(browser.errors().await?, [] as [&str; 0]);
    Ok(())
}

/// Presses the button of this element.
async fn copied(browser: &Browser, source: &str, expected: &str) -> Result<()> {
    // Heard from before it is said: it is taken back after two seconds.
    let listen = "const said = document.getElementById('said');
        window.heard = new Promise(done => {
            const observer = new MutationObserver(() => { observer.disconnect(); done(said.textContent) });
            observer.observe(said, { childList: true, characterData: true, subtree: true });
        })";
    browser.run(listen, &[]).await?;
    browser.tab_to(&format!("button[data-copies={source}]")).await?;
    browser.press(Key::Enter).await?;
    let heard = browser.run("return window.heard", &[]).await?;
    assert_eq!(heard, "Copied", "{source}");
    assert_eq!(browser.clipboard().await?, expected, "{source}");
    // Or the next one would hear this one's end.
    let silent = "const said = document.getElementById('said');
        return new Promise(done => {
            const look = () => said.textContent ? requestAnimationFrame(look) : done(true);
            look();
        })";
    browser.run(silent, &[]).await.map(drop)
}

/// Fills in the form; the id and the secret that the page shows then.
async fn create(browser: &Browser) -> Result<(String, String)> {
    browser.tab_to(".create > summary").await?;
    browser.press(Key::Enter).await?;
    browser.tab_to("#name").await?;
    browser.write(HOSTILE).await?;
    for resource in ["#resource-shipments", "#resource-invoices"] {
        browser.tab_to(resource).await?;
        browser.press(Key::Space).await?;
    }
    browser.tab_to(".create button").await?;
    browser.press(Key::Enter).await?;
    Ok((browser.text("#created-id").await?, browser.text("#created-secret").await?))
}

/// Generates a key and takes it back.
async fn revert(browser: &Browser, issuer: &Issuer) -> Result<()> {
    browser.tab_to(".banner button").await?;
    browser.press(Key::Enter).await?;
    let key = browser.text("#created-key").await?;
    assert_eq!(with_key(issuer, "/v1/shipments", &key).await?.0, 200);
    browser.reload().await?;
    assert_eq!(browser.text(".banner button").await?, "Revert");
    assert!(!source(browser).await?.contains(&key));

    // Without the tick the browser sends nothing, and shows what is missing.
    browser.tab_to(".banner button").await?;
    browser.press(Key::Enter).await?;
    assert!(browser.is_focused("#sure:invalid").await?);
    assert_eq!(with_key(issuer, "/v1/shipments", &key).await?.0, 200);
    browser.press(Key::Space).await?;
    browser.tab_to(".banner button").await?;
    browser.press(Key::Enter).await?;
    let new = browser.text("#created-key").await?;
    assert_ne!(new, key);
    assert_eq!(with_key(issuer, "/v1/shipments", &key).await?, (401, "bad_token".into()));
    assert_eq!(with_key(issuer, "/v1/shipments", &new).await?.0, 200);
    Ok(())
}

/// All of the document, what is not seen too.
async fn source(browser: &Browser) -> Result<String> {
    let text = browser.run("return document.documentElement.outerHTML", &[]).await?;
    text.as_str().map(str::to_owned).context("a document is text")
}
