//! Every interleaving of the core's own code with at most so many preemptions as `LOOM_MAX_PREEMPTIONS` says (2 if it says
//! nothing), for what few threads do at once. A lost wake-up is a deadlock, which loom reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use auth_core_under_loom as auth_core;
use loom::future::block_on;
use loom::thread;

use self::support::*;

#[allow(dead_code, reason = "shared with the other model")]
#[path = "../../support.rs"]
mod support;

async fn pause() {
    thread::yield_now();
}

fn explore(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(2);
    model.max_branches = 100_000;
    let tried = Arc::new(AtomicUsize::new(0));
    let counted = tried.clone();
    model.check(move || {
        run();
        counted.fetch_add(1, SeqCst);
    });
    assert!(tried.load(SeqCst) > 1, "there was nothing to interleave");
    println!("{} interleavings", tried.load(SeqCst));
}

// torture: A1
#[test]
fn two_callers_share_one_flight() {
    explore(|| {
        let issuer = Issuer::new([]);
        let auth = alone(&issuer, &Still::default());
        let other = thread::spawn({
            let auth = auth.clone();
            move || whole(&block_on(auth.authorization()).unwrap())
        });
        assert_eq!(whole(&block_on(auth.authorization()).unwrap()), 1);
        assert_eq!(other.join().unwrap(), 1);
        assert_eq!(issuer.requests(), 1);
    });
}

// torture: A8
#[test]
fn a_reader_sees_whole_tokens_in_their_order() {
    explore(|| {
        let issuer = Issuer::new([]);
        let auth = alone(&issuer, &Still::default());
        block_on(auth.authorization()).unwrap();
        let reader = thread::spawn({
            let auth = auth.clone();
            move || {
                let [first, second] = [(); 2].map(|()| whole(&at_once(&auth)));
                assert!(first <= second, "{first} then {second}");
            }
        });
        assert_eq!(whole(&block_on(auth.renew()).unwrap()), 2);
        assert_eq!(whole(&at_once(&auth)), 2);
        reader.join().unwrap();
    });
}

// torture: B12
#[test]
fn two_refusals_of_one_token_are_one_renewal() {
    explore(|| {
        let issuer = Issuer::new([]);
        let auth = alone(&issuer, &Still::default());
        let first = block_on(auth.authorization()).unwrap().generation();
        let late = thread::spawn({
            let auth = auth.clone();
            move || auth.refuse(first)
        });
        assert_eq!(whole(&block_on(auth.replacement(first)).unwrap()), 2);
        late.join().unwrap();
        assert_eq!(whole(&at_once(&auth)), 2);
        assert_eq!(issuer.requests(), 2);
    });
}
