//! What a measurement has to say: for a terminal, and for the report.

use std::fmt::{self, Write};

use crate::picture::Bar;

/// How long a measurement may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A few calls, to see that it works: what `cargo test --benches` runs.
    Quick,
    /// As long as its figures need, within the report's five minutes.
    Whole,
}

impl Scale {
    /// By the arguments: cargo passes `--bench` when figures are wanted.
    pub fn of_arguments() -> Self {
        if std::env::args().any(|argument| argument == "--bench") {
            Self::Whole
        } else {
            Self::Quick
        }
    }

    /// The one or the other.
    pub fn pick<T>(self, quick: T, whole: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Whole => whole,
        }
    }
}

/// The figures of one measurement.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The measurement's name, and what it is about.
    pub title: &'static str,
    /// How it was measured, and what the columns are.
    pub method: String,
    /// The figures.
    pub tables: Vec<Table>,
    /// What else there is to say, a line each.
    pub notes: Vec<String>,
    /// What the picture shows.
    pub bars: Vec<Bar>,
    /// What the last lines of the report say.
    pub ratios: Vec<(&'static str, f64)>,
}

/// Rows of cells; the first of each is its name.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The names of the columns.
    pub head: Vec<String>,
    /// The first cell of each is its name.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn markdown(&self) -> String {
        let mut text = format!("| {} |\n", self.head.join(" | "));
        let rule = self.head.iter().enumerate().map(|(i, _)| if i == 0 { "---" } else { "---:" });
        let _ = writeln!(text, "|{}|", rule.collect::<Vec<_>>().join("|"));
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        text
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| {
            lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
        };
        for line in lines() {
            for (column, cell) in line.iter().enumerate() {
                let width = width(column).unwrap_or(0);
                match column {
                    0 => write!(f, "{cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Section {
    /// One without figures so far.
    pub fn new(title: &'static str, method: impl Into<String>) -> Self {
        Self { title, method: method.into(), ..Self::default() }
    }

    /// As a part of a Markdown file.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.method);
        for table in &self.tables {
            let _ = writeln!(text, "{}", table.markdown());
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        text
    }

    /// Prints the figures and the ratios, for a benchmark that runs by itself.
    pub fn print_alone(&self) {
        print!("{self}");
        for (name, value) in &self.ratios {
            println!("ratio {name} {value:.3}");
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "== {}\n{}\n", self.title, self.method)?;
        for table in &self.tables {
            writeln!(f, "{table}")?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}
