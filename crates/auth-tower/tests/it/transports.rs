//! The ready-made transports against an issuer that misbehaves, over real sockets.

use std::time::Duration;

use auth_core::Transport;
use auth_issuer::{Fault, Issuer};
use auth_tower::{BoxError, HyperTransport, ServiceTransport};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::service_fn;

use crate::support::*;

type Check = fn(&auth_core::Error) -> bool;

/// One token request over each transport, with an issuer that plays `fault`.
async fn meets(fault: Fault, check: Check) {
    meets_within(Duration::from_secs(10), fault, check).await;
}

async fn meets_within(deadline: Duration, fault: Fault, check: Check) {
    for ready_made in [true, false] {
        let issuer = Issuer::start().await.unwrap();
        issuer.fail_next(1, fault.clone());
        let builder = against(&issuer).deadline(deadline);
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let auth =
            if ready_made { builder } else { builder.transport(ServiceTransport::new(client)) }
                .build()
                .unwrap();
        let error = auth.authorization().await.unwrap_err();
        assert!(check(&error), "{fault:?}: {error:?}");
        assert!(auth.try_authorization().is_none());
        assert!(issuer.token_requests() <= 1, "{fault:?}: it is not sent again");
        assert_eq!(auth.status().await.windows[0].spent, 1, "{fault:?}");
    }
}

// torture: A10
#[tokio::test]
async fn an_issuer_that_hangs_or_trickles_is_cut_off_at_the_deadline() {
    let short = Duration::from_millis(300);
    meets_within(short, Fault::hang(), |error| error.is_timeout()).await;
    meets_within(short, Fault::hang_after_headers(), |error| error.is_timeout()).await;
    meets_within(short, Fault::trickle(Duration::from_millis(100)), |error| error.is_timeout())
        .await;
}

// torture: D34
#[tokio::test]
async fn a_broken_answer_is_an_error_and_its_unit_is_counted() {
    use std::error::Error as _;
    meets(Fault::drop_connection(), |error| error.is_transient() && error.source().is_some()).await;
    meets(Fault::truncate(), |error| error.is_transient() && error.source().is_some()).await;
}

// torture: D35
#[tokio::test]
async fn a_huge_body_is_not_read_to_its_end() {
    let huge = Fault::body(200, "application/json", vec![b' '; 8 << 20]);
    meets(huge, |error| error.is_malformed_answer()).await;
}

// torture: D33
#[tokio::test]
async fn junk_is_a_typed_error() {
    meets(Fault::body(200, "text/html", "<html>"), |error| error.is_malformed_answer()).await;
    meets(Fault::oauth_error(200, "invalid_scope"), |error| error.is_rejected()).await;
    meets(Fault::status(503), |error| error.is_transient()).await;
}

// torture: E38
#[tokio::test]
async fn a_redirect_is_an_error_and_the_secret_is_not_sent_again() {
    let elsewhere = Issuer::start().await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        meets(Fault::redirect(status, elsewhere.token_endpoint()), |error| {
            error.to_string().contains("redirect")
        })
        .await;
        meets(Fault::redirect(status, "/oauth/token"), |error| error.is_malformed_answer()).await;
    }
    assert_eq!(elsewhere.token_requests(), 0);
}

#[tokio::test]
async fn a_refused_connection_costs_nothing() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let request =
        Request::post(format!("http://{address}/oauth/token")).body(Bytes::new()).unwrap();
    let error = HyperTransport::plain().send(request, Duration::from_secs(5)).await.unwrap_err();
    assert!(error.is_not_sent(), "{error:?}");
}

#[tokio::test]
async fn a_service_that_never_gets_ready_costs_nothing_and_one_that_fails_does() {
    #[derive(Clone)]
    struct Unready;
    impl tower::Service<Request<Full<Bytes>>> for Unready {
        type Response = Response<Full<Bytes>>;
        type Error = BoxError;
        type Future = std::future::Pending<Result<Self::Response, BoxError>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), BoxError>> {
            std::task::Poll::Ready(Err("closed".into()))
        }

        fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
            unreachable!("it is never ready")
        }
    }

    let request = || Request::post("https://issuer.example/").body(Bytes::new()).unwrap();
    let unready =
        ServiceTransport::new(Unready).send(request(), Duration::from_secs(1)).await.unwrap_err();
    assert!(unready.is_not_sent());
    let fails = service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, BoxError>("reset".into())
    });
    let failed =
        ServiceTransport::new(fails).send(request(), Duration::from_secs(1)).await.unwrap_err();
    assert!(!failed.is_not_sent());
}

// torture: D35
#[tokio::test]
async fn an_endless_body_is_cut_off_at_64_kib() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut written = 0_usize;
        while stream.write_all(&[b' '; 65_536]).await.is_ok() && written < 1 << 30 {
            written += 65_536;
        }
        written
    });
    let request =
        Request::post(format!("http://{address}/oauth/token")).body(Bytes::new()).unwrap();
    let error = HyperTransport::plain().send(request, Duration::from_secs(10)).await.unwrap_err();
    assert!(error.is_body_too_long(), "{error:?}");
    let written = server.await.unwrap();
    assert!(
        written < 64 << 20,
        "{written} bytes: what the kernel's buffers hold, and not the whole GiB"
    );
}
