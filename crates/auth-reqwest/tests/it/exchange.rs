//! Exchanges with the issuer that go wrong: what each is called, and what it costs.

use std::time::Duration;

use auth_core::{Error, LONGEST_ANSWER, Transport};
use auth_issuer::{Fault, Issuer};
use auth_reqwest::ReqwestTransport;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::harness::{SHORT, builder, lost, spent};

/// Lets `fault` befall one token request. It must cost a unit and leave no token behind; its error is given back.
async fn costs_a_unit(fault: Fault, deadline: Duration) -> Error {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_all(fault);
    let authenticator = builder(&issuer).deadline(deadline).build().unwrap();
    let failed = authenticator.authorization().await.unwrap_err();
    assert!(!failed.is_not_sent(), "{failed}");
    assert_eq!(spent(&authenticator).await, 1, "{failed}");
    assert!(authenticator.try_authorization().is_none(), "{failed}");
    assert!(authenticator.status().await.token.is_none(), "{failed}");
    assert!(issuer.token_requests() <= 1, "{failed}");
    failed
}

const LONG: Duration = Duration::from_secs(50);

// torture: D34
#[tokio::test]
async fn a_truncated_answer_costs_a_unit() {
    let failed = costs_a_unit(Fault::truncate(), LONG).await;
    assert!(failed.is_transient() && !failed.is_timeout(), "{failed}");
}

// torture: D34
#[tokio::test]
async fn a_dropped_connection_costs_a_unit_and_is_not_retried() {
    let failed = costs_a_unit(Fault::drop_connection(), LONG).await;
    assert!(failed.is_transient() && !failed.is_timeout(), "{failed}");
}

// torture: A10
#[tokio::test]
async fn an_answer_that_hangs_ends_with_the_deadline() {
    assert!(costs_a_unit(Fault::hang(), SHORT).await.is_timeout());
    assert!(costs_a_unit(Fault::hang_after_headers(), SHORT).await.is_timeout());
}

// torture: A10
#[tokio::test]
async fn an_answer_that_trickles_ends_with_the_deadline() {
    assert!(costs_a_unit(Fault::trickle(Duration::from_millis(20)), SHORT).await.is_timeout());
}

#[tokio::test]
async fn the_transport_keeps_the_deadline_by_itself() {
    let issuer = Issuer::start().await.unwrap();
    for fault in [Fault::hang(), Fault::hang_after_headers()] {
        issuer.fail_next(1, fault);
        let request = http::Request::post(issuer.token_endpoint()).body(Bytes::new()).unwrap();
        let transport = ReqwestTransport::new().unwrap();
        let exchange = tokio::time::timeout(LONG, transport.send(request, SHORT));
        let failed = exchange.await.unwrap().unwrap_err();
        assert!(failed.is_timeout(), "{failed:?}");
    }
}

// torture: D35
#[tokio::test]
async fn a_huge_answer_costs_a_unit() {
    let mut huge = br#"{"access_token":"huge","token_type":"bearer","expires_in":60}"#.to_vec();
    huge.resize(LONGEST_ANSWER + 1, b' ');
    let failed = costs_a_unit(Fault::body(200, "application/json", huge), LONG).await;
    assert!(failed.is_malformed_answer(), "{failed}");
}

// torture: D35
#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let fault = Fault::body(200, "application/json", "{}").header("content-encoding", "gzip");
    assert!(costs_a_unit(fault, LONG).await.is_malformed_answer());
}

#[tokio::test]
async fn the_longest_answer_is_read_whole() {
    let issuer = Issuer::start().await.unwrap();
    let body = "x".repeat(LONGEST_ANSWER);
    issuer.fail_all(Fault::body(418, "text/plain", body.clone()).header("x-said", "so"));
    let request = http::Request::post(issuer.token_endpoint()).body(Bytes::new()).unwrap();
    let transport = ReqwestTransport::new().unwrap();
    let answer = transport.send(request, LONG).await.unwrap();
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.headers()["x-said"], "so");
    assert_eq!(answer.into_body(), body);
}

// torture: D35
#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        // Until the client closes the connection.
        while stream.write_all(&[b' '; 4096]).await.is_ok() {}
    });
    let authenticator = lost(&url).build().unwrap();
    let failed = authenticator.authorization().await.unwrap_err();
    assert!(failed.is_malformed_answer(), "{failed}");
    assert_eq!(spent(&authenticator).await, 1);
    server.await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_costs_nothing() {
    // Bound and not listening: nobody else can get the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let authenticator = lost(&url).build().unwrap();
    let failed = authenticator.authorization().await.unwrap_err();
    assert!(failed.is_not_sent() && failed.is_transient(), "{failed}");
    assert_eq!(spent(&authenticator).await, 0);
}

/// Knows no names.
struct Ignorant;

impl reqwest::dns::Resolve for Ignorant {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async { Err("no such name".into()) })
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_costs_nothing() {
    let transport = ReqwestTransport::builder()
        .configure(|client| client.dns_resolver(Ignorant))
        .build()
        .unwrap();
    let authenticator = lost("http://localhost/t").transport(transport).build().unwrap();
    let failed = authenticator.authorization().await.unwrap_err();
    assert!(failed.is_not_sent(), "{failed}");
    assert!(crate::harness::shown(&failed).contains("no such name"), "{failed:?}");
    assert_eq!(spent(&authenticator).await, 0);
}

#[tokio::test]
async fn each_exchange_has_a_connection_of_its_own() {
    let peer = crate::peer::Peer::start(|_| {
        "HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n".to_owned()
    })
    .await;
    let transport = ReqwestTransport::builder()
        .configure(|client| client.pool_max_idle_per_host(8))
        .build()
        .unwrap();
    for _ in 0..3 {
        let request = http::Request::post(peer.url()).body(Bytes::new()).unwrap();
        transport.send(request, LONG).await.unwrap();
    }
    assert_eq!(peer.connections(), 3);
}

// torture: E41
#[tokio::test]
async fn plain_http_goes_to_loopback_only() {
    // Refused before anything is built, and again before anything is sent.
    for endpoint in ["http://issuer.example/t", "http://10.0.0.1/t"] {
        assert_eq!(lost(endpoint).build().unwrap_err().field(), "token_endpoint");
        let request = http::Request::post(endpoint).body(Bytes::new()).unwrap();
        let failed = ReqwestTransport::new().unwrap().send(request, LONG).await.unwrap_err();
        assert!(failed.is_not_sent(), "{failed}");
    }
    let loopback = lost("http://127.0.0.1:1/t").insecure_loopback(false).build().unwrap_err();
    assert!(loopback.to_string().contains("insecure_loopback"), "{loopback}");
}

#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
#[tokio::test]
async fn https_without_tls_says_which_feature_is_missing() {
    let peer = crate::peer::Peer::with_status("200 OK").await;
    let url = peer.url().replace("http://", "https://");
    let authenticator = lost(&url).build().unwrap();
    let failed = authenticator.authorization().await.unwrap_err();
    assert!(failed.is_not_sent(), "{failed}");
    assert_eq!(spent(&authenticator).await, 0);
    // Another crate of the build may have turned TLS on.
    if peer.connections() == 0 {
        let shown = crate::harness::shown(&failed);
        assert!(shown.contains("enable the feature `rustls`"), "{shown}");
    }
}
