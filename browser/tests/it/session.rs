//! Who gets in, and what the browser is told to stop.

use anyhow::Result;
use auth_issuer::Issuer;

#[tokio::test]
async fn the_printed_address_opens_the_page_and_without_its_cookie_there_is_none() -> Result<()> {
    let Some(browser) = crate::browser("the session").await? else { return Ok(()) };
    let issuer = Issuer::start().await?;
    let page = format!("{}/settings/api", issuer.url());
    browser.open(&issuer.settings_url()).await?;
    // The token does not stay in the address bar.
    assert_eq!(browser.url().await?, page);
    assert_eq!(browser.text("h1").await?, "API");
    assert!(browser.text("table.credentials").await?.contains(issuer.client_id()));
    browser.open(&page).await?;
    assert_eq!(browser.text("h1").await?, "API");
    assert_eq!(browser.errors().await?, [] as [&str; 0]);

    browser.forget_cookies().await?;
    browser.open(&page).await?;
    assert_eq!(browser.text("h1").await?, "Sign in");
    assert_eq!(browser.count("table, form, input").await?, 0);
    assert!(!browser.text("body").await?.contains(issuer.client_id()));
    // Chromium's log has the refusal, and so would have any other.
    let errors = browser.errors().await?;
    assert!(errors.len() == 1 && errors[0].contains("401"), "{errors:?}");
    Ok(())
}

#[tokio::test]
async fn a_script_that_got_into_the_page_would_not_run() -> Result<()> {
    let Some(browser) = crate::browser("the page's policy").await? else { return Ok(()) };
    let issuer = Issuer::start().await?;
    browser.open(&issuer.settings_url()).await?;
    let inject = "const script = document.createElement('script');
        script.textContent = arguments[0];
        document.body.append(script);
        const image = document.createElement('img');
        image.setAttribute('onerror', arguments[0]);
        document.body.append(image);
        image.dispatchEvent(new Event('error'));
        return document.title";
    let title = browser.run(inject, &["document.title = 'pwned'"]).await?;
    assert_eq!(title, "API · Settings · Your Business");
    let errors = browser.errors().await?;
    let stopped = errors.iter().filter(|error| error.contains("Content Security Policy"));
    assert_eq!(stopped.count(), 2, "{errors:?}");
    Ok(())
}
