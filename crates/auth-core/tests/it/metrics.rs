//! What is measured, as a recorder sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::metrics::{TOKEN_EXPIRY, TOKEN_REQUESTS, TOKEN_REQUESTS_LEFT, TOKEN_WAIT};
use auth_core::{MemoryStore, Quota, Store};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tokio::sync::Notify;

use crate::support::*;

type Values = Arc<Mutex<BTreeMap<String, Vec<f64>>>>;

/// Keeps every value, by name and labels. To be installed for the thread of one test.
#[derive(Default)]
struct Kept(Values);

impl Kept {
    /// Every value of this one, in the order in which they came; for a counter the increments.
    fn values(&self, name: &str, labels: &str) -> Vec<f64> {
        let values = self.0.lock().unwrap();
        values.get(&format!("{name}{{{labels}}}")).cloned().unwrap_or_default()
    }

    fn last(&self, name: &str) -> Option<f64> {
        self.values(name, "credential=client").last().copied()
    }

    /// How often each outcome of a token request for this cause was counted.
    fn requests(&self, cause: &str) -> BTreeMap<String, f64> {
        let start = format!("{TOKEN_REQUESTS}{{credential=client,cause={cause},outcome=");
        let values = self.0.lock().unwrap();
        let outcomes = values.iter().filter_map(|(key, values)| {
            let outcome = key.strip_prefix(&start)?.strip_suffix('}')?;
            Some((outcome.to_owned(), values.iter().sum()))
        });
        outcomes.collect()
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    fn one(&self, key: &Key, kind: &str) -> Arc<One> {
        // What a name ends in says what it is.
        let is_of = match key.name() {
            TOKEN_REQUESTS => "counter",
            TOKEN_REQUESTS_LEFT | TOKEN_EXPIRY => "gauge",
            TOKEN_WAIT => "histogram",
            other => panic!("{other} is not in the table"),
        };
        assert_eq!(is_of, kind);
        let labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(One(self.0.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }
}

struct One(Values, String);

impl One {
    fn keep(&self, value: f64) {
        self.0.lock().unwrap().entry(self.1.clone()).or_default().push(value);
    }
}

impl CounterFn for One {
    fn increment(&self, value: u64) {
        assert_eq!(value, 1);
        self.keep(1.0);
    }

    fn absolute(&self, _: u64) {
        panic!("a counter counts");
    }
}

impl GaugeFn for One {
    fn increment(&self, _: f64) {
        panic!("a gauge is set");
    }

    fn decrement(&self, _: f64) {
        panic!("a gauge is set");
    }

    fn set(&self, value: f64) {
        self.keep(value);
    }
}

impl HistogramFn for One {
    fn record(&self, value: f64) {
        self.keep(value);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key, "counter"))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key, "gauge"))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key, "histogram"))
    }
}

fn once<const N: usize>(outcomes: [&str; N]) -> BTreeMap<String, f64> {
    outcomes.into_iter().map(|outcome| (outcome.to_owned(), 1.0)).collect()
}

#[tokio::test(start_paused = true)]
async fn each_token_request_counts_once_by_its_cause_and_what_came_of_it() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let junk = || Step::Answer(answer(200, "text/html", "<h1>hello</h1>"));
    let unusable = r#"{"access_token":"a b","token_type":"Bearer","expires_in":600}"#;
    let outcomes = [
        (refusal(401, "invalid_client"), "invalid_client"),
        (refusal(400, "invalid_scope"), "rejected"),
        (refusal(400, "use_dpop_nonce"), "rejected"),
        (refusal(503, "temporarily_unavailable"), "unavailable"),
        (too_many("60"), "over_quota"),
        (Step::Answer(answer(302, "text/html", "")), "redirect"),
        (junk(), "malformed"),
        (Step::Answer(answer(200, "application/json", unusable)), "unusable"),
        (Step::Hang, "timeout"),
        (Step::Broken, "in_doubt"),
        (Step::NotSent, "not_sent"),
        (Step::Panic, "panicked"),
        (Step::Token(86_400), "token"),
    ];
    for (step, outcome) in outcomes {
        kept.0.lock().unwrap().clear();
        let issuer = Issuer::new([step]);
        let (auth, _) = authenticator(&issuer);
        assert_eq!(auth.authorization().await.is_ok(), outcome == "token", "{outcome}");
        assert_eq!(kept.requests("start"), once([outcome]));
        // It is held, or served.
        let _ = auth.authorization().await;
        assert_eq!((kept.requests("start"), issuer.requests()), (once([outcome]), 1));
    }
    kept.0.lock().unwrap().clear();
    let (auth, _) = authenticator(&Issuer::new([]));
    let first = auth.authorization().await.unwrap().generation();
    auth.replacement(first).await.unwrap();
    let counted = (kept.requests("start"), kept.requests("refused"));
    assert_eq!(counted, (once(["token"]), once(["token"])));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_sent_again_with_a_nonce_counts_for_itself() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let mut wants = answer(400, "application/json", r#"{"error":"use_dpop_nonce"}"#);
    wants.headers_mut().insert("dpop-nonce", "n-1".parse().unwrap());
    let issuer = Issuer::new([Step::Answer(wants)]);
    issuer.token_type("DPoP");
    let client = credentials().dpop(auth_core::SigningKey::generate_es256());
    builder_for(&issuer, client).0.build().unwrap().authorization().await.unwrap();
    assert_eq!(kept.requests("start"), once(["nonce_required", "token"]));
}

#[test]
fn a_request_whose_runtime_is_shut_down_counts_as_lost() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let issuer = Issuer::new([Step::Hang]);
    let (auth, _) = authenticator(&issuer);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    first.block_on(async {
        let waiting = caller(&auth);
        issuer.arrivals(1).await;
        drop(waiting);
    });
    assert!(kept.requests("start").is_empty());
    drop(first);
    assert_eq!(kept.requests("start"), once(["lost"]));
    // What buries it counts nothing more.
    runtime().block_on(auth.authorization()).unwrap();
    assert_eq!((kept.requests("start"), issuer.requests()), (once(["lost", "token"]), 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_adopted_is_no_request_and_is_in_the_gauges() {
    let issuer = Issuer::new([]);
    let (store, clock) = (Store::new(MemoryStore::new()), SharedClock::new());
    let process = || process_over(&store, &issuer, &clock);
    process().authorization().await.unwrap();
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    process().authorization().await.unwrap();
    assert!(kept.requests("start").is_empty());
    assert_eq!(kept.last(TOKEN_REQUESTS_LEFT), Some(9.0));
    assert_eq!(kept.last(TOKEN_EXPIRY), Some(86_400.0 - 60.0));
}

#[tokio::test(start_paused = true)]
async fn the_gauges_follow_the_token_the_failures_and_the_status() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let issuer = Issuer::new([Step::Token(7200), refusal(503, "temporarily_unavailable")]);
    let (auth, _) = authenticator(&issuer);
    auth.status().await;
    let both = || (kept.last(TOKEN_EXPIRY), kept.last(TOKEN_REQUESTS_LEFT));
    assert_eq!(both(), (Some(0.0), Some(10.0)), "there is no token yet");
    let first = auth.authorization().await.unwrap().generation();
    assert_eq!(both(), (Some(7140.0), Some(9.0)));
    auth.replacement(first).await.unwrap_err();
    assert_eq!(both(), (Some(7140.0), Some(8.0)));
    tokio::time::advance(HOUR).await;
    assert_eq!(both(), (Some(7140.0), Some(8.0)), "nobody has looked");
    auth.status().await;
    assert_eq!(both(), (Some(3540.0), Some(8.0)));
    tokio::time::advance(2 * DAY).await;
    auth.status().await;
    assert_eq!(both(), (Some(0.0), Some(10.0)));
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_is_left() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let auth = builder(&Issuer::new([])).0.quota(Quota::unlimited()).build().unwrap();
    auth.authorization().await.unwrap();
    auth.status().await;
    assert_eq!(kept.last(TOKEN_REQUESTS_LEFT), None);
}

#[tokio::test(start_paused = true)]
async fn a_caller_counts_who_waited_and_no_caller_who_did_not() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let gate = Arc::new(Notify::new());
    let issuer = Issuer::new([
        Step::Gate(gate.clone()),
        Step::Token(86_400),
        refusal(503, "temporarily_unavailable"),
    ]);
    let (auth, _) = authenticator(&issuer);
    let waits =
        |outcome: &str| kept.values(TOKEN_WAIT, &format!("credential=client,outcome={outcome}"));
    let early = caller(&auth);
    issuer.arrivals(1).await;
    tokio::time::advance(Duration::from_millis(1500)).await;
    let late = caller(&auth);
    let gone = caller(&auth);
    settle().await;
    gone.abort();
    tokio::time::advance(Duration::from_millis(500)).await;
    gate.notify_one();
    let first = early.await.unwrap().unwrap().generation();
    late.await.unwrap().unwrap();
    let mut waited = waits("token");
    waited.sort_by(f64::total_cmp);
    assert_eq!(waited, [0.5, 2.0]);

    auth.authorization().await.unwrap();
    assert!(auth.replacement(first).await.is_err());
    assert_eq!((waits("token").len(), waits("error")), (2, vec![0.0]));
    tokio::time::advance(HOUR).await;
    auth.renew().await.unwrap();
    assert_eq!(waits("token").len(), 3);
    auth.replacement(first).await.unwrap();
    assert_eq!(waits("token").len(), 3, "a newer token was at hand");
}

// torture: E43
#[tokio::test(start_paused = true)]
async fn no_label_shows_a_secret_a_token_or_the_issuers_words() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let issuer = Issuer::new([Step::Echo, refusal(503, "canary-code"), Step::Token(86_400)]);
    let (auth, clock) = authenticator(&issuer);
    for _ in 0..2 {
        let error = auth.authorization().await.unwrap_err();
        tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    }
    auth.authorization().await.unwrap();
    auth.status().await;
    let request =
        |outcome| format!("{TOKEN_REQUESTS}{{credential=client,cause=start,outcome={outcome}}}");
    let names = [
        format!("{TOKEN_EXPIRY}{{credential=client}}"),
        format!("{TOKEN_REQUESTS_LEFT}{{credential=client}}"),
        request("rejected"),
        request("token"),
        request("unavailable"),
        format!("{TOKEN_WAIT}{{credential=client,outcome=error}}"),
        format!("{TOKEN_WAIT}{{credential=client,outcome=token}}"),
    ];
    // Exactly these, so none that has a canary in it.
    assert_eq!(kept.names(), names);
}
