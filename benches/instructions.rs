//! The hot path in instructions, if valgrind is there: [`benches::instructions::instructions`].
//!
//! `cargo bench -p benches --bench instructions`, which fails if the path has become longer than its target.

use std::process::ExitCode;

use benches::instructions::NOT_COUNTED;
use benches::targets::Target;

fn main() -> ExitCode {
    if benches::child::answered() {
        return ExitCode::SUCCESS;
    }
    let section = benches::instructions::instructions(benches::Scale::of_arguments());
    section.print_alone();
    if let Some(lost) = section.notes.iter().find(|note| note.ends_with(NOT_COUNTED)) {
        eprintln!("{lost}, although valgrind is there");
        return ExitCode::FAILURE;
    }
    let missed = section
        .ratios
        .iter()
        .find(|(name, value)| Target::of(name).is_some_and(|target| !target.is_reached(*value)));
    let Some((name, _)) = missed else { return ExitCode::SUCCESS };
    eprintln!("{name} is more than it may be: what was added to the hot path?");
    ExitCode::FAILURE
}
