//! Why a credential or a key could not be changed.

use std::{error, fmt, io};

use http::StatusCode;

/// A change of credentials or of the legacy key was refused; nothing has changed.
#[derive(Debug)]
pub struct AdminError(Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Name,
    EmptyId,
    NameTaken,
    Unknown,
    KeyThere,
    NoKey,
    Randomness(getrandom::Error),
    Kept(io::Error),
}

impl AdminError {
    /// Whether the name is empty, too long, or has characters that cannot be shown.
    #[must_use]
    pub fn is_name(&self) -> bool {
        matches!(self.0, Kind::Name)
    }

    /// Whether what is to be made is there already: a credential of that name, or the legacy key.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self.0, Kind::NameTaken | Kind::KeyThere)
    }

    /// Whether what is to be changed is not there.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.0, Kind::Unknown | Kind::NoKey)
    }

    /// The status that says it.
    pub(crate) fn status(&self) -> StatusCode {
        match &self.0 {
            Kind::Name | Kind::EmptyId => StatusCode::BAD_REQUEST,
            Kind::Unknown | Kind::NoKey => StatusCode::NOT_FOUND,
            Kind::NameTaken | Kind::KeyThere => StatusCode::CONFLICT,
            Kind::Randomness(_) | Kind::Kept(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Name => "a credential's name has 1 to 100 characters, all of which can be seen",
            Kind::EmptyId => "a client's id must not be empty",
            Kind::NameTaken => "there is a credential of that name: choose another one",
            Kind::Unknown => "there is no such credential",
            Kind::KeyThere => "there is an API key already: revert it to get another one",
            Kind::NoKey => "there is no API key yet: generate one",
            Kind::Randomness(_) => "the operating system gave no randomness",
            Kind::Kept(_) => "the change could not be written down",
        })
    }
}

impl error::Error for AdminError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Randomness(source) => Some(source),
            Kind::Kept(source) => Some(source),
            _ => None,
        }
    }
}

impl From<Kind> for AdminError {
    fn from(kind: Kind) -> Self {
        Self(kind)
    }
}

impl From<getrandom::Error> for AdminError {
    fn from(source: getrandom::Error) -> Self {
        Self(Kind::Randomness(source))
    }
}

impl From<io::Error> for AdminError {
    fn from(source: io::Error) -> Self {
        Self(Kind::Kept(source))
    }
}
