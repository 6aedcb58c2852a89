//! Starting, serving many, stopping.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use auth_issuer::{Fault, Issuer, ManualClock};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::http::{Call, Wire, good, shipments, token};

#[tokio::test]
async fn defaults_suit_a_test() {
    let issuer = Issuer::start().await.unwrap();
    assert!(issuer.address().ip().is_loopback());
    assert_eq!(issuer.url(), format!("http://{}", issuer.address()));
    assert_eq!(issuer.token_endpoint(), format!("{}/oauth/token", issuer.url()));
    assert_eq!(issuer.audience(), issuer.url());
    assert!(issuer.client_id().len() >= 16);
    assert!(issuer.client_secret().len() >= 32);
    let other = Issuer::start().await.unwrap();
    assert_ne!(issuer.address(), other.address());
    assert_ne!(issuer.client_id(), other.client_id());
    assert_ne!(issuer.client_secret(), other.client_secret());
}

#[tokio::test]
async fn fifty_issuers_share_one_key_and_no_token() {
    let mut issuers = Vec::new();
    for _ in 0..50 {
        issuers.push(Issuer::start().await.unwrap());
    }
    let good = token(&issuers[0]).await;
    assert_eq!(shipments(&issuers[0], &good).await, 200);
    assert_eq!(shipments(&issuers[49], &good).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_connect_at_once() {
    let issuer = Issuer::start().await.unwrap();
    let call = Call::get("/v2/shipments").bearer(&token(&issuer).await);
    let address = issuer.address();
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(1000));
    let clients: JoinSet<_> = (0..1000)
        .map(|_| {
            let (call, barrier) = (call.clone(), barrier.clone());
            async move {
                let mut wire = Wire::to_address(address).await.unwrap();
                // All of them are connected before the first one asks.
                barrier.wait().await;
                wire.exchange(&call).await.unwrap().status
            }
        })
        .collect();
    assert!(clients.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(issuer.counters().api(200), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_requests_are_a_matter_of_seconds() {
    let issuer = Issuer::start().await.unwrap();
    let call = Call::get("/v2/shipments").bearer(&token(&issuer).await);
    let address = issuer.address();
    let clients: JoinSet<_> = (0..50)
        .map(|_| {
            let call = call.clone();
            async move {
                let mut wire = Wire::to_address(address).await.unwrap();
                for _ in 0..400 {
                    assert_eq!(wire.exchange(&call).await.unwrap().status, 200);
                }
            }
        })
        .collect();
    tokio::time::timeout(Duration::from_secs(60), clients.join_all()).await.unwrap();
    assert_eq!(issuer.counters().api(200), 20_000);
}

#[tokio::test]
async fn http_2_is_spoken_with_prior_knowledge() {
    let issuer = Issuer::start().await.unwrap();
    let token = token(&issuer).await;
    let stream = TcpStream::connect(issuer.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(format!("{}/v2/shipments", issuer.url()))
        .header("authorization", format!("Bearer {token}"))
        .body(String::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), hyper::Version::HTTP_2);
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn answers_are_dated_by_the_issuers_clock() {
    let clock = ManualClock::at(UNIX_EPOCH);
    let issuer = Issuer::builder().clock(clock.clone()).start().await.unwrap();
    clock.advance(Duration::from_secs(86_400));
    let answer = Call::get("/v2/shipments").send(&issuer).await.unwrap();
    assert_eq!(answer.header("date"), Some("Fri, 02 Jan 1970 00:00:00 GMT"));
    issuer.fail_next(1, auth_issuer::Fault::status(500).header("Date", "yesterday"));
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!(answer.header("date"), Some("yesterday"));
}

#[tokio::test]
async fn a_closure_is_a_clock() {
    let now = || UNIX_EPOCH + Duration::from_secs(7);
    let issuer = Issuer::builder().clock(now).start().await.unwrap();
    let answer = Call::get("/").send(&issuer).await.unwrap();
    assert_eq!(
        (answer.status, answer.header("date")),
        (404, Some("Thu, 01 Jan 1970 00:00:07 GMT"))
    );
}

#[tokio::test]
async fn shutdown_closes_the_port_and_the_connections() {
    let issuer = Issuer::start().await.unwrap();
    let address = issuer.address();
    let mut wire = Wire::to(&issuer).await.unwrap();
    wire.exchange(&Call::get("/v2/shipments")).await.unwrap();
    issuer.shutdown().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(wire.exchange(&Call::get("/v2/shipments")).await.is_err());
    // The port can be had again.
    Issuer::builder().bind(address).start().await.unwrap();
}

#[tokio::test]
async fn the_directory_can_be_had_after_a_shutdown_and_a_drop_that_requests_over_http_2_outlive() {
    let scratch = tempfile::tempdir().unwrap();
    let start = || Issuer::builder().directory(scratch.path()).client("app", "secret").start();
    for is_dropped in [false, true] {
        let issuer = start().await.unwrap();
        issuer.fail_next(1, Fault::hang());
        let stream = TcpStream::connect(issuer.address()).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::post(issuer.token_endpoint())
            .header("content-type", "application/json")
            .body(good(&issuer).to_string())
            .unwrap();
        let _held = tokio::spawn(sender.send_request(request));
        issuer.until_token_requests(1).await;
        // The task of the request holds on to all of the issuer's state until the runtime comes to it.
        if is_dropped {
            drop(issuer);
        } else {
            issuer.shutdown().await.unwrap();
        }
        start().await.unwrap().shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn dropping_closes_the_connections() {
    let issuer = Issuer::start().await.unwrap();
    let mut idle = Wire::to(&issuer).await.unwrap();
    idle.exchange(&Call::get("/v2/shipments")).await.unwrap();
    let mut held = Wire::to(&issuer).await.unwrap();
    issuer.fail_next(1, auth_issuer::Fault::hang());
    held.write(&Call::good_token(&issuer)).await.unwrap();
    issuer.until_token_requests(1).await;
    drop(issuer);
    assert!(idle.head().await.is_err());
    assert!(held.head().await.is_err());
}

#[tokio::test]
async fn an_address_that_others_can_reach_must_be_allowed() {
    let everywhere: SocketAddr = ([0, 0, 0, 0], 0).into();
    let error = Issuer::builder().bind(everywhere).start().await.unwrap_err();
    assert!(error.is_not_loopback() && !error.is_bind());
    assert!(error.to_string().contains("0.0.0.0:0"));
    Issuer::builder().bind(everywhere).allow_non_loopback().start().await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let issuer = Issuer::start().await.unwrap();
    let error = Issuer::builder().bind(issuer.address()).start().await.unwrap_err();
    assert!(error.is_bind() && !error.is_not_loopback());
    assert!(error.to_string().contains(&issuer.address().to_string()));
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn debug_omits_the_secrets() {
    let builder = Issuer::builder().client("app", "hush").client("second", "hush too");
    assert!(format!("{builder:?}").contains("app"));
    assert!(!format!("{builder:?}").contains("hush"));
    let issuer = builder.start().await.unwrap();
    assert_eq!(issuer.client_secret(), "hush");
    assert!(format!("{issuer:?}").contains("second"));
    assert!(!format!("{issuer:?}").contains("hush"));
}

#[tokio::test]
async fn a_later_secret_replaces_an_earlier_one_and_an_empty_one_is_random() {
    let issuer = Issuer::builder().client("a", "old").client("a", "new").start().await.unwrap();
    assert_eq!(issuer.client_secret(), "new");
    token(&issuer).await;
    let issuer = Issuer::builder().client_id("a").start().await.unwrap();
    assert!(issuer.client_secret().len() >= 32);
    token(&issuer).await;
}

#[tokio::test]
async fn every_address_that_others_can_reach_must_be_allowed() {
    for others in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0", "10.0.0.1:0"] {
        let error = Issuer::builder().bind(others.parse().unwrap()).start().await.unwrap_err();
        assert!(error.is_not_loopback() && !error.is_bind(), "{others}: {error}");
    }
}

#[tokio::test]
async fn a_token_of_an_earlier_issuer_at_the_same_address_opens_nothing() {
    let issuer = Issuer::builder().client("app", "secret").start().await.unwrap();
    let (stale, address) = (token(&issuer).await, issuer.address());
    issuer.shutdown().await.unwrap();
    let issuer = Issuer::builder().client("app", "secret").bind(address).start().await.unwrap();
    assert_eq!(shipments(&issuer, &stale).await, 401);
}
