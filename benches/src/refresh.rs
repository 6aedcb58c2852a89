//! What a reader notices of renewals.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use auth_core::Authenticator;
use hdrhistogram::Histogram;
use http::HeaderMap;

use crate::clock::{now, sleep};
use crate::credential::{self, Ahead, Issuer, LIFETIME};
use crate::section::{Scale, Section, Table};
use crate::stats::median;
use crate::threads::{core_count, pin};
use crate::work::insert;

const METHOD: &str = "Readers at full speed, one on each core but the last, while `renew()` swaps the snapshot on the last \
core; the issuer answers at once. Each read is timed by itself, the insertion into the `HeaderMap` included, and so are the \
two readings of the clock; the clock alone is the first row. `hangs` is a renewal that an operator asked for and the issuer \
does not answer; `old, hangs` is the same for a token that is due, which is sent like a fresh one. No issuer and no store is as quick as 10,000 renewals a second, so the row after it swaps the snapshot by refusals that come to nothing: each puts the token under suspicion, and takes that back, since the issuer failed a moment ago. Slices of all rows are \
interleaved, and each figure is the median of its slices.";

/// What happens on the last core.
#[derive(Clone, Copy, Debug)]
enum Renewals {
    /// Nothing, and the reader does not read.
    ClockAlone,
    None,
    /// So many a second.
    Rate(u32),
    /// So many swaps a second, two by each refusal.
    Refusals(u32),
    Hang,
    /// And the token is due for renewal.
    OldHang,
}

const ROWS: [(&str, Renewals); 8] = [
    ("the clock alone", Renewals::ClockAlone),
    ("no renewal", Renewals::None),
    ("1 a second", Renewals::Rate(1)),
    ("100 a second", Renewals::Rate(100)),
    ("10,000 a second", Renewals::Rate(10_000)),
    ("10,000 a second, by refusals", Renewals::Refusals(10_000)),
    ("hangs", Renewals::Hang),
    ("old, hangs", Renewals::OldHang),
];
const BASELINE: usize = 1;
const HUNDRED: usize = 3;
const OLD_HANGS: usize = 7;

/// Reads while the token is renewed.
pub fn refresh_contention(scale: Scale) -> Section {
    let (count, length) =
        scale.pick((1, Duration::from_millis(20)), (9, Duration::from_millis(700)));
    let mut slices: [Vec<Slice>; ROWS.len()] = Default::default();
    for _ in 0..count {
        for ((_, renewals), slices) in ROWS.iter().zip(&mut slices) {
            slices.push(slice(*renewals, length));
        }
    }

    let mut section = Section::new("refresh_contention: reads while the token is renewed", METHOD);
    let median_of = |row: usize, figure: fn(&Slice) -> f64| {
        median(&slices[row].iter().map(figure).collect::<Vec<_>>())
    };
    let mut table = Table::new([
        "renewals",
        "swaps/s reached",
        "reads/s and reader",
        "p50 ns",
        "p99 ns",
        "p99.9 ns",
        "max µs",
        "p99.9 to none",
    ]);
    let to_baseline = |row: usize| {
        let pairs = slices[row].iter().zip(&slices[BASELINE]);
        median(&pairs.map(|(slice, none)| slice.p999 / none.p999).collect::<Vec<_>>())
    };
    for (row, (name, _)) in ROWS.iter().enumerate() {
        table.row([
            (*name).to_owned(),
            format!("{:.0}", median_of(row, |slice| slice.swaps)),
            format!("{:.1} M", median_of(row, |slice| slice.reads) / 1e6),
            format!("{:.0}", median_of(row, |slice| slice.p50)),
            format!("{:.0}", median_of(row, |slice| slice.p99)),
            format!("{:.0}", median_of(row, |slice| slice.p999)),
            format!("{:.0}", median_of(row, |slice| slice.max) / 1000.0),
            format!("{:.2}", to_baseline(row)),
        ]);
    }
    section.tables.push(table);
    section.notes.push(format!(
        "{} readers, {count} slices of {} ms each",
        readers(),
        length.as_millis()
    ));
    section.ratios =
        vec![("renewal_p999", to_baseline(HUNDRED)), ("renewal_old_p999", to_baseline(OLD_HANGS))];
    section
}

fn readers() -> usize {
    (core_count() - 1).max(1)
}

struct Slice {
    /// A second.
    swaps: f64,
    /// A second and reader.
    reads: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

fn slice(renewals: Renewals, length: Duration) -> Slice {
    let (issuer, clock) = (Issuer::new(), Ahead::default());
    let builder = credential::builder(&issuer);
    let builder = match renewals {
        // The clock that can be set costs a little more, and only this row needs it.
        Renewals::OldHang => builder.clock(clock.clone()),
        _ => builder,
    };
    let authenticator = builder.build().expect("the settings are good");
    credential::runtime().block_on(authenticator.authorization()).expect("a token");
    if matches!(renewals, Renewals::Hang | Renewals::OldHang) {
        issuer.hang(true);
    }
    issuer.fail(matches!(renewals, Renewals::Refusals(_)));
    if matches!(renewals, Renewals::OldHang) {
        clock.forward(LIFETIME / 100 * 95);
    }

    let over = AtomicBool::new(false);
    let (swaps, histograms) = thread::scope(|scope| {
        let renewer = scope.spawn(|| {
            pin(core_count() - 1);
            renew(&authenticator, renewals, &over)
        });
        let readers: Vec<_> = (0..readers())
            .map(|reader| {
                let (authenticator, over) = (&authenticator, &over);
                scope.spawn(move || {
                    pin(reader);
                    match renewals {
                        Renewals::ClockAlone => reads(|_| (), over),
                        _ => reads(
                            |map| {
                                let authorization = authenticator.try_authorization();
                                insert(map, authorization.expect("valid").into_header());
                            },
                            over,
                        ),
                    }
                })
            })
            .collect();
        sleep(length);
        over.store(true, Relaxed);
        let histograms: Vec<_> =
            readers.into_iter().map(|reader| reader.join().expect("no panic")).collect();
        (renewer.join().expect("no panic"), histograms)
    });
    summary(swaps, &histograms, length)
}

fn summary(swaps: u32, histograms: &[Histogram<u64>], length: Duration) -> Slice {
    let mut all = new_histogram();
    for histogram in histograms {
        all.add(histogram).expect("they are alike");
    }
    let seconds = length.as_secs_f64();
    Slice {
        swaps: f64::from(swaps) / seconds,
        reads: all.len() as f64 / seconds / histograms.len() as f64,
        p50: all.value_at_quantile(0.5) as f64,
        p99: all.value_at_quantile(0.99) as f64,
        p999: all.value_at_quantile(0.999) as f64,
        max: all.max() as f64,
    }
}

/// From 1 ns to 10 s, to three digits.
fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("good bounds")
}

/// Times every read until it is over.
fn reads(mut read: impl FnMut(&mut HeaderMap), over: &AtomicBool) -> Histogram<u64> {
    let (mut histogram, mut map) = (new_histogram(), HeaderMap::with_capacity(8));
    while !over.load(Relaxed) {
        for _ in 0..1_000 {
            let started = now();
            read(&mut map);
            let length = started.elapsed();
            histogram.saturating_record(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    histogram
}

/// How many swaps it came to.
fn renew(authenticator: &Authenticator, renewals: Renewals, over: &AtomicBool) -> u32 {
    let runtime = credential::runtime();
    match renewals {
        Renewals::ClockAlone | Renewals::None => 0,
        Renewals::Hang | Renewals::OldHang => {
            runtime.block_on(async {
                let renewal = tokio::spawn({
                    let authenticator = authenticator.clone();
                    async move { authenticator.renew().await }
                });
                while !over.load(Relaxed) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                renewal.abort();
            });
            0
        }
        Renewals::Rate(rate) => {
            let renewal = || drop(runtime.block_on(authenticator.renew()).expect("a token"));
            paced(rate, over, renewal)
        }
        Renewals::Refusals(rate) => {
            let present = authenticator.try_authorization().expect("a token").generation();
            let refusal = || {
                runtime.block_on(async {
                    authenticator.refuse(present);
                    // Once a second it starts a flight, which is denied.
                    tokio::task::yield_now().await;
                });
            };
            2 * paced(rate / 2, over, refusal)
        }
    }
}

/// How often it was done; at most so many times a second.
fn paced(rate: u32, over: &AtomicBool, mut act: impl FnMut()) -> u32 {
    let gap = Duration::from_secs(1) / rate;
    let mut count = 0;
    // Soon, so that a slow rate has one in every slice.
    let mut due = now() + gap.min(Duration::from_millis(10));
    while !over.load(Relaxed) {
        let left = due.saturating_duration_since(now());
        if left.is_zero() {
            act();
            count += 1;
            // What could not be kept up is not caught up with.
            due = (due + gap).max(now());
        } else if left > Duration::from_millis(1) {
            sleep(left.min(Duration::from_millis(1)));
        } else {
            std::hint::spin_loop();
        }
    }
    count
}
