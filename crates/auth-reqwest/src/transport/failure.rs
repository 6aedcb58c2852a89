//! What a failed exchange cost: nothing, if the request certainly never left.

use std::error::Error as StdError;
use std::{fmt, iter};

use auth_core::TransportError;

/// How hyper-util's connector without TLS puts that it was given an `https` URL; there is no type to ask. The text costs
/// nothing but the advice if it changes.
const NOT_HTTP: &str = "invalid URL, scheme is not http";

/// The failure of a request that has no answer yet.
///
/// `is_connect` is true of errors of the connector only: name resolution, TCP, a proxy's tunnel, TLS, and the time that was
/// allowed for them. An HTTP connection that fails to start is another kind of error, and in doubt. The deadline of the whole
/// exchange is no error of the connector either, and so in doubt even when it comes while connecting.
pub(super) fn of_sending(error: reqwest::Error) -> TransportError {
    if !error.is_connect() {
        return of_reading(error);
    }
    if chain(&error).any(|link| link.to_string() == NOT_HTTP) {
        return TransportError::not_sent(NoTls);
    }
    TransportError::not_sent(error.without_url())
}

/// The failure of an answer that has begun.
pub(super) fn of_reading(error: reqwest::Error) -> TransportError {
    if error.is_timeout() {
        TransportError::timeout()
    } else {
        TransportError::in_doubt(error.without_url())
    }
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    iter::successors(Some(error as &(dyn StdError + 'static)), |&link| link.source())
}

/// The endpoint is `https`, and reqwest was built without TLS.
#[derive(Debug)]
struct NoTls;

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the token endpoint is https, and this build has no TLS: enable the feature `rustls` or `native-tls` of \
             auth-reqwest",
        )
    }
}

impl StdError for NoTls {}
