//! What is wrong with a private key.

use std::error::Error as StdError;
use std::fmt;

/// Why a text is no private key to sign with. It says what the text is instead, and how to make one of it; it shows no
/// part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError(String);

impl KeyError {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no private key to sign with: {}", self.0)
    }
}

impl StdError for KeyError {}
