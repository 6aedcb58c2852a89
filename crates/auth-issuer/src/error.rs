//! Why an issuer did not start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::{error, fmt, io};

use crate::admin_error::AdminError;
use crate::keys::KeyError;

/// The issuer could not start.
#[derive(Debug)]
pub struct StartError(Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Bind(SocketAddr, io::Error),
    NotLoopback(SocketAddr),
    Url(&'static str),
    Directory(PathBuf, io::Error),
    Randomness(getrandom::Error),
    Key(KeyError),
    ClientKey(String, &'static str),
    Register(String, AdminError),
}

impl StartError {
    /// Whether the address was refused because it can be reached from other machines; see
    /// [`IssuerBuilder::allow_non_loopback`](crate::IssuerBuilder::allow_non_loopback).
    #[must_use]
    pub fn is_not_loopback(&self) -> bool {
        matches!(self.0, Kind::NotLoopback(_))
    }

    /// Whether a [`client_key`](crate::IssuerBuilder::client_key) is not a public key that can be used.
    #[must_use]
    pub fn is_client_key(&self) -> bool {
        matches!(self.0, Kind::ClientKey(..))
    }

    /// Whether the [`url`](crate::IssuerBuilder::url) is none that an issuer can have.
    #[must_use]
    pub fn is_url(&self) -> bool {
        matches!(self.0, Kind::Url(_))
    }

    /// Whether the address could not be bound: it is in use, or not this machine's.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        matches!(self.0, Kind::Bind(..))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Bind(address, _) => write!(f, "cannot listen on {address}"),
            Kind::NotLoopback(address) => write!(
                f,
                "{address} can be reached from other machines, and this issuer is for development: bind to a \
                 loopback address, or allow it explicitly"
            ),
            Kind::Url(what) => write!(f, "the issuer's URL cannot be used: {what}"),
            Kind::Directory(path, _) => {
                write!(f, "the state in {} cannot be used", path.display())
            }
            Kind::Randomness(_) => f.write_str("the operating system gave no randomness"),
            Kind::Key(_) => f.write_str("the signing key could not be made"),
            Kind::ClientKey(id, what) => {
                write!(f, "the public key of the client {id:?} cannot be used: {what}")
            }
            Kind::Register(id, _) => write!(f, "the client {id:?} could not be registered"),
        }
    }
}

impl error::Error for StartError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Bind(_, source) | Kind::Directory(_, source) => Some(source),
            Kind::Randomness(source) => Some(source),
            Kind::Key(source) => Some(source),
            Kind::Register(_, source) => Some(source),
            Kind::NotLoopback(_) | Kind::Url(_) | Kind::ClientKey(..) => None,
        }
    }
}

impl From<Kind> for StartError {
    fn from(kind: Kind) -> Self {
        Self(kind)
    }
}

impl From<getrandom::Error> for StartError {
    fn from(source: getrandom::Error) -> Self {
        Self(Kind::Randomness(source))
    }
}
