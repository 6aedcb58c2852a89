//! What the page is like on a telephone, and for who uses the keyboard or hears the page.

use anyhow::Result;
use auth_issuer::{Issuer, Resource};
use browser::{Browser, Key};
use serde_json::{Value, json};

use crate::app::ask;

const NARROW: u32 = 360;

/// The inputs that are there for people, and which of them have no label that says something.
const LABELS: &str = "
    const inputs = [...document.querySelectorAll('input:not([type=hidden])')];
    const mute = inputs.filter(input => ![...input.labels].some(label => label.textContent.trim()));
    return [inputs.length, mute.map(input => input.outerHTML)]";

/// The outline of the first button as it is now: its style, its width, and whether its colour can be seen.
const OUTLINE: &str = "
    const style = getComputedStyle(document.querySelector('main button:not([hidden])'));
    return [style.outlineStyle, parseFloat(style.outlineWidth), style.outlineColor]";

#[tokio::test]
async fn at_360_pixels_nothing_is_wider_than_the_page() -> Result<()> {
    let Some(browser) = crate::browser("a narrow page").await? else { return Ok(()) };
    let issuer = Issuer::start().await?;
    let long = issuer.create_credentials(&"W".repeat(100), Resource::ALL)?;
    issuer.create_credentials(&"two words ".repeat(10), [Resource::PurchaseOrders])?;
    // All that the quota and the history can show: spent and left, refused and issued, and when the next unit is back.
    for status in [200; 10].into_iter().chain([429]) {
        assert_eq!(ask(&issuer, long.client_id(), long.client_secret()).await?, status);
    }
    assert_eq!(ask(&issuer, issuer.client_id(), issuer.client_secret()).await?, 200);
    browser.set_width(NARROW).await?;
    browser.open(&issuer.settings_url()).await?;
    assert_eq!(browser.count(".dot.spent").await?, 11);
    assert_eq!(browser.count(".dot:not(.spent)").await?, 19);
    assert_eq!(browser.count(".next").await?, 2);
    fits(&browser, "the list").await?;
    for _ in 0..2 {
        browser.tab_to(".requests:not([open]) > summary").await?;
        browser.press(Key::Enter).await?;
    }
    assert_eq!(browser.count(".requests[open] tbody tr").await?, 12);
    fits(&browser, "the token requests").await?;

    browser.tab_to(".create > summary").await?;
    browser.press(Key::Enter).await?;
    fits(&browser, "the form").await?;
    browser.tab_to("#name").await?;
    browser.write("new").await?;
    browser.press(Key::Enter).await?;
    // Nothing is ticked.
    browser.text("#problem").await?;
    fits(&browser, "the problem").await?;
    browser.tab_to("#resource-shipments").await?;
    browser.press(Key::Space).await?;
    browser.tab_to(".create button").await?;
    browser.press(Key::Enter).await?;
    browser.text("#created-secret").await?;
    fits(&browser, "the secret").await?;
    browser.tab_to(".banner button").await?;
    browser.press(Key::Enter).await?;
    browser.text("#created-key").await?;
    fits(&browser, "the key").await?;
    let question = format!("/settings/api/credentials/delete?client_id={}", long.client_id());
    browser.open(&format!("{}{question}", issuer.url())).await?;
    assert_eq!(browser.text("h1").await?, "Delete the credential?");
    fits(&browser, "the question").await?;
    Ok(())
}

#[tokio::test]
async fn every_input_has_a_label_and_the_focus_is_seen() -> Result<()> {
    let Some(browser) = crate::browser("labels and focus").await? else { return Ok(()) };
    let issuer = Issuer::start().await?;
    issuer.create_api_key()?;
    browser.open(&issuer.settings_url()).await?;
    let found = browser.run(LABELS, &[]).await?;
    // The tick beside "Revert", the name, and the resources.
    assert_eq!(found, json!([2 + Resource::ALL.len(), []]));

    let outline = browser.run(OUTLINE, &[]).await?;
    assert_eq!(outline[0], "none");
    browser.tab_to("main button").await?;
    let is_first =
        "return document.activeElement === document.querySelector('main button:not([hidden])')";
    assert_eq!(browser.run(is_first, &[]).await?, json!(true));
    let outline = browser.run(OUTLINE, &[]).await?;
    assert_eq!(outline[0], "solid");
    assert!(outline[1].as_f64().is_some_and(|width| width >= 2.0), "{outline}");
    assert!(outline[2].as_str().is_some_and(|colour| colour.starts_with("rgb(")), "{outline}");
    Ok(())
}

/// Whether the page is as wide as the screen, and no wider.
async fn fits(browser: &Browser, what: &str) -> Result<()> {
    let widths = "return [innerWidth, document.documentElement.scrollWidth]";
    let widths: Value = browser.run(widths, &[]).await?;
    assert_eq!(widths, json!([NARROW, NARROW]), "{what}");
    Ok(())
}
