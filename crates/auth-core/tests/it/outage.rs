//! An issuer that is away for hours, in each of the ways in which an issuer can be away: no request that has a token notices,
//! the units last, and the way back is short.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use auth_core::{Authenticator, BoxFuture, MemoryStore, Store, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};
use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How an issuer is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unavailable,
    /// It takes the request and says nothing.
    Mute,
    /// It takes no connection.
    Refusing,
}

const FORMS: [Form; 3] = [Form::Unavailable, Form::Mute, Form::Refusing];

/// The line to an issuer, which can be cut.
struct Line {
    issuer: Issuer,
    form: Form,
    is_cut: AtomicBool,
    /// When each of the requests came that met the outage.
    failed: Mutex<Vec<Instant>>,
    store: Store,
    clock: SharedClock,
}

impl Line {
    fn new(form: Form) -> Arc<Self> {
        Arc::new(Self {
            issuer: Issuer::new([]),
            form,
            is_cut: AtomicBool::new(false),
            failed: Mutex::default(),
            store: Store::new(MemoryStore::new()),
            clock: SharedClock::new(),
        })
    }

    /// A process of its own, over the store of the others.
    fn process(self: &Arc<Self>) -> Authenticator {
        let builder = Authenticator::builder(credentials()).store(self.store.clone());
        builder.transport(self.clone()).clock(self.clock.clone()).build().unwrap()
    }

    fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, SeqCst);
    }

    fn failures(&self) -> usize {
        self.failed.lock().unwrap().len()
    }

    /// How far apart the failures were.
    fn gaps(&self) -> Vec<Duration> {
        self.failed.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// What cost a unit came 30 s apart at first, and then ever more seldom; what cost none, every 30 s after the first five.
    /// Somebody asked every `step`.
    fn assert_paced(&self, step: Duration) {
        let (form, gaps) = (self.form, self.gaps());
        // A request notices that a renewal is due, the next one sees what came of it, and a restart does not know yet.
        let late = 3 * step;
        let slowest = if form == Form::Refusing { 30 * SECOND + late } else { DAY };
        let fast = if form == Form::Refusing { 5 } else { 0 };
        let bounded = gaps.iter().skip(fast).all(|gap| (30 * SECOND..=slowest).contains(gap));
        let growing = gaps.windows(2).all(|pair| pair[0] <= pair[1] + late);
        assert!(bounded && growing, "{form:?}: {gaps:?}");
    }
}

impl Transport for Line {
    fn send(
        &self,
        request: Request<Bytes>,
        within: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        if !self.is_cut.load(SeqCst) {
            return self.issuer.send(request, within);
        }
        self.failed.lock().unwrap().push(Instant::now());
        Box::pin(async move {
            match self.form {
                Form::Unavailable => Ok(answer(503, "text/html", "<h1>maintenance</h1>")),
                Form::Mute => std::future::pending().await,
                Form::Refusing => Err(TransportError::not_sent("connection refused")),
            }
        })
    }
}

async fn spent(auth: &Authenticator) -> usize {
    auth.status().await.windows[0].spent as usize
}

/// One request every `step` for this long, each of which is served at once; how many there were.
async fn served(auth: &Authenticator, length: Duration, step: Duration) -> usize {
    let began = Instant::now();
    let mut served = 0;
    while began.elapsed() < length {
        let asked = Instant::now();
        auth.authorization().await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO, "request {served} waited");
        served += 1;
        tokio::time::advance(step).await;
    }
    served
}

/// Nobody has a token, and somebody asks every `step`, until one comes or `length` is over; whether one came.
async fn asked(auth: &Authenticator, length: Duration, step: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < length {
        if auth.authorization().await.is_ok() {
            return true;
        }
        tokio::time::advance(step).await;
    }
    false
}

// torture: B17
#[tokio::test(start_paused = true)]
async fn while_the_issuer_is_away_a_valid_token_serves_all_and_the_reserve_is_kept() {
    for form in FORMS {
        let line = Line::new(form);
        let mut auth = line.process();
        auth.authorization().await.unwrap();
        let token = auth.status().await.token.unwrap();
        // The renewal falls due during the outage, which is over before the token is.
        let begins = (token.renew_in - MINUTE).min(token.expires_in - 4 * HOUR - 10 * MINUTE);
        tokio::time::advance(begins).await;

        line.cut(true);
        for _ in 0..16 {
            assert_eq!(served(&auth, 15 * MINUTE, SECOND).await, 900);
            // What a restart knows is in the store.
            auth = line.process();
        }
        line.cut(false);
        let (failures, during) = (line.failures(), spent(&auth).await);
        line.assert_paced(SECOND);
        if form == Form::Refusing {
            assert!(failures > 100, "{failures} attempts");
            assert_eq!(during, 1, "what never left costs nothing");
        } else {
            assert!(failures >= 2, "{form:?}: {failures} attempts");
            assert_eq!(during, 1 + failures, "{form:?}");
        }
        assert!(during <= 7, "{form:?}: {during} spent, and three are for callers without a token");
        assert_eq!(line.issuer.requests(), 1);

        // The token's successor comes before the token ends, and nothing after it for the better part of a day.
        assert!(served(&auth, 12 * HOUR, 5 * SECOND).await > 8000);
        assert_eq!((line.issuer.requests(), line.issuer.tokens()), (2, 2), "{form:?}");
        assert_eq!(line.failures(), failures, "{form:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_without_an_issuer_from_cold_keeps_the_quota() {
    let step = 10 * SECOND;
    for form in FORMS {
        let line = Line::new(form);
        let auth = line.process();
        line.cut(true);
        assert!(!asked(&auth, DAY, step).await);
        let failures = line.failures();
        line.assert_paced(step);
        if form == Form::Refusing {
            assert!(failures > 2000, "{failures} attempts");
            assert_eq!(spent(&auth).await, 0, "what never left costs nothing");
        } else {
            assert!((8..=10).contains(&failures), "{form:?}: {failures} attempts");
            assert_eq!(spent(&auth).await, failures, "{form:?}");
        }
        line.cut(false);
        assert!(asked(&auth, 2 * DAY, MINUTE).await, "{form:?}: it never comes back");
        served(&auth, 12 * HOUR, MINUTE).await;
        assert_eq!((line.issuer.requests(), line.issuer.tokens()), (1, 1), "{form:?}");
    }
}

/// docs/budget.md: an outage that began with all ten units open is over, for a caller without a token, this many times its
/// length after the issuer is back. With gaps of 30 s · r^(k−1) an attempt at time t is followed by one at r·t + 30 s, and r is
/// 2.2834 where ten gaps fill the window.
const WAY_BACK: f64 = 1.3;

fn way_back(length: Duration) -> Duration {
    length.mul_f64(WAY_BACK) + MINUTE
}

#[tokio::test(start_paused = true)]
async fn the_way_back_is_in_proportion_to_the_outage() {
    let minutes = [1, 5, 30, 60, 4 * 60, 12 * 60, 24 * 60];
    for form in FORMS {
        for length in minutes.map(|minutes| minutes * MINUTE) {
            let line = Line::new(form);
            let auth = line.process();
            line.cut(true);
            assert!(!asked(&auth, length, 20 * SECOND).await);
            assert!(line.failures() > 0);
            line.cut(false);
            let back = Instant::now();
            assert!(asked(&auth, 3 * DAY, 20 * SECOND).await, "{form:?} {length:?}: never");
            let took = back.elapsed();
            let bound = if form == Form::Refusing { MINUTE } else { way_back(length) };
            assert!(took <= bound, "{form:?} {length:?}: {took:?} is more than {bound:?}");
        }
    }
}

/// The worst that an outage can do is to end just after an attempt.
#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_just_after_an_attempt_has_no_longer_way_back() {
    for form in [Form::Unavailable, Form::Mute] {
        let line = Line::new(form);
        let auth = line.process();
        line.cut(true);
        let began = Instant::now();
        assert!(!asked(&auth, 26 * HOUR, 20 * SECOND).await);
        let attempts = line.failed.lock().unwrap().clone();
        assert!(attempts.len() > 8, "{form:?}: {} attempts", attempts.len());
        for pair in attempts.windows(2) {
            let (length, took) = (pair[0] - began, pair[1] - pair[0]);
            assert!(took <= way_back(length), "{form:?}: {took:?} after {length:?}");
        }
    }
}

/// The three units of the reserve are gone soon; but when the window has passed since it was spent, the unit of the token that died is there
/// again.
#[tokio::test(start_paused = true)]
async fn a_token_that_dies_in_an_outage_does_not_cost_a_day() {
    let line = Line::new(Form::Unavailable);
    let auth = line.process();
    auth.authorization().await.unwrap();
    let token = auth.status().await.token.unwrap();
    tokio::time::advance(token.renew_in - MINUTE).await;
    line.cut(true);
    served(&auth, token.expires_in - (token.renew_in - MINUTE), 10 * SECOND).await;
    assert!(!asked(&auth, 30 * MINUTE, 10 * SECOND).await);
    line.cut(false);
    let back = Instant::now();
    assert!(asked(&auth, 3 * DAY, MINUTE).await);
    assert!(back.elapsed() <= HOUR, "back after {:?}", back.elapsed());
}
