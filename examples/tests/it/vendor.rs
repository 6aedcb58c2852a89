//! The vendor's page "Using API Credentials", walked from "Create API credentials" to "Revert", and its other documents: each
//! point is named beside what holds it to be true, of the issuer and of our client at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use auth_core::{
    ApiKey, Authenticator, ClientCredentials, Clock as _, Quota, Routes, SecretSource, Store,
    TokioClock,
};
use auth_issuer::{Issuer, Resource};
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::{Value, json};

use crate::page::Person;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A client of a user's: ours, with a table for both versions of the API.
struct App {
    client: ClientWithMiddleware,
    url: String,
}

impl App {
    /// With credentials that are copied from the page, and a key in a file.
    fn new(
        issuer: &Issuer,
        (id, secret): (&str, &str),
        key: &std::path::Path,
        clock: &Arc<TokioClock>,
    ) -> Result<Self> {
        let credentials = ClientCredentials::new(id, secret)
            .token_endpoint(issuer.token_endpoint())
            .audience(issuer.audience());
        let tokens = Authenticator::builder(credentials)
            .quota(Quota::per_day(10))
            .store(Store::memory())
            .clock(Arc::clone(clock))
            .transport(ReqwestTransport::new()?)
            .insecure_loopback(true)
            .build()?;
        let url = issuer.url();
        let key = ApiKey::builder("legacy", SecretSource::file(key)).token().build()?;
        let routes = Routes::builder()
            .route(format!("{url}/v1"), key)
            .route(format!("{url}/v2"), tokens)
            .insecure_loopback(true)
            .build()?;
        let auth = AuthMiddleware::new(routes);
        let client = auth.client(reqwest::Client::builder().no_proxy())?;
        let client = ClientBuilder::new(client).with(auth).build();
        Ok(Self { client, url: url.to_owned() })
    }

    async fn get(&self, path: &str) -> Result<StatusCode> {
        let (name, value) = version(path);
        let request = self.client.get(format!("{}{path}", self.url)).header(name, value);
        Ok(request.send().await?.status())
    }
}

/// How a request says which version it means.
fn version(path: &str) -> (&'static str, &'static str) {
    match path.starts_with("/v1/") {
        true => ("Accept", "application/vnd.flexport.v1"),
        false => ("Flexport-Version", "2"),
    }
}

/// A request as curl sends it, with nothing of ours in between.
async fn curl(issuer: &Issuer, path: &str, bearer: &str) -> Result<(StatusCode, Value)> {
    let bearer = format!("Bearer {bearer}");
    by_hand(issuer, path, &[("Authorization", &bearer), version(path)]).await
}

/// The same with these headers and no others.
async fn by_hand(
    issuer: &Issuer,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(StatusCode, Value)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut request = client.get(format!("{}{path}", issuer.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await?;
    let status = response.status();
    Ok((status, serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null)))
}

fn claims(token: &str) -> Result<Value> {
    let payload = token.split('.').nth(1).context("a JWT has three parts")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

// torture: B13
#[tokio::test]
async fn the_vendors_page_holds_point_by_point() -> Result<()> {
    let clock = Arc::new(TokioClock::new());
    let time = Arc::clone(&clock);
    let builder = Issuer::builder().clock(move || time.now().wall.into());
    let issuer = builder.demand_versions(true).start().await?;
    let directory = tempfile::tempdir()?;
    let key_file = directory.path().join("key");

    // Point 5: without an account there is no page.
    let page = format!("{}/settings/api", issuer.url());
    let plain = reqwest::Client::builder().no_proxy().build()?;
    ensure!(plain.get(page).send().await?.status() == StatusCode::UNAUTHORIZED);
    let person = Person::at(&issuer).await?;

    // Point 10: "Generate" shows a key.
    let key = person.generate().await?;
    std::fs::write(&key_file, &key)?;

    // Point 1: the legacy key opens every endpoint.
    for resource in Resource::ALL {
        for version in ["v1", "v2"] {
            let (status, _) = curl(&issuer, &format!("/{version}/{resource}"), &key).await?;
            ensure!(status == StatusCode::OK, "{version}/{resource}: {status}");
        }
    }

    // ... and none can be switched off for it: its part of the page has nothing to tick but that one is sure, no name of a
    // resource among it, and what is switched off for all credentials is open to the key.
    let page = person.look().await?;
    let (_, section) = page.split_once("aria-labelledby=\"key\"").context("no banner")?;
    let (section, _) = section.split_once("</section>").context("an open banner")?;
    ensure!(section.matches("type=\"checkbox\"").count() == 1 && section.contains("name=\"sure\""));
    ensure!(Resource::ALL.iter().all(|resource| !section.contains(resource.name())));
    issuer.set_enabled(issuer.client_id(), false)?;
    for resource in Resource::ALL {
        ensure!(curl(&issuer, &format!("/v2/{resource}"), &key).await?.0 == StatusCode::OK);
    }

    // Point 6: "Create API credentials", with two resources ticked; a new row, an id and a secret to copy.
    let ticked = [Resource::Shipments, Resource::Invoices];
    let (id, secret) = person.create("Reports", &ticked).await?;
    let row = issuer.credentials().pop().context("no row")?;
    ensure!((row.name.as_str(), &row.resources[..]) == ("Reports", &ticked[..]));
    ensure!(row.client_id == id);
    let page = person.look().await?;
    ensure!(page.contains("Reports") && page.contains(&id) && !page.contains(&secret));

    // Point 7: the exchange, as the page shows it with curl.
    let raw = reqwest::Client::builder().no_proxy().build()?;
    let answer = raw
        .post(issuer.token_endpoint())
        .json(&json!({
            "client_id": id,
            "client_secret": secret,
            "audience": issuer.audience(),
            "grant_type": "client_credentials",
        }))
        .send()
        .await?;
    ensure!(answer.status() == StatusCode::OK);
    let answer: Value = answer.json().await?;
    let token = answer["access_token"].as_str().context("no access_token")?;

    // Point 9: the decoded JWT.
    let claims = claims(token)?;
    ensure!(claims["iss"] == issuer.url());
    ensure!(claims["sub"] == format!("{id}@clients"));
    ensure!(claims["aud"] == issuer.audience());
    ensure!(claims["azp"] == id.as_str() && claims["gty"] == "client-credentials");
    // Point 4: a finite life, of 24 hours.
    let (issued, expires) = (claims["iat"].as_u64(), claims["exp"].as_u64());
    ensure!(expires.zip(issued).is_some_and(|(exp, iat)| exp - iat == 86_400));

    // Point 2: the bearer reaches the endpoints that it has permission for, and no more.
    for resource in Resource::ALL {
        let (status, _) = curl(&issuer, &format!("/v2/{resource}"), token).await?;
        let expected =
            if ticked.contains(&resource) { StatusCode::OK } else { StatusCode::FORBIDDEN };
        ensure!(status == expected, "{resource}: {status}");
    }
    // Point 3: v1 does not take credentials.
    let (status, body) = curl(&issuer, "/v1/shipments", token).await?;
    ensure!(status == StatusCode::UNAUTHORIZED && body["errors"][0]["code"] == "bad_token");

    // Point 8: cached and reused until it expires, by our client: one token request for all of this.
    let pair = (id.as_str(), secret.as_str());
    let app = App::new(&issuer, pair, &key_file, &clock)?;
    let before = issuer.spent();
    for _ in 0..50 {
        for path in ["/v2/shipments", "/v2/invoices", "/v1/products"] {
            ensure!(app.get(path).await? == StatusCode::OK);
        }
    }
    ensure!(issuer.spent() - before == 1);
    // And what was not ticked is refused, which costs no token request.
    ensure!(app.get("/v2/documents").await? == StatusCode::FORBIDDEN);
    ensure!(issuer.spent() - before == 1);

    // Points 4 and 8: once it has expired, it is acquired again.
    let (status, _) = curl(&issuer, "/v2/shipments", token).await?;
    ensure!(status == StatusCode::OK);
    clock.suspend(DAY);
    let (status, _) = curl(&issuer, "/v2/shipments", token).await?;
    ensure!(status == StatusCode::UNAUTHORIZED);
    ensure!(app.get("/v2/shipments").await? == StatusCode::OK);
    ensure!(issuer.spent() - before == 2);

    // Point 4: ten token requests a day, and no more.
    let spent = issuer.credentials().pop().context("no row")?.spent;
    clock.suspend(2 * DAY);
    let ask = || {
        raw.post(issuer.token_endpoint()).form(&[
            ("client_id", pair.0),
            ("client_secret", pair.1),
            ("audience", issuer.audience()),
            ("grant_type", "client_credentials"),
        ])
    };
    for _ in 0..10 {
        ensure!(ask().send().await?.status() == StatusCode::OK);
    }
    ensure!(ask().send().await?.status() == StatusCode::TOO_MANY_REQUESTS);
    ensure!(issuer.credentials().pop().context("no row")?.spent == spent + 10);
    ensure!(person.look().await?.contains("10 of 10 spent"));

    // Point 10: keys do not expire ...
    clock.suspend(3650 * DAY);
    let (status, _) = curl(&issuer, "/v1/shipments", &key).await?;
    ensure!(status == StatusCode::OK);
    ensure!(app.get("/v1/shipments").await? == StatusCode::OK);
    // ... and "Revert" ends the present one. The file has the new one, and no request of our client fails.
    let new = person.revert().await?;
    std::fs::write(&key_file, &new)?;
    let (status, body) = curl(&issuer, "/v1/shipments", &key).await?;
    ensure!(status == StatusCode::UNAUTHORIZED && body["errors"][0]["code"] == "bad_token");
    ensure!(app.get("/v1/shipments").await? == StatusCode::OK);
    ensure!(app.get("/v2/shipments").await? == StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn the_vendors_other_documents_hold_as_far_as_they_go() -> Result<()> {
    let audience = "https://api.flexport.com";
    let builder = Issuer::builder().audience(audience).demand_versions(true);
    // "Documented nowhere": the body of a permission error.
    let issuer = builder.permission_error("application/json", "{}").start().await?;
    let person = Person::at(&issuer).await?;
    let key = person.generate().await?;
    let (bearer, by_token) = (format!("Bearer {key}"), format!("Token token=\"{key}\""));
    let (bearer, by_token) = (("Authorization", &*bearer), ("Authorization", &*by_token));

    // "Token endpoint https://api.flexport.com/oauth/token, audience https://api.flexport.com".
    ensure!(issuer.token_endpoint() == format!("{}/oauth/token", issuer.url()));
    let (id, secret) = person.create("Bookings", &[Resource::Bookings]).await?;
    let raw = reqwest::Client::builder().no_proxy().build()?;
    let body = json!({ "client_id": id, "client_secret": secret, "audience": audience,
        "grant_type": "client_credentials" });
    let answer: Value = raw.post(issuer.token_endpoint()).json(&body).send().await?.json().await?;
    let token = answer["access_token"].as_str().context("no access_token")?;
    ensure!(claims(token)?["aud"] == audience);

    // "v2 wants Flexport-Version: 2 and wraps answers", refusals among them.
    let (status, body) = by_hand(&issuer, "/v2/bookings", &[bearer]).await?;
    ensure!(status == StatusCode::BAD_REQUEST && body["_object"] == "/api/response");
    ensure!(body["error"]["code"] == "bad_version" && body["data"].is_null());
    let (status, body) = curl(&issuer, "/v2/bookings/2001", token).await?;
    ensure!(status == StatusCode::OK && body["_object"] == "/api/response");
    ensure!(body["error"].is_null() && body["data"]["_object"] == "/booking");
    let (status, body) = curl(&issuer, "/v2/bookings", "").await?;
    ensure!(status == StatusCode::UNAUTHORIZED && body["error"]["code"] == "no_token");
    let (status, body) = curl(&issuer, "/v2/bookings/1", token).await?;
    ensure!(status == StatusCode::NOT_FOUND && body["error"]["code"] == "not_found");
    let (status, body) = curl(&issuer, "/v2/invoices", token).await?;
    ensure!((status, body) == (StatusCode::FORBIDDEN, json!({})));

    // "v2 resources": those that are here, of the vendor's list.
    for (resource, kind) in [
        ("bookings", "/booking"),
        ("shipments", "/shipment"),
        ("purchase_orders", "/purchase_order"),
        ("products", "/product"),
        ("invoices", "/invoice"),
        ("documents", "/document"),
    ] {
        let (status, body) = curl(&issuer, &format!("/v2/{resource}"), &key).await?;
        let listed = body["data"]["data"].as_array().context("no list")?;
        ensure!(status == StatusCode::OK && !listed.is_empty() && body["error"].is_null());
        ensure!(listed.iter().all(|item| item["_object"] == kind), "{resource}");
    }

    // "v1 wants Accept: application/vnd.flexport.v1 and Authorization: Token token="…"".
    let accept = version("/v1/");
    let (status, _) = by_hand(&issuer, "/v1/bookings", &[by_token]).await?;
    ensure!(status == StatusCode::NOT_ACCEPTABLE);
    let (status, body) = by_hand(&issuer, "/v1/bookings", &[by_token, accept]).await?;
    ensure!(status == StatusCode::OK && body["bookings"].is_array());
    let (status, _) = by_hand(&issuer, "/v1/bookings", &[bearer, accept]).await?;
    ensure!(status == StatusCode::OK);

    // "and answers a bad key with 401 {"errors":[{"code":"bad_token"}]}": one that was reverted, one that never was, none.
    person.revert().await?;
    let bad = json!({ "errors": [{ "code": "bad_token" }] });
    for wrong in [by_token, bearer, ("Authorization", "Token token=\"x\""), ("X-None", "x")] {
        let (status, body) = by_hand(&issuer, "/v1/bookings", &[wrong, accept]).await?;
        ensure!((status, &body) == (StatusCode::UNAUTHORIZED, &bad), "{wrong:?}");
    }
    Ok(())
}
