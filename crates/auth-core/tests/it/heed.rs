//! What the answers of APIs lead to, and who is told.

use auth_core::{
    ApiKey, Authenticator, Binding, Event, EventKind, Events, Generation, Origin, Route, Routes,
};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::*;

const ONE: &str = "https://one.example";
const TWO: &str = "https://two.example";

fn binding(routes: &Routes, origin: &str) -> Binding {
    match routes.route(&Method::GET, &origin.parse().unwrap()) {
        Route::To(id) => routes.binding(id).clone(),
        other => panic!("{other:?}"),
    }
}

/// A credential for two origins, at each of them.
fn two(issuer: &Issuer) -> (Authenticator, Binding, Binding) {
    let (builder, _) = builder(issuer);
    let auth = builder.origin(ONE).origin(TWO).build().unwrap();
    let routes = Routes::from(auth.clone());
    let (one, two) = (binding(&routes, ONE), binding(&routes, TWO));
    (auth, one, two)
}

/// Shows an answer; whether it is a refusal.
fn answer(binding: &Binding, generation: Generation, status: u16, challenge: &str) -> bool {
    let mut headers = HeaderMap::new();
    if !challenge.is_empty() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_str(challenge).unwrap());
    }
    binding.heed(generation, StatusCode::from_u16(status).unwrap(), &headers, false)
}

fn next(events: &mut Events) -> EventKind {
    let mut next = task::spawn(events.next());
    let Event { kind, .. } = assert_ready!(next.poll()).unwrap();
    kind
}

fn is_at(origin: &Origin, expected: &str) -> bool {
    *origin == expected.parse().unwrap()
}

const INVALID: &str = r#"Bearer error="invalid_token""#;

#[tokio::test(start_paused = true)]
async fn refusals_breakers_and_missing_scopes_are_told_of_once() {
    let issuer = Issuer::new([]);
    let (auth, one, two) = two(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    let mut events = auth.events();
    for _ in 0..10 {
        assert!(answer(&one, first, 401, INVALID));
    }
    let told = next(&mut events);
    assert!(matches!(&told, EventKind::Refused { origin, generation, status: 401 }
        if is_at(origin, ONE) && *generation == first));
    let second = one.replacement(first, None).await.unwrap().generation();
    assert!(matches!(next(&mut events), EventKind::RenewalStarted { .. }));
    assert!(matches!(next(&mut events), EventKind::RenewalFinished { units_left: Some(8), .. }));
    for _ in 0..10 {
        assert!(!answer(&one, second, 401, INVALID), "the breaker is open");
        assert!(!answer(&two, second, 200, ""));
    }
    assert!(matches!(next(&mut events), EventKind::BreakerOpened { origin, generation }
        if is_at(&origin, ONE) && generation == second));
    let short = r#"Bearer error="insufficient_scope", scope="bookings""#;
    assert!(!answer(&two, second, 403, short));
    assert!(matches!(next(&mut events), EventKind::InsufficientScope { origin, scope }
        if is_at(&origin, TWO) && scope.as_deref() == Some("bookings")));
    assert!(!answer(&one, second, 200, ""));
    assert!(
        matches!(next(&mut events), EventKind::BreakerClosed { origin } if is_at(&origin, ONE))
    );
    assert_pending!(task::spawn(events.next()).poll());
    assert_eq!(issuer.requests(), 2);
}

// torture: B12
#[tokio::test(start_paused = true)]
async fn a_late_401_is_answered_by_the_token_at_hand_and_says_nothing_of_it() {
    let issuer = Issuer::new([]);
    let (auth, one, _) = two(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    let second = auth.renew().await.unwrap().generation();
    let mut events = auth.events();
    for _ in 0..100 {
        assert!(answer(&one, first, 401, INVALID));
        assert_eq!(one.replacement(first, None).await.unwrap().generation(), second);
    }
    assert_eq!(issuer.requests(), 2);
    assert!(!auth.status().await.token.unwrap().suspect);
    assert_pending!(task::spawn(events.next()).poll());
}

/// A 401 without a reason means little to a token that nobody has ever taken, and much to one that another process has sent.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_401_without_a_reason_counts_for_a_token_that_worked_here_or_came_from_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = Issuer::new([]);
    let clock = SharedClock::new();
    let here = process(directory.path(), &issuer, &clock);
    let there = process(directory.path(), &issuer, &clock);
    let bind = |auth: &Authenticator| binding(&Routes::from(auth.clone()), "https://api.example");
    let first = here.authorization().await.unwrap().generation();
    assert!(!answer(&bind(&here), first, 401, ""), "fetched here, and never taken");
    let adopted = there.authorization().await.unwrap().generation();
    assert_eq!(issuer.requests(), 1);
    assert!(answer(&bind(&there), adopted, 401, ""), "another process may have used it for hours");
    assert!(!answer(&bind(&here), first, 200, ""));
    assert!(answer(&bind(&here), first, 401, ""), "it worked before");
}

/// Thousands of them must not push out what matters.
#[tokio::test(start_paused = true)]
async fn a_storm_of_403s_or_of_401s_without_a_reason_is_told_of_once() {
    let issuer = Issuer::new([]);
    let (auth, one, two) = two(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    let mut events = auth.events();
    for _ in 0..1000 {
        assert!(!answer(&one, first, 401, ""), "a token that has never worked");
    }
    for _ in 0..1000 {
        assert!(!answer(&two, first, 403, ""));
    }
    assert!(matches!(next(&mut events), EventKind::Refused { status: 401, .. }));
    assert!(matches!(next(&mut events), EventKind::InsufficientScope { scope: None, .. }));
    assert_pending!(task::spawn(events.next()).poll());
    // By now it has worked: whoever forbids has read it.
    assert!(answer(&one, first, 401, ""));
    assert_eq!(issuer.requests(), 1);
}

/// What was refused long ago says nothing of the token of today.
#[tokio::test(start_paused = true)]
async fn an_old_refusal_opens_no_breaker() {
    let issuer = Issuer::new([]);
    let (auth, one, _) = two(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    assert!(answer(&one, first, 401, INVALID));
    let second = one.replacement(first, None).await.unwrap().generation();
    for _ in 0..10 {
        assert!(!answer(&one, second, 404, ""));
    }
    tokio::time::advance(DAY).await;
    let third = auth.authorization().await.unwrap().generation();
    assert!(third > second);
    assert!(answer(&one, third, 401, INVALID));
    let fourth = one.replacement(third, None).await.unwrap().generation();
    assert!(!answer(&one, fourth, 401, INVALID), "now it is");
    assert_eq!(issuer.requests(), 4);
}

/// The store is not asked for each 401 while nothing can be had.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_could_not_be_answered_stands_for_the_next_ones_for_a_while() {
    let issuer = Issuer::new([]);
    let (auth, one, _) = two(&issuer);
    let first = auth.authorization().await.unwrap().generation();
    issuer.always(Some(503));
    assert!(one.replacement(first, None).await.is_err());
    let mut events = auth.events();
    for _ in 0..29 {
        assert!(answer(&one, first, 401, INVALID));
        assert!(one.replacement(first, None).await.is_err());
        one.refuse(first);
        settle().await;
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    assert!(matches!(next(&mut events), EventKind::Refused { .. }));
    // Nothing was tried.
    assert_pending!(task::spawn(events.next()).poll());
    assert_eq!(issuer.requests(), 2);
}

/// The token that came of a refusal is not refused again for an hour, whichever process has it.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_token_that_came_of_a_refusal_is_not_replaced_by_another_process_within_the_hour() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = Issuer::new([]);
    let clock = SharedClock::new();
    let processes: Vec<_> = (0..3).map(|_| process(directory.path(), &issuer, &clock)).collect();
    let first = processes[0].authorization().await.unwrap().generation();
    processes[0].replacement(first).await.unwrap();
    assert_eq!(issuer.requests(), 2);
    for process in &processes[1..] {
        let adopted = process.authorization().await.unwrap();
        assert_eq!(text(&adopted), "Bearer token-2");
        let error = process.replacement(adopted.generation()).await.unwrap_err();
        assert!(error.is_refused_again(), "{error}");
    }
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_and_replaced_is_told_of() {
    let key = ApiKey::new("legacy", "key-one").unwrap();
    let routes = Routes::builder().route(ONE, key.clone()).build().unwrap();
    let one = binding(&routes, ONE);
    let mut events = key.events();
    for _ in 0..10 {
        assert!(answer(&one, key.generation(), 401, ""));
        assert!(one.replacement(key.generation(), None).await.unwrap_err().is_refused_again());
    }
    let told = next(&mut events);
    assert!(matches!(&told, EventKind::Refused { origin, status: 401, .. } if is_at(origin, ONE)));
    key.set("key-two").unwrap();
    assert!(matches!(next(&mut events), EventKind::Rotated));
    assert!(!answer(&one, key.generation(), 403, ""));
    assert!(matches!(next(&mut events), EventKind::InsufficientScope { scope: None, .. }));
    assert_pending!(task::spawn(events.next()).poll());
}
