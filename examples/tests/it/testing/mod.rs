//! The tests that `docs/testing.md` shows, each file whole: a reader who copies one has what runs here.

mod budget;
mod day;
mod faults;
mod permissions;
mod quotas;

use anyhow::{Context as _, Result, ensure};

const PAGE: &str = include_str!("../../../../docs/testing.md");

const FILES: [&str; 5] = [
    include_str!("budget.rs"),
    include_str!("permissions.rs"),
    include_str!("day.rs"),
    include_str!("quotas.rs"),
    include_str!("faults.rs"),
];

#[test]
fn the_document_shows_these_files_and_no_other_rust() -> Result<()> {
    let shown: Vec<&str> = PAGE
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .collect();
    ensure!(shown.len() == PAGE.matches("```rust").count(), "a block of Rust has attributes");
    ensure!(shown == FILES, "docs/testing.md and tests/it/testing differ");
    Ok(())
}

#[test]
fn the_document_names_every_crate_that_its_tests_use_in_the_version_that_runs_here() -> Result<()> {
    let manifest = include_str!("../../../../Cargo.toml");
    let (_, rest) = PAGE.split_once("[dev-dependencies]\n").context("no dependencies")?;
    let (dependencies, _) = rest.split_once("```").context("an open block")?;
    let names: Vec<&str> =
        dependencies.lines().filter_map(|line| line.split(" = ").next()).collect();
    for (name, file) in names.iter().flat_map(|name| FILES.map(|file| (name, file))) {
        // A crate that nothing uses would be a riddle to a reader.
        let used = format!("{}::", name.replace('-', "_"));
        let is_used = FILES.iter().any(|file| file.contains(&used));
        ensure!(is_used, "no test uses {name}");
        for line in file.lines().filter_map(|line| line.strip_prefix("use ")) {
            let krate = line.split("::").next().unwrap_or_default().replace('_', "-");
            ensure!(krate == "std" || names.contains(&krate.as_str()), "{krate} is not named");
        }
    }
    for line in dependencies.lines() {
        let (name, rest) = line.split_once(" = ").context("a dependency")?;
        let version = rest.split('"').nth(1).context("a version")?;
        let ours = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")));
        ensure!(ours.is_some_and(|ours| ours.contains(&format!("\"{version}"))), "{name}");
    }
    Ok(())
}
