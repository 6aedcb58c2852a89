//! What one API that refuses tokens costs, and what it costs the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use auth_core::{Authenticator, ClientCredentials, MemoryStore, Store, TokioClock};
use auth_tower::{AuthLayer, BoxError, ServiceTransport};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::*;

const HEALTHY: &str = "https://healthy.example/x";
const BROKEN: &str = "https://broken.example/x";

/// How the broken API refuses.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    InvalidToken,
    Nothing,
}

/// Two origins of one credential: one takes every token, and the other none as long as it is broken. Both count.
struct Apis {
    broken: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    service: Api,
}

fn apis(says: Says) -> Apis {
    let (broken, calls) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (breaks, counted) = (broken.clone(), calls.clone());
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        counted.fetch_add(1, SeqCst);
        let refuses = request.uri().host() == Some("broken.example") && breaks.load(SeqCst);
        let mut response = status(if refuses { StatusCode::UNAUTHORIZED } else { StatusCode::OK });
        if says == Says::Nothing {
            response.headers_mut().clear();
        }
        async move { Ok::<_, BoxError>(response) }
    });
    Apis { broken, calls, service: BoxCloneSyncService::new(service) }
}

fn two_origins<S>(issuer: S) -> Authenticator
where
    ServiceTransport<S>: auth_core::Transport,
{
    let credentials = ClientCredentials::new("client", "secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("both");
    Authenticator::builder(credentials)
        .origin("https://healthy.example")
        .origin("https://broken.example")
        .store(Store::new(MemoryStore::new()))
        .transport(ServiceTransport::new(issuer))
        .clock(TokioClock::new())
        .build()
        .unwrap()
}

async fn code(
    service: &(
         impl tower::Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = BoxError>
         + Clone
     ),
    uri: &str,
) -> u16 {
    service.clone().oneshot(get(uri)).await.unwrap().status().as_u16()
}

// torture: B11
#[tokio::test(start_paused = true)]
async fn ten_thousand_refused_requests_cost_one_renewal_at_most() {
    for (says, renewals) in [(Says::InvalidToken, 1), (Says::Nothing, 0)] {
        let (issuer, count) = issuer();
        let Apis { service, calls, .. } = apis(says);
        // Clones of a layer share the breaker, and so do layers of one credential.
        let auth = two_origins(issuer);
        let services = [
            AuthLayer::new(auth.clone()).layer(service.clone()),
            AuthLayer::new(auth).layer(service),
        ];
        for number in 0..10_000 {
            assert_eq!(code(&services[number % 2], BROKEN).await, 401);
            // The hour after which another refusal would be worth a unit passes several times.
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(count.load(SeqCst), 1 + renewals);
        assert_eq!(calls.load(SeqCst), 10_000 + renewals, "one of them is sent again");
    }
}

// torture: B11
#[tokio::test(start_paused = true)]
async fn ten_thousand_at_a_time_cost_one_renewal_as_well() {
    let (issuer, count) = issuer();
    let Apis { service, .. } = apis(Says::InvalidToken);
    let service = AuthLayer::new(two_origins(issuer)).layer(service);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        all.spawn(service.clone().oneshot(get(BROKEN)));
    }
    let answers = all.join_all().await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == 401));
    assert_eq!(count.load(SeqCst), 2);
}

// torture: B12
#[tokio::test(start_paused = true)]
async fn one_misconfigured_api_does_not_take_the_healthy_one_down_while_the_issuer_is() {
    for says in [Says::InvalidToken, Says::Nothing] {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let issuer = service_fn(move |_: Request<Full<Bytes>>| {
            let number = counted.fetch_add(1, SeqCst) + 1;
            let down = number > 1;
            async move {
                // Slow to fail, so that whoever waits for it shows.
                tokio::time::sleep(Duration::from_millis(if down { 900 } else { 1 })).await;
                let answer = if down { status(StatusCode::SERVICE_UNAVAILABLE) } else { token(1) };
                Ok::<_, BoxError>(answer)
            }
        });
        let service = AuthLayer::new(two_origins(issuer)).layer(apis(says).service);
        assert_eq!(code(&service, HEALTHY).await, 200);
        for _ in 0..500 {
            let refused = tokio::spawn(service.clone().oneshot(get(BROKEN)));
            tokio::task::yield_now().await;
            let before = tokio::time::Instant::now();
            assert_eq!(code(&service, HEALTHY).await, 200);
            assert_eq!(before.elapsed(), Duration::ZERO, "a healthy request waits for nothing");
            assert_eq!(refused.await.unwrap().unwrap().status(), 401);
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        // 83 minutes: the attempt because of the refusal, and one an hour later.
        assert!(requests.load(SeqCst) <= 3, "{}", requests.load(SeqCst));
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_closes_by_the_first_success_with_the_token_at_hand() {
    let (issuer, count) = issuer();
    let Apis { service, broken, calls } = apis(Says::InvalidToken);
    let service = AuthLayer::new(two_origins(issuer)).layer(service);
    for _ in 0..100 {
        assert_eq!(code(&service, BROKEN).await, 401);
        assert_eq!(code(&service, HEALTHY).await, 200);
    }
    assert_eq!((count.load(SeqCst), calls.load(SeqCst)), (2, 201));
    broken.store(false, SeqCst);
    assert_eq!(code(&service, BROKEN).await, 200);
    broken.store(true, SeqCst);
    // An hour after the renewal a refusal is worth another one.
    tokio::time::advance(Duration::from_secs(3601)).await;
    assert_eq!(code(&service, BROKEN).await, 401);
    assert_eq!((count.load(SeqCst), calls.load(SeqCst)), (3, 204), "sent again with a new token");
    assert_eq!(code(&service, BROKEN).await, 401);
    assert_eq!((count.load(SeqCst), calls.load(SeqCst)), (3, 205), "open again");
}

/// Within the hour after a renewal that a refusal caused, the next refusal has none.
#[tokio::test(start_paused = true)]
async fn a_token_from_a_refusal_is_not_replaced_for_an_hour_whichever_api_refuses_it() {
    let (issuer, count) = issuer();
    let Apis { service, .. } = apis(Says::InvalidToken);
    let strict = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, BoxError>(status(StatusCode::UNAUTHORIZED))
    });
    let auth = two_origins(issuer);
    let refuses_all = AuthLayer::new(auth.clone()).layer(strict);
    let service = AuthLayer::new(auth).layer(service);
    assert_eq!(code(&service, BROKEN).await, 401);
    assert_eq!(count.load(SeqCst), 2);
    for _ in 0..59 {
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(code(&refuses_all, HEALTHY).await, 401);
        assert_eq!(count.load(SeqCst), 2);
    }
    tokio::time::advance(Duration::from_secs(120)).await;
    assert_eq!(code(&refuses_all, HEALTHY).await, 401);
    assert_eq!(count.load(SeqCst), 3);
}
