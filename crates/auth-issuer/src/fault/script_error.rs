//! Why a script file is not one.

use std::{error, fmt};

/// What is wrong with a script file, and where; see [`Script::from_toml`](crate::Script::from_toml).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    line: usize,
    field: Option<String>,
    problem: String,
}

impl ScriptError {
    pub(super) fn new(line: usize, field: Option<String>, problem: impl Into<String>) -> Self {
        Self { line, field, problem: problem.into() }
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The field that is wrong or missing; `None` where the file is not TOML.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(field) = &self.field {
            write!(f, ", `{}`", field.escape_debug())?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl error::Error for ScriptError {}
