use std::error::Error;

use auth_core::{Authenticator, ClientCredentials, Store};
use auth_issuer::{Issuer, NewCredentials, Resource};
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

fn client(issuer: &Issuer, pair: &NewCredentials) -> Result<ClientWithMiddleware, Box<dyn Error>> {
    let credentials = ClientCredentials::new(pair.client_id(), pair.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    let auth = Authenticator::builder(credentials)
        .store(Store::memory())
        .transport(ReqwestTransport::new()?)
        .insecure_loopback(true)
        .build()?;
    let auth = AuthMiddleware::new(auth);
    let client = auth.client(reqwest::Client::builder().no_proxy())?;
    Ok(ClientBuilder::new(client).with(auth).build())
}

#[tokio::test]
async fn credentials_open_what_was_ticked() -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::start().await?;
    let pair = issuer.create_credentials("reports", [Resource::Shipments, Resource::Invoices])?;
    let client = client(&issuer, &pair)?;
    for (path, status) in [("/v2/shipments", 200), ("/v2/invoices", 200), ("/v2/documents", 403)] {
        let answer = client.get(format!("{}{path}", issuer.url())).send().await?;
        assert_eq!(answer.status(), status, "{path}");
    }
    issuer.assert_spent_at_most(1);
    Ok(())
}

#[tokio::test]
async fn the_legacy_key_opens_everything_until_it_is_reverted() -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::start().await?;
    let key = issuer.create_api_key()?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    // v1 takes keys only, v2 takes tokens and keys.
    let get = |path| client.get(format!("{}{path}", issuer.url())).bearer_auth(&key).send();
    assert_eq!(get("/v1/documents").await?.status(), 200);
    assert_eq!(get("/v2/documents").await?.status(), 200);
    let _new = issuer.revert_api_key()?;
    assert_eq!(get("/v1/documents").await?.status(), 401);
    assert_eq!(get("/v2/documents").await?.status(), 401);
    Ok(())
}
