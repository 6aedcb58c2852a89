//! The hot path on several threads at once.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use auth_core::Authenticator;
use http::HeaderValue;
use tokio::runtime::Runtime;

use crate::clock::now;
use crate::credential;
use crate::headers::{self, FLOOR, TRY};
use crate::hit::Rounds;
use crate::section::{Scale, Section, Table};
use crate::stats::median;
use crate::threads::{calls_in, core_count, pin, pinned, round};
use crate::work::Case;

const THREADS: [usize; 5] = [1, 2, 4, 8, 16];
/// To get a calm round.
const TRIES: usize = 4;
const TASKS: [usize; 2] = [2, 64];
/// A task lets others run after this many calls.
const TURN: u64 = 500;
/// How many headers go to the thread that drops them at once.
const HANDFUL: usize = 256;

const METHOD: &str = "The cases of `hit` on several pinned threads that start together, each with a `HeaderMap` of its own. \
Nanoseconds per call and core: what did not contend would stay as it is at one thread. Up to as many threads as there are \
cores it is the median of the calm rounds, if there was one; with more threads than cores none is calm, and all count. `flat` \
is a run of its own that goes on until there are enough calm rounds. Tasks run on a \
runtime with one pinned worker per core. `dropped elsewhere` hands each header, in handfuls, to a second thread that drops it, \
as hyper's connections do.";

/// The hot path on several threads, in tasks, and with the header dropped on another thread.
pub fn contended(scale: Scale) -> Section {
    let cores = core_count();
    let authenticator = credential::with_token();
    let cases = headers::cases(&authenticator);
    let mut section = Section::new(
        "contended: several threads",
        format!(
            "{METHOD} This machine has {cores} cores: columns beyond that say what oversubscription costs."
        ),
    );

    let threads = in_threads(&cases, &THREADS, scale);
    let median_of = |name, count| threads[&(name, count)].median();
    let heads = THREADS.map(|threads| format!("{threads} threads"));
    let mut table =
        Table::new(["case".to_owned()].into_iter().chain(heads).chain(["2 to 1".into()]));
    for case in &cases {
        let cells = THREADS.map(|count| format!("{:.1}", median_of(case.name, count)));
        let flat = median_of(case.name, 2) / median_of(case.name, 1);
        table.row([case.name.to_owned()].into_iter().chain(cells).chain([format!("{flat:.2}")]));
    }
    section.tables.push(table);
    section.bars = cases
        .iter()
        .map(|case| (case.name, [1, 2].map(|threads| median_of(case.name, threads))))
        .collect();

    let (table, flat) = flatness(scale, || {
        let authenticator = credential::with_token();
        [headers::floor()].into_iter().chain(headers::ours(&authenticator)).collect()
    });
    section.tables.push(table);
    section.ratios = vec![("flat_2_threads", flat)];
    section.tables.push(in_tasks(&cases, scale));
    section.tables.push(dropped_elsewhere(&authenticator, scale));
    section
}

/// Rounds of each case on each number of threads.
pub(crate) fn in_threads(
    cases: &[Case],
    numbers: &[usize],
    scale: Scale,
) -> BTreeMap<(&'static str, usize), Rounds> {
    let (count, length, limit) = scale.pick((1, 20, 1), (25, 1_000, 40));
    let length = Duration::from_micros(length);
    let mut rounds = BTreeMap::<_, Rounds>::new();
    let started = now();
    for turn in 0..count {
        for case in cases {
            for &threads in numbers {
                let calls = calls_in(case, threads, length);
                let rounds = rounds.entry((case.name, threads)).or_default();
                let calm = rounds.calm();
                // On a machine with other work most rounds of all its cores are not calm.
                for _ in 0..if threads > core_count() { 1 } else { TRIES } {
                    rounds.push(round(case, threads, calls));
                    if rounds.calm() > calm {
                        break;
                    }
                }
            }
        }
        if turn > 0 && started.elapsed() > Duration::from_secs(limit) {
            break;
        }
    }
    rounds
}

/// Of each case: what a call costs at two threads, over what it costs at one; and that of the second to that of the first, which
/// is the floor. Only calm rounds count.
pub(crate) fn flatness(scale: Scale, make: impl Fn() -> Vec<Case>) -> (Table, f64) {
    let (layouts, wanted, length, limit) = scale.pick((1, 1, 20, 1), (7, 7, 500, 4));
    let mut figures: Vec<(&str, [Rounds; 2])> = Vec::new();
    let mut kept = Vec::new();
    for layout in 0..layouts {
        // As in `hit`: what is made after this lies elsewhere in its page.
        kept.push(vec![0_u8; 200 * layout + 1]);
        let cases = make().into_iter();
        let cases: Vec<_> =
            cases.map(|case| (calls_in(&case, 2, Duration::from_micros(length)), case)).collect();
        figures.resize_with(cases.len(), Default::default);
        let enough = (layout + 1) * wanted;
        let started = now();
        while started.elapsed() < Duration::from_secs(limit)
            && figures.iter().any(|(_, [one, two])| one.calm().min(two.calm()) < enough)
        {
            for ((calls, case), (name, rounds)) in cases.iter().zip(&mut figures) {
                *name = case.name;
                for (threads, rounds) in [1, 2].into_iter().zip(rounds) {
                    rounds.push(round(case, threads, *calls));
                }
            }
        }
    }
    let mut table = Table::new(["flat", "1 thread", "2 threads", "2 to 1", "calm rounds at 2"]);
    let mut flat = Vec::new();
    for (name, [one, two]) in &figures {
        // Without a calm round there is no figure.
        let calm = |rounds: &Rounds| if rounds.calm() == 0 { f64::NAN } else { rounds.median() };
        let (one, median) = (calm(one), calm(two));
        flat.push(median / one);
        table.row([
            (*name).to_owned(),
            format!("{one:.1}"),
            format!("{median:.1}"),
            format!("{:.2}", median / one),
            two.calm().to_string(),
        ]);
    }
    (table, flat[1] / flat[0])
}

fn in_tasks(cases: &[Case], scale: Scale) -> Table {
    let (count, calls) = scale.pick((1, 200), (11, 40_000));
    let runtime = pinned_runtime();
    let mut lengths = BTreeMap::<_, Vec<f64>>::new();
    for _ in 0..count {
        for case in cases {
            for tasks in TASKS {
                let length = tasks_round(&runtime, case, tasks, calls / tasks as u64);
                lengths.entry((case.name, tasks)).or_default().push(length);
            }
        }
    }
    let mut table = Table::new(
        ["case".to_owned()].into_iter().chain(TASKS.map(|tasks| format!("{tasks} tasks"))),
    );
    for case in cases {
        let cells = TASKS.map(|tasks| format!("{:.1}", median(&lengths[&(case.name, tasks)])));
        table.row([case.name.to_owned()].into_iter().chain(cells));
    }
    table
}

fn pinned_runtime() -> Runtime {
    let workers = AtomicUsize::new(0);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(core_count())
        .on_thread_start(move || pin(workers.fetch_add(1, Relaxed)))
        .build()
        .expect("a runtime")
}

/// Nanoseconds per call and core.
fn tasks_round(runtime: &Runtime, case: &Case, tasks: usize, calls: u64) -> f64 {
    let work: Vec<_> = (0..tasks).map(|_| case.work()).collect();
    let turns = calls.div_ceil(TURN);
    let started = now();
    let handles: Vec<_> = work
        .into_iter()
        .map(|mut work| {
            runtime.spawn(async move {
                for _ in 0..turns {
                    work.run(TURN).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for handle in handles {
        runtime.block_on(handle).expect("no case panics");
    }
    let length = started.elapsed().as_nanos() as f64;
    length * core_count() as f64 / (tasks as u64 * turns * TURN) as f64
}

fn dropped_elsewhere(authenticator: &Authenticator, scale: Scale) -> Table {
    let (count, handfuls) = scale.pick((1, 4), (31, 100));
    let (private, shared) =
        (credential::header(), arc_swap::ArcSwap::from_pointee(credential::header()));
    let mut rounds = [FLOOR, "arc_swap", TRY].map(|name| (name, Vec::new()));
    pinned(|| {
        for _ in 0..count {
            let lengths = [
                handed_over(handfuls, || private.clone()),
                handed_over(handfuls, || HeaderValue::clone(&shared.load())),
                handed_over(handfuls, || {
                    authenticator.try_authorization().expect("fresh").into_header()
                }),
            ];
            for ((_, rounds), length) in rounds.iter_mut().zip(lengths) {
                rounds.push(length);
            }
        }
    });
    let floor = median(&rounds[0].1);
    let mut table = Table::new(["dropped elsewhere", "ns", "to the floor"]);
    for (name, lengths) in rounds {
        let length = median(&lengths);
        table.row([name.to_owned(), format!("{length:.1}"), format!("{:.2}", length / floor)]);
    }
    table
}

/// Nanoseconds per header. This thread waits for the other at times, so that no round is known to be calm.
fn handed_over(handfuls: usize, mut header: impl FnMut() -> HeaderValue) -> f64 {
    let (filled, to_drop) = sync_channel::<Vec<HeaderValue>>(8);
    let (emptied, reused) = sync_channel(8);
    thread::scope(move |scope| {
        scope.spawn(move || {
            pin(1);
            for mut headers in to_drop {
                headers.clear();
                // The other side may be done.
                let _ = emptied.send(headers);
            }
        });
        // Dropped at the end of this closure, which ends the other thread.
        let filled = filled;
        for _ in 0..4 {
            filled.send(Vec::with_capacity(HANDFUL)).expect("it listens");
        }
        let started = now();
        for _ in 0..handfuls {
            let mut headers = reused.recv().expect("as many come back as went");
            for _ in 0..HANDFUL {
                headers.push(black_box(header()));
            }
            filled.send(headers).expect("it listens");
        }
        started.elapsed().as_nanos() as f64 / (handfuls * HANDFUL) as f64
    })
}
