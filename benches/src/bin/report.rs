//! Runs every benchmark, prints its tables, and writes `benches/REPORT.md` and `benches/report.svg`.
//!
//! `cargo run --release -p benches --bin report` takes less than five minutes; `--peers` measures other crates as well, whose
//! build alone takes longer than that; `--quick` only looks whether everything runs. With names of benchmarks, such as `hit layer`,
//! only those run. Neither of the last two writes anything.
//!
//! The last lines are `ratio NAME VALUE`, one for each figure that has a target.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use benches::threads::core_count;
use benches::{Scale, Section};

const CAPTION: &str = "The Authorization header of a request, from a shared place";

type Measure = fn(Scale) -> Section;

const BENCHMARKS: [(&str, Measure); 8] = [
    ("hit", benches::hit::hit),
    ("contended", benches::contended::contended),
    ("refresh_contention", benches::refresh::refresh_contention),
    ("layer", benches::layer::layer),
    ("end_to_end", benches::end_to_end::end_to_end),
    ("herd", benches::herd::herd),
    ("scale", benches::scale::scale),
    ("instructions", benches::instructions::instructions),
];

fn main() -> Result<(), Box<dyn Error>> {
    if benches::child::answered() {
        return Ok(());
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let all = arguments.iter().all(|argument| argument.starts_with('-'));
    let scale = if has("--quick") { Scale::Quick } else { Scale::Whole };
    let machine = format!(
        "{} cores, {} {}; {} bytes of token",
        core_count(),
        std::env::consts::OS,
        std::env::consts::ARCH,
        benches::credential::TOKEN_LENGTH
    );
    println!("{machine}\n");

    let mut sections = Vec::new();
    for (name, measure) in BENCHMARKS {
        if !all && !has(name) {
            continue;
        }
        let section = measure(scale);
        println!("{section}");
        sections.push(section);
    }
    // Their build needs the registry: what was measured here is worth reporting without them, too.
    let peers = has("--peers").then(peers).transpose();
    let (peers, failed) = match peers {
        Ok(peers) => (peers, None),
        Err(error) => (None, Some(error)),
    };
    if scale == Scale::Whole && all {
        write(&machine, &sections, peers.as_deref())?;
    }
    for (name, value) in sections.iter().flat_map(|section| &section.ratios) {
        println!("ratio {name} {value:.3}");
    }
    failed.map_or(Ok(()), Err)
}

fn write(machine: &str, sections: &[Section], peers: Option<&str>) -> Result<(), Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bars: Vec<_> = sections.iter().flat_map(|section| section.bars.clone()).collect();
    benches::picture::draw(&directory.join("report.svg"), CAPTION, &bars)?;

    let mut text = format!(
        "# What it costs\n\nWritten by `cargo run --release -p benches --bin report`, in one run on this machine: {machine}. \
         Read the ratios; the nanoseconds are those of one machine, which may have had other work at the time.\n\n\
         ![{CAPTION}](report.svg)\n\n| ratio | value |\n|---|---:|\n"
    );
    for (name, value) in sections.iter().flat_map(|section| &section.ratios) {
        writeln!(text, "| `{name}` | {value:.3} |")?;
    }
    for section in sections {
        write!(text, "\n{}", section.markdown().trim_end())?;
        text.push('\n');
    }
    if let Some(peers) = peers {
        write!(text, "\n{}\n", peers.trim_end())?;
    }
    std::fs::write(directory.join("REPORT.md"), text)?;
    Ok(())
}

/// The other crates' figures and ours, by their own workspace.
fn peers() -> Result<String, Box<dyn Error>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--release", "--locked", "--manifest-path"]).arg(manifest);
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the measurement of the peers failed".into());
    }
    let text = String::from_utf8(output.stdout)?;
    print!("{text}");
    Ok(text)
}
