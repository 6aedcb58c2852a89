//! kube's client over hyper-util's, against a small API server.

use std::collections::BTreeMap;
use std::sync::Arc;

use auth_core::Authenticator;
use auth_issuer::{Fault, Gate, Issuer};
use auth_tower::{AuthLayer, With};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Api, Client, Config, Error};
use tokio::task::JoinSet;
use tower::ServiceBuilder;
use tower::buffer::BufferLayer;

use crate::api_server::ApiServer;
use crate::support::authenticator;

async fn world() -> (Arc<Issuer>, ApiServer, Authenticator) {
    let issuer = Arc::new(Issuer::start().await.unwrap());
    let server = ApiServer::start(&issuer).await;
    let auth = authenticator(&issuer, &server.url);
    (issuer, server, auth)
}

fn config(server: &ApiServer) -> Config {
    Config::new(server.url.parse().unwrap())
}

fn hyper() -> HyperClient<HttpConnector, Body> {
    HyperClient::builder(TokioExecutor::new()).build_http()
}

/// The stack as it is meant to be: kube's paths get their origin above the layer, and its bodies
/// are sent again.
fn maps(server: &ApiServer, auth: Authenticator) -> Api<ConfigMap> {
    let stack = ServiceBuilder::new()
        .layer(config(server).base_uri_layer())
        .layer(AuthLayer::new(auth).replay(With(Body::try_clone)))
        .service(hyper());
    Api::default_namespaced(Client::new(stack, "default"))
}

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("us".to_owned(), "Oakland".to_owned())])),
        ..ConfigMap::default()
    }
}

fn is_401(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 401)
}

#[tokio::test]
async fn objects_are_listed_and_read_with_one_token() {
    let (issuer, server, auth) = world().await;
    let maps = maps(&server, auth);
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), 1);
    let ports = maps.get("ports").await.unwrap();
    assert_eq!(ports.data.unwrap()["eu"], "Rotterdam");
    assert!(maps.get_opt("no-such-map").await.unwrap().is_none());
    assert_eq!((server.requests(), issuer.token_requests()), (3, 1));
}

// torture: A1
#[tokio::test]
async fn a_hundred_requests_at_once_cost_one_token_request() {
    let (issuer, server, auth) = world().await;
    let gate = Gate::new();
    issuer.fail_next(1, Fault::until(&gate));
    let maps = maps(&server, auth);
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let maps = maps.clone();
        requests.spawn(async move { maps.get("ports").await });
    }
    issuer.until_token_requests(1).await;
    gate.open();
    assert!(requests.join_all().await.iter().all(Result::is_ok));
    assert_eq!((server.requests(), issuer.token_requests()), (100, 1));
}

// torture: B18
#[tokio::test]
async fn after_a_revocation_a_request_is_sent_again_with_its_body_and_another_token() {
    let (issuer, server, auth) = world().await;
    let maps = maps(&server, auth);
    maps.get("ports").await.unwrap();
    issuer.revoke_all();
    let created = maps.create(&PostParams::default(), &map("more-ports")).await.unwrap();
    assert_eq!(created.data.unwrap()["us"], "Oakland");
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), 2);
    assert_eq!((server.requests(), issuer.token_requests()), (4, 2));
}

#[tokio::test]
async fn without_a_policy_for_its_bodies_the_401_goes_back_and_the_token_is_renewed() {
    let (issuer, server, auth) = world().await;
    let stack = ServiceBuilder::new()
        .layer(config(&server).base_uri_layer())
        .layer(AuthLayer::new(auth.clone()))
        .service(hyper());
    let maps: Api<ConfigMap> = Api::default_namespaced(Client::new(stack, "default"));
    maps.get("ports").await.unwrap();
    let sent = auth.authorization().await.unwrap().generation();
    issuer.revoke_all();
    let refused = maps.get("ports").await.unwrap_err();
    assert!(is_401(&refused), "{refused:?}");
    auth.replacement(sent).await.unwrap();
    maps.get("ports").await.unwrap();
    assert_eq!(issuer.token_requests(), 2);
}

#[tokio::test]
async fn an_assumed_origin_serves_where_the_origin_is_added_below() {
    let (issuer, server, auth) = world().await;
    let layer = AuthLayer::new(auth).assume_origin(server.url.parse().unwrap());
    let stack =
        ServiceBuilder::new().layer(layer).layer(config(&server).base_uri_layer()).service(hyper());
    let maps: Api<ConfigMap> = Api::default_namespaced(Client::new(stack, "default"));
    maps.get("ports").await.unwrap();
    assert_eq!(issuer.token_requests(), 1);
}

#[tokio::test]
async fn kubes_own_stack_takes_the_layer_over_a_buffer() {
    let (issuer, server, auth) = world().await;
    let layer = AuthLayer::new(auth)
        .replay(With(Body::try_clone))
        .assume_origin(server.url.parse().unwrap());
    let client = ClientBuilder::try_from(config(&server))
        .unwrap()
        .with_layer(&BufferLayer::new(1024))
        .with_layer(&layer)
        .build();
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    maps.get("ports").await.unwrap();
    issuer.revoke_all();
    maps.create(&PostParams::default(), &map("more-ports")).await.unwrap();
    assert_eq!((server.requests(), issuer.token_requests()), (3, 2));
}

#[tokio::test]
async fn a_token_of_the_kubeconfig_that_is_set_above_is_left_alone() {
    let (issuer, server, auth) = world().await;
    let mut config = config(&server);
    config.auth_info.token = Some("its-own".to_owned().into());
    let stack = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().unwrap())
        .layer(AuthLayer::new(auth))
        .service(hyper());
    let maps: Api<ConfigMap> = Api::default_namespaced(Client::new(stack, "default"));
    let refused = maps.get("ports").await.unwrap_err();
    assert!(is_401(&refused), "{refused:?}");
    assert_eq!((server.requests(), issuer.token_requests()), (1, 0));
}

#[tokio::test]
async fn a_token_of_the_kubeconfig_that_is_set_below_takes_the_place_of_ours() {
    let (issuer, server, auth) = world().await;
    let mut config = config(&server);
    config.auth_info.token = Some("its-own".to_owned().into());
    let stack = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(AuthLayer::new(auth))
        .option_layer(config.auth_layer().unwrap())
        .map_err(auth_tower::BoxError::from)
        .service(hyper());
    let maps: Api<ConfigMap> = Api::default_namespaced(Client::new(stack, "default"));
    let refused = maps.get("ports").await.unwrap_err();
    assert!(is_401(&refused), "{refused:?}");
    // The 401 was not about our token, which has never worked here: without a reason it costs nothing.
    assert_eq!((server.requests(), issuer.token_requests()), (1, 1));
}

#[tokio::test]
async fn above_the_layer_that_adds_the_origin_every_request_fails_and_says_why() {
    let (issuer, server, auth) = world().await;
    let stack = ServiceBuilder::new()
        .layer(AuthLayer::new(auth))
        .layer(config(&server).base_uri_layer())
        .service(hyper());
    let maps: Api<ConfigMap> = Api::default_namespaced(Client::new(stack, "default"));
    let error = maps.get("ports").await.unwrap_err();
    let ours = auth_tower::error(&error).unwrap();
    assert!(ours.to_string().contains("relative"), "{ours}");
    assert_eq!((server.requests(), issuer.token_requests()), (0, 0));
}

#[tokio::test]
async fn a_cluster_that_the_credential_is_not_bound_to_gets_no_token() {
    let (issuer, server, _) = world().await;
    let maps = maps(&server, authenticator(&issuer, issuer.url()));
    let refused = maps.get("ports").await.unwrap_err();
    assert!(is_401(&refused), "{refused:?}");
    assert_eq!((server.requests(), issuer.token_requests()), (1, 0));
}
