//! Tokens whose key may be newer than the keys at hand: who is told to come again, and who is not.

use std::sync::Mutex;

use auth_core::{BoxFuture, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};

use super::*;

/// An endpoint that answers with what it has when the request arrives.
#[derive(Clone)]
struct Distant {
    has: Arc<Mutex<String>>,
    /// How long an answer takes.
    takes: Duration,
    /// What a cache says of its age.
    age: Option<u64>,
}

impl Distant {
    fn of(keys: &[Value]) -> Self {
        let takes = Duration::from_millis(10);
        Self { has: Arc::new(Mutex::new(set(keys))), takes, age: None }
    }

    fn publishes(&self, keys: &[Value]) {
        *self.has.lock().unwrap() = set(keys);
    }

    fn verifier(&self) -> (Arc<TokioClock>, Verifier) {
        crate::server::testing::provider();
        let (clock, settings) = settings(Jwks::url(URL, self.clone()));
        (clock, Verifier::new(settings).unwrap())
    }
}

impl Transport for Distant {
    fn send(
        &self,
        _: Request<Bytes>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let text = self.has.lock().unwrap().clone();
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            let mut answer = Response::builder();
            if let Some(age) = self.age {
                answer = answer.header("age", age).header("cache-control", "max-age=3600");
            }
            Ok(answer.body(text.into()).unwrap())
        })
    }
}

/// A token that was issued when `clock` says.
fn fresh(pair: &Pair, kid: &str, clock: &TokioClock) -> String {
    let now = clock.now().wall.as_millis() / 1000;
    let claims = claims_but(json!({ "iat": now, "exp": now + 86_400 }));
    pair.sign(&json!({ "kid": kid }), &claims)
}

async fn judged(verifier: &Verifier, token: &str) -> Result<Claims, Rejected> {
    match verifier.cached(token) {
        Some(result) => result.map_err(Rejected::Invalid),
        None => verifier.verify(token).await,
    }
}

/// A server that answers 503 as often as anybody likes is taken out by what balances the load.
#[tokio::test(start_paused = true)]
async fn a_flood_of_forged_tokens_is_not_answered_as_if_the_server_were_ill() {
    let (a, forger) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (clock, verifier) = over(&endpoint);
    assert!(verifier.verify(&fresh(&a, "a", &clock)).await.is_ok());
    let (mut come_again, mut refused) = (0, 0);
    for number in 0..3000 {
        tokio::time::advance(Duration::from_millis(20)).await;
        match judged(&verifier, &fresh(&forger, &format!("k{number}"), &clock)).await {
            Err(Rejected::Unavailable { .. }) => come_again += 1,
            Err(Rejected::Invalid(_)) => refused += 1,
            Ok(_) => panic!("forged"),
        }
    }
    // In 60 s there are seven intervals between fetches.
    assert!(come_again > 0 && come_again <= 7 * 64, "{come_again} and {refused}");
    assert!(endpoint.fetches() <= 7, "{}", endpoint.fetches());
    assert!(judged(&verifier, &fresh(&a, "a", &clock)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_began_before_a_token_was_issued_says_nothing_of_its_key() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let mut endpoint = Distant::of(&[a.named("a")]);
    endpoint.takes = Duration::from_secs(3);
    let (clock, verifier) = endpoint.verifier();
    assert!(verifier.verify(&fresh(&a, "a", &clock)).await.is_ok());
    pass(620).await;
    // The set is fetched in the background, as it is at this moment.
    assert!(verifier.cached(&fresh(&a, "a", &clock)).unwrap().is_ok());
    tokio::task::yield_now().await;
    pass(1).await;
    endpoint.publishes(&[a.named("a"), b.named("b")]);
    pass(1).await;
    let new = fresh(&b, "b", &clock);
    for _ in 0..2 {
        let told = verifier.verify(&new).await;
        assert!(matches!(told, Err(Rejected::Unavailable { .. })), "{told:?}");
    }
    pass(10).await;
    assert!(verifier.verify(&new).await.is_ok());
}

/// In whole seconds a token is as old as a flight that has begun in the same one; and issuers' clocks may be behind.
#[tokio::test(start_paused = true)]
async fn a_flight_that_began_before_a_token_came_says_nothing_of_one_of_about_that_time() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let mut endpoint = Distant::of(&[a.named("a")]);
    endpoint.takes = Duration::from_secs(3);
    let (clock, verifier) = endpoint.verifier();
    assert!(verifier.verify(&fresh(&a, "a", &clock)).await.is_ok());
    pass(620).await;
    tokio::time::advance(Duration::from_millis(500)).await;
    assert!(verifier.cached(&fresh(&a, "a", &clock)).unwrap().is_ok());
    tokio::task::yield_now().await;
    endpoint.publishes(&[a.named("a"), b.named("b")]);
    tokio::time::advance(Duration::from_millis(400)).await;
    let new = fresh(&b, "b", &clock);
    let told = verifier.verify(&new).await;
    assert!(matches!(told, Err(Rejected::Unavailable { .. })), "{told:?}");
    pass(10).await;
    assert!(verifier.verify(&new).await.is_ok());
    // One by a clock that is ahead is no riddle once its key was asked for.
    pass(20).await;
    let ahead = now() + clock.now().wall.saturating_since(TokioClock::START).as_secs() as i64 + 30;
    let ahead =
        b.sign(&json!({ "kid": "c" }), &claims_but(json!({ "iat": ahead, "exp": ahead + 60 })));
    assert_eq!(rejected(verifier.verify(&ahead).await), Reason::UnknownKey);
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_and_a_silence_the_keys_are_asked_for_before_anybody_is_let_through() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (clock, verifier) = over(&endpoint);
    let lasting = fresh(&a, "a", &clock);
    assert!(verifier.verify(&lasting).await.is_ok());
    endpoint.now(Does::Fail);
    pass(610).await;
    assert!(verifier.cached(&lasting).unwrap().is_ok());
    pass(1).await;
    endpoint.publishes(&[b.named("b")]);
    pass(20 * 3600).await;
    assert!(verifier.cached(&lasting).is_none());
    assert_eq!(rejected(verifier.verify(&lasting).await), Reason::UnknownKey);
}

#[tokio::test(start_paused = true)]
async fn a_set_from_a_cache_is_as_old_as_the_cache_says() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let mut endpoint = Distant::of(&[a.named("a")]);
    endpoint.age = Some(3500);
    let (clock, verifier) = endpoint.verifier();
    let lasting = fresh(&a, "a", &clock);
    assert!(verifier.verify(&lasting).await.is_ok());
    pass(20).await;
    // A set of an hour ago cannot have the key of a token that is new.
    let told = verifier.verify(&fresh(&b, "b", &clock)).await;
    assert!(matches!(told, Err(Rejected::Unavailable { .. })), "{told:?}");
    // 100 s of its hour are left, and a minute for nobody to have come in.
    pass(140).await;
    assert!(verifier.cached(&lasting).unwrap().is_ok());
    pass(170).await;
    assert!(verifier.cached(&lasting).is_none());
}

#[test]
fn sets_that_are_over_before_another_can_be_had_are_refused() {
    crate::server::testing::provider();
    let jwks = || Jwks::url(URL, Distant::of(&[]));
    let (second, five) = (Duration::from_secs(1), Duration::from_secs(5));
    for (jwks, is_good) in [
        (jwks().fresh_at_most(Duration::ZERO).stale_for(Duration::ZERO), false),
        (jwks().fresh_at_most(five).stale_for(Duration::ZERO), false),
        (jwks().fresh_at_most(five).stale_for(2 * five - second), false),
        (jwks().fresh_at_most(five).stale_for(2 * five), true),
        (jwks().fresh_for(five).stale_for(Duration::ZERO), false),
        (jwks().stale_for(Duration::ZERO), true),
        (jwks().stale_for(Duration::ZERO).fetch_interval(60 * second), false),
    ] {
        let built = Verifier::new(settings(jwks.clone()).1);
        assert_eq!(built.is_ok(), is_good, "{jwks:?}");
        if let Err(error) = built {
            assert!(error.to_string().contains("stale_for"), "{error}");
        }
    }
    let (_, mut settings) = settings(jwks());
    settings.leeway = Duration::from_secs(3601);
    assert_eq!(Verifier::new(settings).unwrap_err().field(), "leeway");
}
