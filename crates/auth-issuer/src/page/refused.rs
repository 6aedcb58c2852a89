//! Why a request to the settings page or to the admin API is not answered.

use http::StatusCode;

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The peer is another machine, or nobody knows who.
    Peer,
    /// `Host` is missing, malformed, there twice, or a name that a foreign site can have.
    Host,
    /// The session's cookie is missing or wrong.
    NoSession,
    /// The request does not come from the page itself.
    CrossSite,
    /// The form's value is missing or wrong.
    FormToken,
}

impl Refused {
    /// The status that says it.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Peer | Self::CrossSite | Self::FormToken => StatusCode::FORBIDDEN,
            // RFC 9110 §15.5.20: this server does not answer for that name.
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::NoSession => StatusCode::UNAUTHORIZED,
        }
    }

    /// What a reader can do about it.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Peer => {
                "This is served to the machine that the issuer runs on, and no other. From elsewhere, forward a port: ssh -L."
            }
            Self::Host => {
                "This is served under localhost, 127.0.0.1, or the address that the issuer listens on. Open it by one \
                 of these."
            }
            Self::NoSession => {
                "Open the address that the program printed when it started. It lets this browser in until the program \
                 ends."
            }
            Self::CrossSite => {
                "The request did not come from the settings page, so nothing was changed. Open the page and try again."
            }
            Self::FormToken => {
                "The form was not one of this run of the program, so nothing was changed. Reload the page and try \
                 again."
            }
        }
    }
}
