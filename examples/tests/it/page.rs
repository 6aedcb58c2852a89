//! A person at the page "Settings → API": fills in its forms, and copies what it shows.

use anyhow::{Context as _, Result, ensure};
use auth_issuer::{Issuer, Resource};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, StatusCode, redirect};

pub(crate) struct Person {
    client: Client,
    url: String,
    cookie: String,
}

impl Person {
    /// Opens the address that the program prints.
    pub(crate) async fn at(issuer: &Issuer) -> Result<Self> {
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build()?;
        let answer = client.get(issuer.settings_url()).send().await?;
        let cookie = answer.headers().get(SET_COOKIE).context("no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { client, url: issuer.url().to_owned(), cookie })
    }

    /// What the page shows now.
    pub(crate) async fn look(&self) -> Result<String> {
        self.page("/settings/api").await
    }

    /// "Create API credentials": the id and the secret, to be copied.
    pub(crate) async fn create(&self, name: &str, ticked: &[Resource]) -> Result<(String, String)> {
        let mut fields = vec![("name", name)];
        fields.extend(ticked.iter().map(|resource| ("resource", resource.name())));
        let page = self.send("/settings/api/credentials", &fields).await?;
        Ok((element(&page, "created-id")?.to_owned(), element(&page, "created-secret")?.to_owned()))
    }

    /// "Generate": the key, to be copied.
    pub(crate) async fn generate(&self) -> Result<String> {
        let page = self.send("/settings/api/key", &[]).await?;
        Ok(element(&page, "created-key")?.to_owned())
    }

    /// "Revert", confirmed: another key, to be copied.
    pub(crate) async fn revert(&self) -> Result<String> {
        let page = self.send("/settings/api/key/revert", &[("sure", "yes")]).await?;
        Ok(element(&page, "created-key")?.to_owned())
    }

    /// Sends a form as the page has it, and goes where that leads.
    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Result<String> {
        let page = self.look().await?;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").context("no form")?;
        let csrf = rest.split('"').next().unwrap_or_default();
        let mut fields = fields.to_vec();
        fields.push(("csrf", csrf));
        let request = self.client.post(format!("{}{path}", self.url)).form(&fields);
        let request = request.header(COOKIE, &self.cookie).header(ORIGIN, &self.url);
        let answer = request.send().await?;
        ensure!(answer.status() == StatusCode::SEE_OTHER, "{path}: {}", answer.status());
        let location = answer.headers().get(LOCATION).context("no location")?;
        self.page(location.to_str()?).await
    }

    async fn page(&self, path: &str) -> Result<String> {
        let request = self.client.get(format!("{}{path}", self.url));
        let answer = request.header(COOKIE, &self.cookie).send().await?;
        ensure!(answer.status() == StatusCode::OK, "{path}: {}", answer.status());
        Ok(answer.text().await?)
    }
}

/// The text of the element with this id.
fn element<'a>(page: &'a str, id: &str) -> Result<&'a str> {
    let (_, rest) = page.split_once(&format!("id=\"{id}\">")).context(id.to_owned())?;
    Ok(rest.split('<').next().unwrap_or_default())
}
