//! What a program can hear of: events, and the span around each attempt to get a token.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime};

use auth_core::{
    Clock, Event, EventKind, Events, MemoryStore, Quota, RenewalCause, RenewalOutcome,
    SecretSource, Store,
};
use tokio_test::{assert_pending, assert_ready, task};

use crate::log::Log;
use crate::support::*;

/// All that have happened so far.
fn heard(events: &mut Events) -> Vec<Event> {
    let mut heard = Vec::new();
    loop {
        let mut next = task::spawn(events.next());
        match next.poll() {
            std::task::Poll::Ready(event) => heard.push(event.unwrap()),
            std::task::Poll::Pending => return heard,
        }
    }
}

/// In short.
fn words(events: &mut Events) -> Vec<String> {
    let word = |event: Event| match event.kind {
        EventKind::RenewalStarted { cause } => format!("started {cause}"),
        EventKind::RenewalFinished { cause, outcome, units_left, .. } => {
            let outcome = match outcome {
                RenewalOutcome::Fetched { generation } => format!("fetched {generation}"),
                RenewalOutcome::Adopted { generation } => format!("adopted {generation}"),
                RenewalOutcome::Failed(_) => "failed".to_owned(),
                other => format!("{other:?}"),
            };
            let left = units_left.map_or("?".to_owned(), |left| left.to_string());
            format!("finished {cause}: {outcome}, {left} left")
        }
        EventKind::Rotated => "rotated".to_owned(),
        EventKind::Held { until, .. } => format!("held {}", until.is_some()),
        other => format!("{other:?}"),
    };
    heard(events).into_iter().map(word).collect()
}

#[tokio::test(start_paused = true)]
async fn a_token_request_is_told_from_its_beginning_to_its_end() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone()), Step::Token(86_400)]);
    let (builder, clock) = builder(&issuer);
    let auth = builder.name("the API").build().unwrap();
    let mut events = auth.events();
    let began = SystemTime::from(clock.coarse());
    let waiting = caller(&auth);
    issuer.arrivals(1).await;

    let started = heard(&mut events);
    assert!(matches!(
        &started[..],
        [Event { kind: EventKind::RenewalStarted { cause: RenewalCause::Start }, .. }]
    ));
    assert_eq!((started[0].at, &*started[0].credential), (began, "the API"));

    tokio::time::advance(Duration::from_secs(3)).await;
    gate.notify_one();
    let generation = waiting.await.unwrap().unwrap().generation();
    // It is there before the caller is served.
    let finished = heard(&mut events);
    let [Event { at, kind, .. }] = &finished[..] else { panic!("{finished:?}") };
    let EventKind::RenewalFinished { cause, outcome, units_left, took, .. } = kind else {
        panic!("{kind:?}")
    };
    assert_eq!((*cause, *units_left), (RenewalCause::Start, Some(9)));
    assert!(matches!(outcome, RenewalOutcome::Fetched { generation: g } if *g == generation));
    assert_eq!(*took, Duration::from_secs(3));
    assert_eq!(*at, SystemTime::from(clock.coarse()));

    auth.authorization().await.unwrap();
    assert!(heard(&mut events).is_empty(), "a token at hand is no event");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_process_is_told_as_adopted() {
    let issuer = Issuer::new([]);
    let (store, clock) = (Store::new(MemoryStore::new()), SharedClock::new());
    let process = || process_over(&store, &issuer, &clock);
    process().authorization().await.unwrap();
    let second = process();
    let mut events = second.events();
    second.authorization().await.unwrap();
    assert_eq!(words(&mut events), ["started start", "finished start: adopted 1, 9 left"]);
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_told_once_and_again_after_a_success() {
    let issuer = Issuer::new([refusal(503, "temporarily_unavailable")]);
    let (auth, clock) = authenticator(&issuer);
    let mut events = auth.events();
    let error = auth.authorization().await.unwrap_err();
    let failed = ["started start", "finished start: failed, 9 left"];
    let told = heard(&mut events);
    let EventKind::Held { until, error: why, .. } = &told[2].kind else { panic!("{told:?}") };
    assert_eq!(*until, error.retry_at());
    assert_eq!(why.to_string(), error.to_string());

    tokio::time::advance(Duration::from_secs(2)).await;
    auth.authorization().await.unwrap_err();
    assert_eq!(words(&mut events), failed, "the same still holds");

    tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    let token = auth.authorization().await.unwrap();
    assert_eq!(words(&mut events), ["started start", "finished start: fetched 1, 8 left"]);

    issuer.then([refusal(503, "temporarily_unavailable")]);
    auth.replacement(token.generation()).await.unwrap_err();
    assert_eq!(
        words(&mut events),
        ["started refused", "finished refused: failed, 7 left", "held true"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_told_between_the_beginning_and_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "the-first-secret").unwrap();
    let issuer = Issuer::new([]);
    let source = SecretSource::file(&file);
    let auth = builder_for(&issuer, credentials_of(source)).0.build().unwrap();
    auth.authorization().await.unwrap();
    let mut events = auth.events();
    std::fs::write(&file, "the-second-secret").unwrap();
    auth.renew().await.unwrap();
    assert_eq!(
        words(&mut events),
        ["started manual", "rotated", "finished manual: fetched 2, 8 left"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_not_told_without_a_limit_or_without_a_store() {
    let issuer = Issuer::new([]);
    let auth = builder(&issuer).0.quota(Quota::unlimited()).build().unwrap();
    let mut events = auth.events();
    auth.authorization().await.unwrap();
    assert_eq!(words(&mut events), ["started start", "finished start: fetched 1, ? left"]);

    let moody = Moody::default();
    let auth = builder(&issuer).0.store(Store::new(moody.clone())).build().unwrap();
    let token = auth.authorization().await.unwrap();
    let mut events = auth.events();
    moody.fails.store(true, SeqCst);
    assert!(auth.replacement(token.generation()).await.unwrap_err().is_store());
    assert_eq!(
        words(&mut events),
        ["started refused", "finished refused: failed, ? left", "held false"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_the_authenticator_and_does_not_keep_it_alive() {
    let issuer = Issuer::new([]);
    let (auth, _) = authenticator(&issuer);
    let (mut events, mut other) = (auth.events(), auth.events());
    let mut waiting = task::spawn(other.next());
    assert_pending!(waiting.poll());
    drop(auth);
    assert!(waiting.is_woken());
    assert!(assert_ready!(waiting.poll()).is_none());
    assert!(events.next().await.is_none());
}

// torture: E43
#[tokio::test(start_paused = true)]
async fn no_event_shows_a_secret_or_a_token() {
    let issuer = Issuer::new([Step::Echo, Step::Token(86_400)]);
    let (auth, clock) = authenticator(&issuer);
    let mut events = auth.events();
    let error = auth.authorization().await.unwrap_err();
    tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    auth.authorization().await.unwrap();
    let heard = heard(&mut events);
    assert_eq!(heard.len(), 5);
    let shown = format!("{heard:?} {events:?}");
    assert!(shown.contains("[redacted]"), "the issuer repeated it: {shown}");
    assert!(!shown.contains(SECRET) && !shown.contains("token-1"), "{shown}");
}

// torture: E43
#[tokio::test(start_paused = true)]
async fn what_a_renewal_logs_stands_in_its_span() {
    let log = Log::listen();
    let issuer = Issuer::new([Step::Echo, Step::Token(86_400)]);
    let (builder, clock) = builder(&issuer);
    let auth = builder.name("spanned").build().unwrap();
    let request = tracing::info_span!("request");
    let asked = tracing::Instrument::instrument(auth.authorization(), request.clone());
    let error = asked.await.unwrap_err();
    tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    let token = auth.authorization().await.unwrap();
    auth.replacement(token.generation()).await.unwrap();
    let log = log.text();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    for (words, causes) in [
        ("getting a token", vec!["start", "start", "refused"]),
        (" no token ", vec!["start"]),
        ("a token is in use", vec!["start", "refused"]),
    ] {
        let lines = lines(words);
        assert_eq!(lines.len(), causes.len(), "{words}: {log}");
        for (line, cause) in lines.iter().zip(causes) {
            let span = format!(" renewal{{credential=spanned cause={cause}}}: ");
            assert!(line.contains(&span) && !line.contains("request{"), "{line}");
        }
    }
    assert!(!log.contains(SECRET) && !log.contains("token-1"), "{log}");
}
