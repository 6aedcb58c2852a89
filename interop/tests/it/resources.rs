//! Resource indicators (RFC 8707), with tokens that are JWTs and tokens that are not.

use auth_core::ClientAuth;
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest_middleware::ClientBuilder;
use serde_json::Value;

use crate::server::{Server, spent};

#[tokio::test]
async fn each_kind_of_token_opens_the_api_in_one_token_request() {
    let server = Server::start();
    for (number, (kind, format)) in [("jwt", "jwt"), ("opaque", "opaque")].into_iter().enumerate() {
        let resource = server.text(&format!("/resources/{kind}"));
        let credentials = server
            .secret_at_endpoint("basic")
            .client_auth(ClientAuth::Basic)
            .resource(resource)
            .scope("read")
            .scope("write");
        let auth = server.builder(credentials, ReqwestTransport::new().unwrap()).build().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let client = ClientBuilder::new(client).with(AuthMiddleware::new(auth.clone())).build();
        for _ in 0..3 {
            let response = client.get(server.text("/api")).send().await.unwrap();
            assert_eq!(response.status(), 200, "{kind}");
            let seen: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
            assert_eq!((&seen["scheme"], &seen["format"]), (&"Bearer".into(), &format.into()));
            assert_eq!((&seen["client_id"], &seen["aud"]), (&"basic".into(), &resource.into()));
            assert_eq!(seen["scope"], "read write");
        }
        assert_eq!(server.counts("basic").await, (number as u64 + 1, number as u64 + 1));
        assert_eq!(spent(&auth).await, 1);
    }
}
