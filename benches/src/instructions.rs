//! How many instructions the hot path takes, counted by valgrind's callgrind.

use std::num::NonZeroUsize;
use std::process::{Command, Stdio};

use auth_core::{BootId, BootTime, Clock, Now, Timestamp};

use crate::child::{number, run, this};
use crate::credential::{self, Issuer};
use crate::headers;
use crate::section::{Scale, Section, Table};
use crate::threads::pinned;
use crate::work::block_on;

pub(crate) const NAME: &str = "instructions";

/// How a note ends that says that a figure is missing.
pub const NOT_COUNTED: &str = "callgrind did not count";

const METHOD: &str = "Instructions per call of the cases of `hit`, one thread, counted by callgrind: what a run with more calls \
took more than one with fewer. Unlike the times they hardly differ from run to run. valgrind hides what the kernel lets a process \
read without a system call: so the clock stands still in these runs, the header has one copy, and the figures leave out what it \
costs to read the clock and to ask on which CPU a call runs.";

/// The hot path, in instructions.
pub fn instructions(scale: Scale) -> Section {
    let mut section = Section::new("instructions: the hot path under callgrind", METHOD);
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        section.notes.push("SKIPPED: valgrind is not installed".into());
        return section;
    }
    let (few, many) = scale.pick((1, 2), (1_000, 11_000));
    let cases = headers::cases(&authenticator());
    // A start under valgrind takes a second: for a mere look one case is enough.
    let shown = scale.pick(1, cases.len());
    let mut table = Table::new(["case", "instructions per call", "to the floor"]);
    let mut floor = None;
    for (case, name) in cases.iter().map(|case| case.name).enumerate().take(shown) {
        let counted = |calls: u64| count(case, calls).map(|count| count as f64);
        let Some((less, more)) = counted(few).zip(counted(many)) else {
            section.notes.push(format!("SKIPPED: {name}: {NOT_COUNTED}"));
            continue;
        };
        let each = (more - less) / (many - few) as f64;
        let floor = *floor.get_or_insert(each);
        table.row([name.to_owned(), format!("{each:.0}"), format!("{:.2}", each / floor)]);
        match name {
            headers::TRY => section.ratios.push(("hit_instructions_vs_floor", each / floor)),
            headers::AWAIT => section.ratios.push(("await_instructions_vs_floor", each / floor)),
            _ => {}
        }
    }
    section.tables.push(table);
    section
}

/// All instructions of a process that makes so many calls.
fn count(case: usize, calls: u64) -> Option<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(this());
    let arguments = [case.to_string(), calls.to_string()];
    // A process that is started by a pinned thread has one core.
    let output = pinned(|| run(&mut command, NAME, &arguments.each_ref().map(String::as_str)));
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1))?;
    output.status.success().then(|| collected.trim().parse().ok()).flatten()
}

/// Makes the calls, and nothing else.
pub(crate) fn child(arguments: &[String]) -> Vec<f64> {
    let cases = headers::cases(&authenticator());
    let calls = u64::try_from(number(arguments, 1)).unwrap_or(1);
    if let Some(case) = cases.get(number(arguments, 0)) {
        block_on(case.work().run(calls));
    }
    Vec::new()
}

fn authenticator() -> auth_core::Authenticator {
    let clock = Still(BootId::random());
    // Asking for the CPU ends a process under valgrind, as asking the clock does.
    let builder = credential::builder(&Issuer::new()).clock(clock).header_copies(NonZeroUsize::MIN);
    let authenticator = builder.build();
    let authenticator = authenticator.expect("the settings are good");
    credential::runtime().block_on(authenticator.authorization()).expect("a token");
    authenticator
}

/// Always the same moment.
#[derive(Debug)]
struct Still(BootId);

impl Clock for Still {
    fn coarse(&self) -> Timestamp {
        Timestamp::from_secs(2_000_000_000)
    }

    fn now(&self) -> Now {
        Now { wall: self.coarse(), boot: BootTime { id: self.0, millis: 1_000_000 } }
    }
}
