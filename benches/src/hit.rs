//! What it costs to put the token on a request while it is fresh, on one thread.

use std::time::Duration;

use crate::credential;
use crate::headers::{self, AWAIT, FLOOR, FORMAT, TRY};
use crate::section::{Scale, Section, Table};
use crate::stats::{median, quantile};
use crate::threads::{Round, calls_in, round};
use crate::work::Case;

const METHOD: &str = "One thread. The floor inserts a clone of a header that only this thread has into a reused \
`HeaderMap`; each other case inserts likewise, from a shared place. `rwlock_format` keeps the token as text behind tokio's \
`RwLock` and makes the header for each request. Nanoseconds per call, the median of the calm rounds; everything is made anew some times, to lie elsewhere in \
memory, since that alone can double a figure. p10 and p90 are those \
of the rounds.";

/// Rounds of one case.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Vec<Round>);

impl Rounds {
    pub(crate) fn push(&mut self, round: Round) {
        self.0.push(round);
    }

    pub(crate) fn calm(&self) -> usize {
        self.0.iter().filter(|round| round.calm).count()
    }

    /// The calm ones; all if there is none.
    pub(crate) fn nanoseconds(&self) -> Vec<f64> {
        let any = self.calm() == 0;
        self.0.iter().filter(|round| any || round.calm).map(|round| round.nanoseconds).collect()
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.nanoseconds())
    }
}

/// The hot path on one thread.
pub fn hit(scale: Scale) -> Section {
    let (layouts, count, length) = scale.pick((1, 1, 50), (9, 9, 1_500));
    let mut cases = Vec::new();
    let mut rounds: Vec<Rounds> = Vec::new();
    let mut kept = Vec::new();
    for layout in 0..layouts {
        // Whatever is made after this lies elsewhere in its page.
        kept.push(vec![0_u8; 200 * layout + 1]);
        cases = headers::cases(&credential::with_token());
        rounds.resize_with(cases.len(), Rounds::default);
        interleaved(&cases, count, Duration::from_micros(length), &mut rounds);
    }

    let mut section = Section::new("hit: one thread", METHOD);
    let median_of = |name| {
        let at = cases.iter().position(|case| case.name == name).expect("it is a case");
        rounds[at].median()
    };
    let mut table = Table::new(["case", "ns", "p10", "p90", "to the floor", "calm rounds"]);
    for (case, rounds) in cases.iter().zip(&rounds) {
        let all = rounds.nanoseconds();
        table.row([
            case.name.to_owned(),
            format!("{:.1}", rounds.median()),
            format!("{:.1}", quantile(&all, 0.1)),
            format!("{:.1}", quantile(&all, 0.9)),
            format!("{:.2}", rounds.median() / median_of(FLOOR)),
            rounds.calm().to_string(),
        ]);
    }
    section.tables.push(table);
    section.ratios = vec![
        ("hit_vs_floor", median_of(TRY) / median_of(FLOOR)),
        ("hit_await_vs_floor", median_of(AWAIT) / median_of(FLOOR)),
        ("hit_vs_rwlock_format", median_of(TRY) / median_of(FORMAT)),
    ];
    section
}

fn interleaved(cases: &[Case], count: usize, length: Duration, rounds: &mut [Rounds]) {
    let calls: Vec<_> = cases.iter().map(|case| calls_in(case, 1, length)).collect();
    for _ in 0..count {
        for ((case, calls), rounds) in cases.iter().zip(&calls).zip(&mut *rounds) {
            rounds.push(round(case, 1, *calls));
        }
    }
}
