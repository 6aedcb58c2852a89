use std::error::Error;

use auth_core::{Authenticator, ClientCredentials, Store};
use auth_issuer::Issuer;
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

/// What your application does at its start. Only the endpoint, the audience and the pair come from its configuration, and
/// `insecure_loopback` is for tests.
fn client(issuer: &Issuer) -> Result<ClientWithMiddleware, Box<dyn Error>> {
    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
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
async fn a_report_costs_one_token() -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::start().await?;
    let client = client(&issuer)?;
    for _ in 0..100 {
        let answer = client.get(format!("{}/v2/shipments", issuer.url())).send().await?;
        assert!(answer.status().is_success());
    }
    issuer.assert_spent_at_most(1);
    // Requests over the quota cost nothing, and a storm of them is one all the same.
    issuer.assert_requests_at_most(1);
    Ok(())
}
