//! Proxies: those of the environment are not used, and those that are asked for never read the secret.

use std::process::Command;

use auth_core::Transport;
use auth_issuer::Issuer;
use auth_reqwest::ReqwestTransport;
use bytes::Bytes;

use crate::harness::{builder, spent};
use crate::peer::Peer;

/// Set in the process that runs one test of this binary under a proxy's environment.
const INSIDE: &str = "AUTH_REQWEST_TEST_INSIDE_PROXY_ENVIRONMENT";

const VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

// torture: E42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_of_the_environment_are_not_used() {
    if std::env::var_os(INSIDE).is_some() {
        return inside().await;
    }
    let proxy = Peer::with_status("502 Bad Gateway").await;
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "proxy::proxies_of_the_environment_are_not_used", "--nocapture"]);
    again.env(INSIDE, "1").env_remove("NO_PROXY").env_remove("no_proxy");
    again.env_remove("REQUEST_METHOD");
    for variable in VARIABLES {
        again.env(variable, proxy.url());
    }
    let output = tokio::task::spawn_blocking(move || again.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
    // One by the client that the test proves its own set-up with.
    assert_eq!(proxy.heads().len(), 1, "{:?}", proxy.heads());
    assert!(proxy.heads()[0].contains("/proof"));
}

async fn inside() {
    let issuer = Issuer::start().await.unwrap();
    let proof = format!("{}/proof", issuer.url());
    let answer = reqwest::Client::builder().build().unwrap().get(proof).send().await.unwrap();
    assert_eq!(answer.status(), 502);

    let authenticator = builder(&issuer).build().unwrap();
    authenticator.authorization().await.unwrap();
    assert_eq!(issuer.token_requests(), 1);
    assert_eq!(spent(&authenticator).await, 1);
}

#[tokio::test]
async fn plain_http_is_not_sent_through_a_proxy() {
    let (issuer, proxy) = (Issuer::start().await.unwrap(), Peer::with_status("200 OK").await);
    let transport = ReqwestTransport::builder()
        .proxy(reqwest::Proxy::all(proxy.url()).unwrap())
        .build()
        .unwrap();
    let authenticator = builder(&issuer).transport(transport).build().unwrap();
    let failed = authenticator.authorization().await.unwrap_err();
    assert!(failed.is_not_sent(), "{failed}");
    assert_eq!(proxy.connections(), 0);
    assert_eq!(issuer.token_requests(), 0);
}

#[tokio::test]
async fn a_proxy_of_the_configured_client_is_not_used() {
    let (issuer, proxy) = (Issuer::start().await.unwrap(), Peer::with_status("200 OK").await);
    let proxied = reqwest::Proxy::all(proxy.url()).unwrap();
    let transport =
        ReqwestTransport::builder().configure(|client| client.proxy(proxied)).build().unwrap();
    let request = http::Request::post(issuer.token_endpoint()).body(Bytes::new()).unwrap();
    transport.send(request, crate::harness::SHORT * 100).await.unwrap();
    assert_eq!(proxy.connections(), 0);
    assert_eq!(issuer.token_requests(), 1);
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[tokio::test]
async fn a_proxy_that_is_asked_for_gets_a_tunnel_and_no_secret() {
    let proxy = Peer::with_status("403 Forbidden").await;
    let transport = ReqwestTransport::builder()
        .proxy(reqwest::Proxy::all(proxy.url()).unwrap())
        .build()
        .unwrap();
    let endpoint = "https://issuer.example/t";
    let authenticator = crate::harness::lost(endpoint).transport(transport).build().unwrap();
    let failed = authenticator.authorization().await.unwrap_err();
    assert!(failed.is_not_sent(), "{failed}");
    assert_eq!(spent(&authenticator).await, 0);
    assert!(proxy.heads()[0].starts_with("connect issuer.example:443 "), "{:?}", proxy.heads());
}
