//! Who the client is (RFC 6749 §2.3): by its secret, or by an assertion under its key.

use secrecy::ExposeSecret;

use super::answer::Refusal;
use super::request::TokenRequest;
use crate::clock::Clock as _;
use crate::credential::{Grant, Known, Serial};
use crate::state::State;

/// The client that made `request`, as it has proven, and what it may have.
///
/// # Errors
///
/// When it has not, or the request is malformed.
pub(super) fn authenticate<'r>(
    state: &State,
    request: &'r TokenRequest,
) -> Result<(&'r str, Serial, Grant), Refusal> {
    if let Some(problem) = request.problem {
        return Err(problem);
    }
    let refused = Refusal::InvalidClient { by_header: request.used_header() };
    let id = request.client_id.as_deref().ok_or(refused)?;
    let known = match (&request.assertion, &request.secret) {
        (Some(assertion), _) => {
            let (oauth, now) = (&state.oauth, state.clock.now());
            let checked = oauth.keys.check(id, assertion.expose_secret(), oauth.audiences(), now);
            // The client is not told why: who guesses is not to be helped.
            checked.map_err(|error| {
                let client = state.registry.shown(Some(id));
                tracing::debug!(?error, client, "assertion refused");
                refused
            })?;
            state.registry.known(id)
        }
        (None, Some(secret)) => state.registry.authenticate(id, secret.expose_secret()),
        (None, None) => Known::No,
    };
    match known {
        Known::Yes(serial, grant) => Ok((id, serial, grant)),
        Known::Disabled => Err(Refusal::Disabled),
        Known::No => Err(refused),
    }
}
