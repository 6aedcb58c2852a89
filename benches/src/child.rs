//! Measurements in a process of their own: of memory, which nothing may have touched before, and under valgrind.

use std::process::{Command, Output};

use crate::{herd, instructions, profile, scale};

const MEASURE: &str = "--measure";

/// Answers if this process was started for one measurement; then there is nothing else to do in it.
///
/// To be called first by every binary whose measurements start processes.
pub fn answered() -> bool {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [flag, name, arguments @ ..] = arguments.as_slice() else { return false };
    if flag != MEASURE {
        return false;
    }
    let figures = match name.as_str() {
        herd::NAME => herd::child(arguments),
        scale::NAME => scale::child(arguments),
        instructions::NAME => instructions::child(arguments),
        profile::NAME => profile::child(arguments),
        _ => Vec::new(),
    };
    let figures: Vec<_> = figures.iter().map(f64::to_string).collect();
    println!("{}", figures.join(" "));
    true
}

/// What another process of this binary measures.
pub(crate) fn ask(name: &str, arguments: &[&str]) -> Vec<f64> {
    let output = run(&mut Command::new(this()), name, arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().map(|figure| figure.parse().unwrap_or(f64::NAN)).collect()
}

/// Runs such a process, under another program if that is what the command is.
pub(crate) fn run(command: &mut Command, name: &str, arguments: &[&str]) -> Output {
    command.args([MEASURE, name]).args(arguments).output().expect("this binary can be started")
}

/// This binary.
pub(crate) fn this() -> std::path::PathBuf {
    std::env::current_exe().expect("this binary has a path")
}

/// The argument at this place, as a number.
pub(crate) fn number(arguments: &[String], at: usize) -> usize {
    arguments.get(at).and_then(|argument| argument.parse().ok()).unwrap_or(1)
}

/// How much memory this process has in use, where the platform tells it.
pub(crate) fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0)
}
