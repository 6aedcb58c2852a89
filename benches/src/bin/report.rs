//! Runs every benchmark, prints its tables, and writes `benches/REPORT.md` and `benches/report.svg`.
//!
//! `cargo run --release -p benches --bin report` takes less than five minutes; `--peers` measures other crates as well, whose
//! build alone takes longer than that; `--quick` only looks whether everything runs. With names of benchmarks, such as `hit layer`,
//! only those run. Neither of the last two writes anything.
//!
//! The last lines are `ratio NAME VALUE`, one for each figure that has a target. A whole run also puts them into `README.md`.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use benches::targets::Target;
use benches::threads::core_count;
use benches::{Scale, Section};

const CAPTION: &str = "The Authorization header of a request, from a shared place";

/// What stands between them in `README.md` is written here.
const MARKS: [&str; 2] = ["<!-- figures -->", "<!-- end of figures -->"];

type Measure = fn(Scale) -> Section;

const BENCHMARKS: [(&str, Measure); 9] = [
    ("hit", benches::hit::hit),
    ("contended", benches::contended::contended),
    ("refresh_contention", benches::refresh::refresh_contention),
    ("layer", benches::layer::layer),
    ("require_token", benches::require_token::require_token),
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

    let started = benches::clock::now();
    let mut sections = Vec::new();
    for (name, measure) in BENCHMARKS {
        if !all && !has(name) {
            continue;
        }
        let section = measure(scale);
        println!("{section}");
        println!("({name}: {:.0} s so far)\n", started.elapsed().as_secs_f64());
        sections.push(section);
    }
    // Their build needs the registry: what was measured here is worth reporting without them, too.
    let peers = has("--peers").then(peers).transpose();
    let (peers, failed) = match peers {
        Ok(peers) => (peers, None),
        Err(error) => (None, Some(error)),
    };
    let ours = sections.iter().flat_map(|section| &section.ratios);
    let mut ratios: Vec<_> = ours.map(|(name, value)| ((*name).to_owned(), *value)).collect();
    ratios.extend(peers.iter().flat_map(|peers| peers.ratios.clone()));
    if scale == Scale::Whole && all {
        let table = table(&ratios)?;
        write(&machine, &table, &sections, peers.as_ref())?;
        show(&machine, &table)?;
    }
    for (name, value) in &ratios {
        println!("ratio {name} {value:.3}");
    }
    failed.map_or(Ok(()), Err)
}

/// The ratios, what they are to reach, and whether they do.
fn table(ratios: &[(String, f64)]) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("| ratio | value | target | what it is |\n|---|---:|---|---|\n");
    for (name, value) in ratios {
        let target = Target::of(name).ok_or_else(|| format!("{name} has no target"))?;
        let (verdict, is) = (target.verdict(*value), target.is);
        writeln!(text, "| `{name}` | {value:.3} | {verdict} | {is} |")?;
    }
    Ok(text)
}

/// Puts the ratios into `README.md`, between two marks.
fn show(machine: &str, table: &str) -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(MARKS[0]).ok_or("README.md has no place for figures")?;
    let (_, after) = rest.split_once(MARKS[1]).ok_or("README.md's place for figures has no end")?;
    let [start, end] = MARKS;
    let text = format!("{before}{start}\n{machine}:\n\n{table}{end}{after}");
    Ok(std::fs::write(path, text)?)
}

fn write(
    machine: &str,
    table: &str,
    sections: &[Section],
    peers: Option<&Peers>,
) -> Result<(), Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bars: Vec<_> = sections.iter().flat_map(|section| section.bars.clone()).collect();
    benches::picture::draw(&directory.join("report.svg"), CAPTION, &bars)?;

    let mut text = format!(
        "# What it costs\n\nWritten by `cargo run --release -p benches --bin report`, in one run on this machine: {machine}. \
         Read the ratios; the nanoseconds are those of one machine, which may have had other work at the time.\n\n\
         ![{CAPTION}](report.svg)\n\n{table}\nWhat is missed, and why, is in [docs/hot-path.md](../docs/hot-path.md).\n"
    );
    for section in sections {
        write!(text, "\n{}", section.markdown().trim_end())?;
        text.push('\n');
    }
    if let Some(peers) = peers {
        write!(text, "\n{}\n", peers.markdown.trim_end())?;
    }
    std::fs::write(directory.join("REPORT.md"), text)?;
    Ok(())
}

/// What the other crates' workspace prints.
struct Peers {
    markdown: String,
    ratios: Vec<(String, f64)>,
}

/// The other crates' figures and ours, by their own workspace.
fn peers() -> Result<Peers, Box<dyn Error>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--release", "--locked", "--manifest-path"]).arg(manifest);
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the measurement of the peers failed".into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (mut markdown, mut ratios) = (String::new(), Vec::new());
    for line in text.lines() {
        match line.strip_prefix("ratio ").and_then(|ratio| ratio.split_once(' ')) {
            Some((name, value)) => ratios.push((name.to_owned(), value.parse()?)),
            None => writeln!(markdown, "{line}")?,
        }
    }
    print!("{markdown}");
    Ok(Peers { markdown, ratios })
}
