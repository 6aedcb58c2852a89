//! What is odd about a token that came: said once, and never a reason to refuse it, since it is paid for.

use super::means::Renewal;
use crate::advice::{self, Given};
use crate::clock::Timestamp;
use crate::secret::ClientSecret;
use crate::wire::request::TokenRequest;
use crate::wire::response::TokenResponse;

impl Renewal {
    /// `date` is what the issuer's clock said, `now` what the one here does.
    pub(super) fn advise(
        &self,
        request: &TokenRequest,
        response: &TokenResponse,
        date: Option<Timestamp>,
        now: Timestamp,
    ) {
        let parameters = &request.parameters;
        let given = Given {
            token: response.token.expose(),
            secret: request.client.secret.as_ref().map_or("", ClientSecret::expose),
            client_id: &request.client.id,
            audience: parameters.audience.as_deref(),
            resources: &parameters.resources,
            scopes: &parameters.scopes,
            granted_scope: response.scope.as_deref(),
            expires_in: response.expires_in,
            date,
            now,
            gives_jwts: self.gives_jwts,
        };
        for notice in advice::notices(&given) {
            if self.warned.first(notice.check) {
                tracing::warn!(
                    credential = %self.name,
                    check = notice.check.name(),
                    expected = notice.expected,
                    found = notice.found,
                    "{}",
                    notice.text
                );
            }
        }
    }
}
