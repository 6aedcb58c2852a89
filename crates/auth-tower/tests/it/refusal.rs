//! What refusals cost, and which requests are sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use auth_core::RequestOptions;
use auth_tower::{AuthLayer, BoxError, Never, Replay};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Channel, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::*;

// torture: B13
#[tokio::test(start_paused = true)]
async fn a_403_never_costs_a_token_request() {
    let (auth, count) = scripted();
    let api = service_fn(|_: Request<Full<Bytes>>| async {
        let mut response = status(StatusCode::FORBIDDEN);
        let challenge = r#"Bearer error="insufficient_scope", scope="bookings""#;
        response.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
        Ok::<_, BoxError>(response)
    });
    let mut service = AuthLayer::new(auth).layer(api);
    for _ in 0..1000 {
        let response = service.ready().await.unwrap().call(get(API)).await.unwrap();
        assert_eq!(response.status(), 403);
        assert!(response.headers().contains_key("www-authenticate"));
    }
    assert_eq!(count.load(SeqCst), 1);
}

// torture: B11
#[tokio::test(start_paused = true)]
async fn an_api_that_refuses_everything_costs_one_renewal() {
    let (auth, count) = scripted();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let api = service_fn(move |_: Request<Full<Bytes>>| {
        counted.fetch_add(1, SeqCst);
        async { Ok::<_, BoxError>(status(StatusCode::UNAUTHORIZED)) }
    });
    let service = AuthLayer::new(auth).layer(api);
    for _ in 0..1000 {
        assert_eq!(service.clone().oneshot(get(API)).await.unwrap().status(), 401);
    }
    assert_eq!(count.load(SeqCst), 2);
    assert_eq!(calls.load(SeqCst), 1001, "one request was sent again");
}

/// Sends one request with `body` to an API that refuses the first token; what the API saw, and what came back.
async fn refused_once<B, R>(
    body: B,
    replay: R,
    prepare: impl FnOnce(&mut Request<B>),
) -> (Vec<String>, StatusCode)
where
    B: http_body::Body + Send + 'static,
    B::Error: std::fmt::Debug,
    R: Replay<B> + Clone,
{
    let (auth, count) = scripted();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let saw = seen.clone();
    let api = service_fn(move |request: Request<B>| {
        let saw = saw.clone();
        async move {
            let token = request.headers()["authorization"].to_str().unwrap().to_owned();
            let custom = request.headers()["x-custom"].to_str().unwrap().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let refused = token == "Bearer token-1";
            saw.lock()
                .unwrap()
                .push(format!("{token} {custom} {}", String::from_utf8_lossy(&body)));
            let code = if refused { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            Ok::<_, BoxError>(status(code))
        }
    });
    let service = AuthLayer::new(auth.clone()).replay(replay).layer(api);
    let mut request = Request::post(API).header("x-custom", "kept").body(body).unwrap();
    prepare(&mut request);
    let code = service.oneshot(request).await.unwrap().status();

    // Replayed or not: the next request has the new token, once the renewal has settled.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(auth.authorization().await.unwrap().header(), "Bearer token-2");
    assert_eq!(count.load(SeqCst), 2);
    (seen.lock().unwrap().clone(), code)
}

// torture: B18
#[tokio::test(start_paused = true)]
async fn a_body_that_can_be_copied_is_sent_again_with_the_new_token() {
    let (seen, code) =
        refused_once(Full::<Bytes>::from("document"), auth_tower::Auto, |_| {}).await;
    assert_eq!(seen, ["Bearer token-1 kept document", "Bearer token-2 kept document"]);
    assert_eq!(code, 200);
}

// torture: B19
#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_copied_gets_the_apis_own_401() {
    let streamed = || {
        let (mut sender, body) = Channel::<Bytes>::new(4);
        sender.try_send(http_body::Frame::data(Bytes::from("streamed"))).unwrap();
        body
    };
    let (seen, code) = refused_once(streamed(), auth_tower::Auto, |_| {}).await;
    assert_eq!(seen, ["Bearer token-1 kept streamed"]);
    assert_eq!(code, 401);

    let (seen, code) = refused_once(Full::<Bytes>::from("document"), Never, |_| {}).await;
    assert_eq!(seen, ["Bearer token-1 kept document"]);
    assert_eq!(code, 401);

    // Unless the call supplies a copy.
    let (seen, code) = refused_once(streamed(), auth_tower::Auto, |request| {
        request.extensions_mut().insert(RequestOptions::new().replay_with(streamed));
    })
    .await;
    assert_eq!(seen.len(), 2);
    assert_eq!(code, 200);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_fails_gives_the_apis_own_401_back_and_the_token_is_served_on() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let issuer = service_fn(move |_: Request<Full<Bytes>>| {
        let number = counted.fetch_add(1, SeqCst) + 1;
        let answer = if number == 1 { token(1) } else { status(StatusCode::SERVICE_UNAVAILABLE) };
        async move { Ok::<_, BoxError>(answer) }
    });
    let api = service_fn(|request: Request<Full<Bytes>>| async move {
        let picky = request.uri().path() == "/picky";
        let mut response = status(if picky { StatusCode::UNAUTHORIZED } else { StatusCode::OK });
        *response.body_mut() = Full::from(if picky { "the API's own words" } else { "fine" });
        Ok::<_, BoxError>(response)
    });
    let service = AuthLayer::new(over(issuer)).layer(api);
    for _ in 0..100 {
        let refused = service.clone().oneshot(get("https://api.example/picky")).await.unwrap();
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.into_body().collect().await.unwrap().to_bytes(), "the API's own words");
        let served: Response<_> = service.clone().oneshot(get(API)).await.unwrap();
        assert_eq!(served.status(), 200);
    }
    assert_eq!(requests.load(SeqCst), 2);
}
