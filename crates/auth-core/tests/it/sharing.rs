//! Several processes over one store: each is an authenticator of its own here.

use std::sync::Arc;
use std::time::Duration;

use auth_core::{Authenticator, MemoryStore, Store};
use tokio::sync::Notify;
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::*;

fn processes(issuer: &Issuer, count: usize) -> (Vec<Authenticator>, SharedClock) {
    let clock = SharedClock::new();
    let store = Store::new(MemoryStore::new());
    ((0..count).map(|_| process_over(&store, issuer, &clock)).collect(), clock)
}

#[tokio::test(start_paused = true)]
async fn one_process_fetches_and_the_others_adopt() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone())]);
    let (processes, _) = processes(&issuer, 20);
    let mut callers = tokio::task::JoinSet::new();
    for process in &processes {
        let process = process.clone();
        callers.spawn(async move { text(&process.authorization().await.unwrap()).to_owned() });
    }
    issuer.arrivals(1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    gate.notify_one();
    assert!(callers.join_all().await.iter().all(|token| token == "Bearer token-1"));
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_others_share_a_failure_too() {
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([Step::Gate(gate.clone()), refusal(400, "invalid_scope")]);
    let (processes, _) = processes(&issuer, 20);
    let mut callers = tokio::task::JoinSet::new();
    for process in &processes {
        let process = process.clone();
        callers.spawn(async move { process.authorization().await.unwrap_err().is_rejected() });
    }
    issuer.arrivals(1).await;
    gate.notify_one();
    assert!(callers.join_all().await.iter().all(|rejected| *rejected));
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flight_whose_process_died_is_waited_for_and_counts_as_a_failure() {
    let issuer = Issuer::new([Step::Hang]);
    let (processes, clock) = processes(&issuer, 2);
    // A process of its own: a runtime that ends in the middle, and an authenticator that nobody asks again.
    let (dying, flying) = (processes[0].clone(), issuer.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut caller = task::spawn(dying.authorization());
            assert_pending!(caller.poll());
            flying.arrivals(1).await;
        });
    })
    .join()
    .unwrap();

    let began = tokio::time::Instant::now();
    let error = processes[1].authorization().await.unwrap_err();
    assert!(
        began.elapsed() >= Duration::from_secs(12),
        "the flight's time to live, by the waiter's own clock"
    );
    assert!(error.is_transient() && error.to_string().contains("ended before"), "{error}");
    tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    processes[1].authorization().await.unwrap();
    let status = processes[1].status().await;
    assert_eq!(status.windows[0].spent, 2, "the dead one's unit stays spent");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_for_everybody_and_never_adopted_again() {
    let issuer = Issuer::new([]);
    let (processes, _) = processes(&issuer, 2);
    let first = processes[0].authorization().await.unwrap().generation();
    let other = processes[1].authorization().await.unwrap().generation();
    processes[0].replacement(first).await.unwrap();
    let mut second = task::spawn(processes[1].replacement(other));
    let adopted = loop {
        if let std::task::Poll::Ready(done) = second.poll() {
            break done.unwrap();
        }
        settle().await;
    };
    assert_eq!(text(&adopted), "Bearer token-2");
    assert_eq!(issuer.requests(), 2);
    // The token that the refusal brought is not refused again for an hour, in no process.
    for process in &processes {
        let generation = process.authorization().await.unwrap().generation();
        let error = process.replacement(generation).await.unwrap_err();
        assert!(error.is_refused_again(), "{error}");
    }
    assert_eq!(issuer.requests(), 2);
    assert_ready!(task::spawn(processes[0].authorization()).poll()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_said_to_one_request_is_not_shortened_by_anothers_pace() {
    for a_first in [true, false] {
        let (gate_a, gate_b) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let to_a = Issuer::new([Step::Gate(gate_a.clone()), too_many("7200")]);
        let to_b = Issuer::new([Step::Gate(gate_b.clone()), refusal(503, "server_error")]);
        let clock = SharedClock::new();
        let store = Store::new(MemoryStore::new());
        let with = |audience: &str, issuer: &Issuer| {
            let builder =
                Authenticator::builder(credentials().audience(audience)).store(store.clone());
            builder.transport(issuer.clone()).clock(clock.clone()).build().unwrap()
        };
        let (a, b) = (with("https://a.example", &to_a), with("https://b.example", &to_b));
        let mut waits_a = task::spawn(a.authorization());
        assert_pending!(waits_a.poll());
        to_a.arrivals(1).await;
        tokio::time::advance(Duration::from_millis(100)).await;
        let mut waits_b = task::spawn(b.authorization());
        assert_pending!(waits_b.poll());
        to_b.arrivals(1).await;
        let gates = if a_first { [gate_a, gate_b] } else { [gate_b, gate_a] };
        for gate in gates {
            gate.notify_one();
            settle().await;
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(a.authorization().await.unwrap_err().is_quota_exhausted());
        assert_eq!(to_a.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_waits_for_the_request_that_answers_anothers() {
    let issuer = Issuer::new([]);
    let (processes, _) = processes(&issuer, 2);
    let mut generations = Vec::new();
    for process in &processes {
        generations.push(process.authorization().await.unwrap().generation());
    }
    let gate = Arc::new(Notify::new());
    issuer.then([Step::Gate(gate.clone())]);
    let replaced = |number: usize| {
        let (process, generation) = (processes[number].clone(), generations[number]);
        tokio::spawn(
            async move { text(&process.replacement(generation).await.unwrap()).to_owned() },
        )
    };
    let first = replaced(0);
    issuer.arrivals(2).await;
    let second = replaced(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    gate.notify_one();
    assert_eq!(
        (first.await.unwrap(), second.await.unwrap()),
        ("Bearer token-2".to_owned(), "Bearer token-2".to_owned())
    );
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn renew_gets_a_new_token_in_a_fresh_process_too() {
    let issuer = Issuer::new([]);
    let (processes, _) = processes(&issuer, 2);
    processes[0].authorization().await.unwrap();
    assert_eq!(text(&processes[1].renew().await.unwrap()), "Bearer token-2");
}
