//! What every request to the page passes before its handler, and what every answer bears.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};

use super::answer::html;
use super::csrf::AdminAccess;
use super::refused::Refused;
use super::render;
use crate::serve::Peer;
use crate::state::State;

/// More than any form of the page needs, in bytes.
const MAX_FORM: usize = 64 * 1024;

/// Nothing but this server's own style sheet and script, in no frame of another page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What was posted.
#[derive(Clone)]
pub(super) struct Fields(Arc<[(String, String)]>);

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Lets through who has the session, and changes that come from the page: no handler can forget it.
pub(super) async fn guard(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    // Read before a refusal too: an answer while the client still writes can reach it as a reset connection.
    let body = to_bytes(body, MAX_FORM).await.unwrap_or_default();
    let fields = Fields(form_urlencoded::parse(&body).into_owned().collect());
    match check(&state.access, &parts, &fields) {
        Ok(()) => {
            let mut request = Request::from_parts(parts, Body::empty());
            request.extensions_mut().insert(fields);
            next.run(request).await
        }
        Err(refused) => refuse(refused),
    }
}

/// Lets through what comes from this machine and asks for this host.
pub(super) async fn admit(
    Extract(state): Extract<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get().map(|Peer(peer)| *peer);
    match state.access.admit(peer, request.uri(), request.headers()) {
        Ok(_) => next.run(request).await,
        Err(refused) => refuse(refused),
    }
}

/// The page for who is not let through.
pub(super) fn refuse(refused: Refused) -> Response {
    tracing::debug!(?refused, "the settings page was refused");
    let mut response = html(refused.status(), render::refused(refused));
    if refused.status() == StatusCode::UNAUTHORIZED {
        // RFC 9110 §15.5.2 wants a challenge; there is no registered one for a cookie.
        let challenge = HeaderValue::from_static(r#"Cookie realm="settings""#);
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// What every answer bears, refusals and redirects too.
///
/// The referrer policy is not `no-referrer`, under which browsers send `Origin: null` from the page's own forms; under
/// this one no other site learns of the page either.
pub(super) async fn headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check(access: &AdminAccess, parts: &Parts, fields: &Fields) -> Result<(), Refused> {
    let peer = parts.extensions.get().map(|Peer(peer)| *peer);
    let host = access.admit(peer, &parts.uri, &parts.headers)?;
    access.check_session(&parts.headers)?;
    if parts.method.is_safe() {
        return Ok(());
    }
    AdminAccess::check_origin(&host, &parts.headers)?;
    access.check_form(fields.get("csrf"))
}
