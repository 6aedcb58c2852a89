//! What one request wants otherwise.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::{CredentialUsed, RequestOptions};
use auth_tower::{AuthLayer, Auto, BoxError, Idempotent, Never};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::*;

fn with(options: RequestOptions) -> Request<Full<Bytes>> {
    let mut request = get(API);
    request.extensions_mut().insert(options);
    request
}

/// An API that refuses the first token, and says what it was sent.
fn picky() -> (Api, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let header = request.headers().get("authorization");
        let sent = header.map_or("", |header| header.to_str().unwrap()).to_owned();
        let kept = kept.clone();
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            kept.lock().unwrap().push(format!("{sent} {}", String::from_utf8_lossy(&body)));
            let refused = sent.ends_with("token-1");
            Ok(status(if refused { StatusCode::UNAUTHORIZED } else { StatusCode::OK }))
        }
    });
    (BoxCloneSyncService::new(service), seen)
}

#[tokio::test(start_paused = true)]
async fn a_request_that_skips_carries_nothing_and_costs_nothing() {
    let (auth, count) = scripted();
    let (api, seen) = picky();
    let service = AuthLayer::new(auth).layer(api);
    service.oneshot(with(RequestOptions::new().skip())).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [" "]);
    assert_eq!(count.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_header_of_its_own_stays_with_options_as_well() {
    let (auth, count) = scripted();
    let (api, seen) = picky();
    let mut request = with(RequestOptions::new().report());
    request.headers_mut().insert("authorization", "Basic b3du".parse().unwrap());
    let response = AuthLayer::new(auth).layer(api).oneshot(request).await.unwrap();
    assert!(response.extensions().get::<CredentialUsed>().is_none());
    assert_eq!((&**seen.lock().unwrap(), count.load(SeqCst)), (&["Basic b3du ".to_owned()][..], 0));
}

#[tokio::test(start_paused = true)]
async fn a_401_of_http_is_replayed_where_grpcs_status_counts_too() {
    let (auth, _) = scripted();
    let (api, seen) = picky();
    let service = AuthLayer::new(auth).grpc_status(true).layer(api);
    assert_eq!(service.oneshot(get(API)).await.unwrap().status(), 200);
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_replay_has_the_version_and_the_extensions_of_the_request() {
    let (auth, _) = scripted();
    let api = service_fn(|request: Request<Full<Bytes>>| async move {
        assert_eq!(request.version(), http::Version::HTTP_2);
        assert_eq!(request.extensions().get::<&str>(), Some(&"kept"));
        let refused = request.headers()["authorization"] == "Bearer token-1";
        Ok::<_, BoxError>(status(if refused { StatusCode::UNAUTHORIZED } else { StatusCode::OK }))
    });
    let mut request = get(API);
    *request.version_mut() = http::Version::HTTP_2;
    request.extensions_mut().insert("kept");
    let response = AuthLayer::new(auth).layer(api).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_request_can_forbid_its_replay_or_bring_a_body_for_it() {
    let (auth, _) = scripted();
    let (api, seen) = picky();
    let service = AuthLayer::new(auth).replay(Never).layer(api);
    let never = service.clone().oneshot(with(RequestOptions::new())).await.unwrap();
    assert_eq!(never.status(), 401);

    let (auth, _) = scripted();
    let (api, seen_brought) = picky();
    let service = AuthLayer::new(auth).replay(Never).layer(api);
    let brings = RequestOptions::new().replay_with(|| Full::<Bytes>::from("again"));
    assert_eq!(service.oneshot(with(brings)).await.unwrap().status(), 200);
    assert_eq!(*seen_brought.lock().unwrap(), ["Bearer token-1 ", "Bearer token-2 again"]);

    let (auth, _) = scripted();
    let (api, seen_forbidden) = picky();
    let service = AuthLayer::new(auth).layer(api);
    let forbids = RequestOptions::new().never_replay();
    assert_eq!(service.oneshot(with(forbids)).await.unwrap().status(), 401);
    assert_eq!((seen.lock().unwrap().len(), seen_forbidden.lock().unwrap().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_policy_can_leave_out_the_methods_that_are_not_idempotent() {
    for (method, expected) in
        [("GET", 200), ("PUT", 200), ("DELETE", 200), ("POST", 401), ("PATCH", 401)]
    {
        let (auth, _) = scripted();
        let (api, _) = picky();
        let service = AuthLayer::new(auth).replay(Idempotent(Auto)).layer(api);
        let mut request = get(API);
        *request.method_mut() = method.parse().unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), expected, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_apis_own_429_passes_through_and_costs_nothing() {
    let (auth, count) = scripted();
    let api = service_fn(|_: Request<Full<Bytes>>| async {
        let mut response = status(StatusCode::TOO_MANY_REQUESTS);
        response.headers_mut().insert("retry-after", "3600".parse().unwrap());
        Ok::<_, BoxError>(response)
    });
    let service = AuthLayer::new(auth.clone()).layer(api);
    for _ in 0..100 {
        let response = service.clone().oneshot(get(API)).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"] == "3600"),
            (429, true)
        );
    }
    assert_eq!(count.load(SeqCst), 1);
    assert!(auth.status().await.held_until.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_response_says_what_it_was_asked_with_where_that_is_wanted() {
    let (auth, _) = scripted();
    let (api, _) = picky();
    let service = AuthLayer::new(auth).layer(api);
    let response = service.clone().oneshot(with(RequestOptions::new().report())).await.unwrap();
    let used = response.extensions().get::<CredentialUsed>().unwrap();
    // The one of the second attempt.
    assert_eq!((&*used.credential, used.generation.get()), ("client", 2));
    for quiet in [get(API), with(RequestOptions::new())] {
        let response = service.clone().oneshot(quiet).await.unwrap();
        assert!(response.extensions().get::<CredentialUsed>().is_none());
    }
    // A 401 that comes back says it as well.
    let (auth, _) = scripted();
    let (api, _) = picky();
    let forbids = RequestOptions::new().never_replay().report();
    let response = AuthLayer::new(auth).layer(api).oneshot(with(forbids)).await.unwrap();
    assert_eq!(response.extensions().get::<CredentialUsed>().unwrap().generation.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_no_longer_than_it_wants_and_the_token_request_goes_on() {
    let (auth, count) = scripted();
    let (api, seen) = picky();
    let service = AuthLayer::new(auth.clone()).layer(api);
    let patience = RequestOptions::new().wait_at_most(Duration::from_millis(4));
    let error = service.clone().oneshot(with(patience.clone())).await.unwrap_err();
    let error = auth_tower::error(&*error).unwrap();
    assert!(error.is_wait_over() && error.is_transient(), "{error}");
    assert!(error.to_string().contains("4ms"), "{error}");
    assert!(seen.lock().unwrap().is_empty());
    auth.authorization().await.unwrap();
    assert_eq!(count.load(SeqCst), 1);
    // With a token there is nothing to wait for; and after a 401 the 401 comes back.
    assert_eq!(service.oneshot(with(patience)).await.unwrap().status(), 401);
    auth.authorization().await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(count.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_can_ask_for_the_credential_of_its_tenant() {
    let tenants = [scripted(), scripted()];
    let (default, count) = scripted();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let api = service_fn(move |request: Request<Full<Bytes>>| {
        assert_eq!(request.headers()["authorization"], "Bearer token-1");
        counted.fetch_add(1, SeqCst);
        async { Ok::<_, BoxError>(status(StatusCode::OK)) }
    });
    let service = AuthLayer::new(default).layer(api);
    for (tenant, count) in &tenants {
        let options = RequestOptions::new().credential(tenant.clone()).report();
        for _ in 0..10 {
            service.clone().oneshot(with(options.clone())).await.unwrap();
        }
        assert_eq!(count.load(SeqCst), 1);
    }
    assert_eq!((calls.load(SeqCst), count.load(SeqCst)), (20, 0));
}

/// A service that says `UNAUTHENTICATED` to the first token, as gRPC does: with 200.
fn grpc() -> (Api, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        counted.fetch_add(1, SeqCst);
        let refused = request.headers()["authorization"] == "Bearer token-1";
        let fine = request.headers().contains_key("x-fine");
        let mut response = status(StatusCode::OK);
        let status = if refused && !fine { "16" } else { "0" };
        response.headers_mut().insert("grpc-status", status.parse().unwrap());
        async { Ok(response) }
    });
    (BoxCloneSyncService::new(service), calls)
}

#[tokio::test(start_paused = true)]
async fn grpcs_unauthenticated_counts_where_it_is_to_and_is_replayed_with_a_copy_alone() {
    for (counts, brings, expected) in
        [(false, true, ("16", 2, 1)), (true, false, ("16", 2, 2)), (true, true, ("0", 3, 2))]
    {
        let (auth, count) = scripted();
        let (service, calls) = grpc();
        let service = AuthLayer::new(auth).grpc_status(counts).layer(service);
        // A token that has worked before.
        let mut fine = get(API);
        fine.headers_mut().insert("x-fine", "yes".parse().unwrap());
        service.clone().oneshot(fine).await.unwrap();
        let options = RequestOptions::new();
        let options = if brings { options.replay_with(Full::<Bytes>::default) } else { options };
        let response = service.oneshot(with(options)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let status = response.headers()["grpc-status"].to_str().unwrap();
        assert_eq!((status, calls.load(SeqCst), count.load(SeqCst)), expected);
    }
}
