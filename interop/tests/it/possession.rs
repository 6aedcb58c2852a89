//! DPoP (RFC 9449), with and without nonces, through both adapters.

use auth_core::{Authenticator, ClientAuth, SigningKey};
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use auth_tower::{AuthLayer, HyperTransport};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::ClientBuilder;
use serde_json::Value;
use tower::{Layer, ServiceExt};

use crate::server::{Server, spent};

/// The API's view of two requests to each of its paths, by both adapters: the second to a path that wants a nonce.
async fn asks(server: &Server, auth: &Authenticator) -> Vec<Value> {
    let mut seen = Vec::new();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let client = ClientBuilder::new(client).with(AuthMiddleware::new(auth.clone())).build();
    for path in ["/plain?page=1", "/nonce/a?page=1", "/nonce/b"] {
        let response = client.get(format!("{}{path}", server.text("/api"))).send().await.unwrap();
        assert_eq!(response.status(), 200, "reqwest, {path}");
        seen.push(serde_json::from_slice(&response.bytes().await.unwrap()).unwrap());
    }
    // The nonce that reqwest has learnt is no good any more, so the layer has to learn another.
    server.rotate_api_nonce().await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let service = AuthLayer::new(auth.clone()).layer(client);
    for path in ["/nonce/c?page=1", "/nonce/d", "/plain"] {
        let request = Request::post(format!("{}{path}", server.text("/api")));
        let request = request.body(Full::from("a body")).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "hyper, {path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        seen.push(serde_json::from_slice(&body).unwrap());
    }
    seen
}

#[tokio::test]
async fn without_a_nonce_at_the_issuer() {
    let server = Server::start();
    let key = SigningKey::generate_es256();
    let thumbprint = auth_core::Signer::public_jwk(&key).unwrap().thumbprint();
    let credentials = server.secret_at_endpoint("dpop").client_auth(ClientAuth::Basic).dpop(key);
    let auth = server.builder(credentials, ReqwestTransport::new().unwrap()).build().unwrap();
    for seen in asks(&server, &auth).await {
        assert_eq!((&seen["scheme"], &seen["jkt"]), (&"DPoP".into(), &thumbprint.clone().into()));
    }
    assert_eq!(server.counts("dpop").await, (1, 1));
    assert_eq!(spent(&auth).await, 1);
    assert!(!auth.status().await.token.unwrap().suspect);
}

#[tokio::test]
async fn with_a_nonce_at_the_issuer_which_costs_a_second_token_request_once() {
    let server = Server::start();
    let credentials = server
        .secret_at_endpoint("dpop_nonce")
        .client_auth(ClientAuth::Basic)
        .dpop(SigningKey::generate_es256())
        .resource(server.text("/resources/jwt"));
    let auth = server.builder(credentials, HyperTransport::plain()).build().unwrap();
    for seen in asks(&server, &auth).await {
        assert_eq!((&seen["scheme"], &seen["format"]), (&"DPoP".into(), &"jwt".into()));
    }
    assert_eq!(server.counts("dpop_nonce").await, (2, 1));
    assert_eq!(spent(&auth).await, 2);
    auth.renew().await.unwrap();
    assert_eq!(server.counts("dpop_nonce").await, (3, 2));
    assert_eq!(spent(&auth).await, 3);
}
