use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use auth_core::{Authenticator, ClientCredentials, Clock, Store, TokioClock};
use auth_issuer::Issuer;
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest_middleware::ClientBuilder;

#[tokio::test]
async fn a_token_of_yesterday_is_replaced_by_one_more() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(TokioClock::new());
    let time = Arc::clone(&clock);
    let issuer = Issuer::builder().clock(move || time.now().wall.into()).start().await?;

    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    let auth = Authenticator::builder(credentials)
        .store(Store::memory())
        .clock(Arc::clone(&clock))
        .transport(ReqwestTransport::new()?)
        .insecure_loopback(true)
        .build()?;
    let auth = AuthMiddleware::new(auth);
    let client = auth.client(reqwest::Client::builder().no_proxy())?;
    let client = ClientBuilder::new(client).with(auth).build();

    let shipments = format!("{}/v2/shipments", issuer.url());
    assert_eq!(client.get(&shipments).send().await?.status(), 200);
    issuer.assert_spent_at_most(1);
    clock.suspend(Duration::from_secs(24 * 60 * 60));
    assert_eq!(client.get(&shipments).send().await?.status(), 200);
    assert_eq!(issuer.spent(), 2);
    Ok(())
}
