//! What the order of layers costs, in tokio's own time: the figures of docs/stacks.md.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::Authenticator;
use auth_tower::{AuthLayer, BoxError};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::orders::Stubborn;
use crate::support::*;

const FOREIGN: &str = "https://partner.example/x";
/// Takes 5 ms, and no token.
const SLOW: &str = "https://partner.example/slow";
const MS: Duration = Duration::from_millis(1);

type Stack = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

/// When each request arrived, and with which token.
type Seen = Arc<Mutex<Vec<(Duration, String)>>>;

/// An API that takes 1 ms for an answer, and refuses the tokens that `refuses` says.
fn api(refuses: fn(&str) -> bool) -> (Stack, Seen) {
    let (seen, began) = (Seen::default(), Instant::now());
    let kept = seen.clone();
    let api = service_fn(move |request: Request<Full<Bytes>>| {
        let sent = request.headers().get("authorization");
        let sent = sent.map_or("nothing", |value| value.to_str().unwrap()).to_owned();
        let code = if refuses(&sent) { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        kept.lock().unwrap().push((began.elapsed(), sent));
        let time = if request.uri().path() == "/slow" { 5 * MS } else { MS };
        async move {
            tokio::time::sleep(time).await;
            Ok::<_, BoxError>(status(code))
        }
    });
    (BoxCloneSyncService::new(api), seen)
}

fn boxed<S>(stack: S) -> Stack
where
    S: Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = BoxError>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    BoxCloneSyncService::new(stack)
}

fn tokens(seen: &Seen) -> Vec<String> {
    seen.lock().unwrap().iter().map(|(_, token)| token.clone()).collect()
}

/// The statuses of `number` requests at once; `None` for one that was shed.
async fn at_once(stack: &Stack, number: usize) -> Vec<Option<u16>> {
    let mut calls = JoinSet::new();
    for _ in 0..number {
        let call = stack.clone().oneshot(get(API));
        calls.spawn(async {
            match call.await {
                Ok(response) => Some(response.status().as_u16()),
                Err(error) if error.is::<Overloaded>() => None,
                Err(error) => panic!("{error}"),
            }
        });
    }
    calls.join_all().await
}

#[tokio::test(start_paused = true)]
async fn a_limit_outside_is_held_while_a_token_is_awaited_and_one_inside_is_not() {
    type Order = fn(AuthLayer, Stack) -> Stack;
    let orders: [(Order, Duration); 2] = [
        (
            |auth, api| boxed(ServiceBuilder::new().concurrency_limit(1).layer(auth).service(api)),
            12 * MS,
        ),
        (
            |auth, api| boxed(ServiceBuilder::new().layer(auth).concurrency_limit(1).service(api)),
            MS,
        ),
    ];
    for (order, expected) in orders {
        let (auth, _) = scripted();
        let stack = order(AuthLayer::new(auth), api(|_| false).0);
        let began = Instant::now();
        let first = tokio::spawn(stack.clone().oneshot(get(API)));
        tokio::task::yield_now().await;
        // Needs no token.
        stack.oneshot(get(FOREIGN)).await.unwrap();
        assert_eq!(began.elapsed(), expected);
        assert_eq!(first.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_one_outside_that_the_issuer_shares_holds_both_until_the_deadline() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let (issuer, count) = issuer();
    let auth = over(ServiceBuilder::new().layer(limit.clone()).service(issuer));
    let layers = ServiceBuilder::new().layer(limit).layer(AuthLayer::new(auth.clone()));
    let stack = layers.service(api(|_| false).0);
    let began = Instant::now();
    let error = stack.oneshot(get(API)).await.unwrap_err();
    assert!(auth_tower::error(&*error).unwrap().is_transient(), "{error}");
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    // Nothing was sent; but the ledger cannot know, and the unit is gone.
    assert_eq!((count.load(SeqCst), auth.status().await.windows[0].spent), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_ends_the_wait_for_a_token_and_one_inside_does_not() {
    let (auth, count) = scripted();
    let layers = ServiceBuilder::new().timeout(5 * MS).layer(AuthLayer::new(auth));
    let stack = layers.service(api(|_| false).0);
    let began = Instant::now();
    let error = stack.clone().oneshot(get(API)).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(began.elapsed(), 5 * MS);
    // The token request went on without the request that it was made for.
    tokio::time::advance(5 * MS).await;
    assert_eq!(stack.oneshot(get(API)).await.unwrap().status(), 200);
    assert_eq!(count.load(SeqCst), 1);

    let (auth, count) = scripted();
    let layers = ServiceBuilder::new().layer(AuthLayer::new(auth)).timeout(5 * MS);
    let stack = layers.service(api(|_| false).0);
    let began = Instant::now();
    assert_eq!(stack.oneshot(get(API)).await.unwrap().status(), 200);
    assert_eq!((began.elapsed(), count.load(SeqCst)), (11 * MS, 1));
}

fn shedding(outside: bool, auth: Authenticator, api: Stack) -> Stack {
    let (auth, layers) = (AuthLayer::new(auth), ServiceBuilder::new());
    if outside {
        boxed(layers.load_shed().layer(auth).concurrency_limit(1).service(api))
    } else {
        boxed(layers.layer(auth).load_shed().concurrency_limit(1).service(api))
    }
}

#[tokio::test(start_paused = true)]
async fn load_shed_outside_lets_all_in_that_wait_for_a_token() {
    for (outside, shed_when_cold) in [(true, 0), (false, 3)] {
        let stack = shedding(outside, scripted().0, api(|_| false).0);
        for shed in [shed_when_cold, 3] {
            let answers = at_once(&stack, 4).await;
            assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), shed, "{outside}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn load_shed_inside_sheds_the_second_attempt_of_a_request_and_with_it_the_401() {
    for (outside, answer) in [(true, Some(200)), (false, None)] {
        let stack = shedding(outside, scripted().0, api(|sent| sent == "Bearer token-1").0);
        let other = stack.clone();
        tokio::spawn(async move {
            // From 18 ms to 23 ms; the second attempt is due at 21 ms.
            tokio::time::sleep(18 * MS).await;
            other.oneshot(get(SLOW)).await
        });
        assert_eq!(at_once(&stack, 1).await, [answer], "{outside}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_outside_is_used_up_before_the_token_is_there_and_counts_no_second_attempt() {
    for outside in [true, false] {
        let (auth, _) = scripted();
        let (api, seen) = api(|sent| sent == "Bearer token-1");
        let auth = AuthLayer::new(auth);
        let stack = if outside {
            boxed(ServiceBuilder::new().buffer(8).rate_limit(1, MS).layer(auth).service(api))
        } else {
            boxed(ServiceBuilder::new().layer(auth).buffer(8).rate_limit(1, MS).service(api))
        };
        at_once(&stack, 3).await;
        let arrivals: Vec<_> = seen.lock().unwrap().iter().map(|(at, _)| at.as_millis()).collect();
        let expected = if outside { [10, 10, 10, 21, 21, 21] } else { [10, 11, 12, 21, 22, 23] };
        assert_eq!(arrivals, expected);
    }
}

/// Between two attempts another request has the token renewed.
#[derive(Clone)]
struct Renews(Authenticator, usize);

impl tower::retry::Policy<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError> for Renews {
    type Future = std::pin::Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

    fn retry(
        &mut self,
        _: &mut Request<Full<Bytes>>,
        _: &mut Result<Response<Full<Bytes>>, BoxError>,
    ) -> Option<Self::Future> {
        self.1 = self.1.checked_sub(1)?;
        let auth = self.0.clone();
        let mut renewal = tokio::spawn(async move { auth.renew().await.map(drop) });
        Some(Box::pin(async move { (&mut renewal).await.unwrap().unwrap() }))
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_outside_takes_the_newest_token_and_one_inside_the_one_it_began_with() {
    for outside in [true, false] {
        let (auth, _) = scripted();
        let (api, seen) = api(|_| false);
        let (layer, retry) = (AuthLayer::new(auth.clone()), Renews(auth, 1));
        let stack = if outside {
            boxed(ServiceBuilder::new().retry(retry).layer(layer).service(api))
        } else {
            boxed(ServiceBuilder::new().layer(layer).retry(retry).service(api))
        };
        at_once(&stack, 1).await;
        let second = if outside { "Bearer token-2" } else { "Bearer token-1" };
        assert_eq!(tokens(&seen), ["Bearer token-1", second]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_inside_sends_a_refused_token_again_before_the_layer_hears_of_it() {
    for outside in [true, false] {
        let (auth, count) = scripted();
        let (api, seen) = api(|sent| sent == "Bearer token-1");
        let auth = AuthLayer::new(auth);
        let stack = if outside {
            boxed(ServiceBuilder::new().retry(Stubborn(3)).layer(auth).service(api))
        } else {
            boxed(ServiceBuilder::new().layer(auth).retry(Stubborn(3)).service(api))
        };
        assert_eq!(at_once(&stack, 1).await, [Some(200)]);
        let refused = if outside { 1 } else { 4 };
        let expected = [vec!["Bearer token-1"; refused], vec!["Bearer token-2"]].concat();
        assert_eq!(
            (tokens(&seen), count.load(SeqCst)),
            (expected.iter().map(|&token| token.to_owned()).collect(), 2)
        );
    }
}
