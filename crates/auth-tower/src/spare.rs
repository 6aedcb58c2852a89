//! What is kept of a request for after its answer.

use auth_core::Authenticator;
use http::{Request, Uri};

use crate::replay::Replay;

/// In a box, and not there at all if it would be empty.
pub(crate) struct Spare<B> {
    /// The request once more, without a token: for a token that is refused.
    pub(crate) request: Option<Request<B>>,
    pub(crate) proved: Option<Box<Proved<B>>>,
}

/// What is kept besides of a request that carries a proof (RFC 9449).
pub(crate) struct Proved<B> {
    /// Where it went, since the answer may have a nonce for the next one.
    pub(crate) uri: Uri,
    /// The request once more: for a server that wants its nonce in the proof first.
    pub(crate) request: Option<Request<B>>,
}

impl<B> Spare<B> {
    /// Of a request that has no token yet: a copy gets the token of its own time.
    #[inline]
    pub(crate) fn of<R: Replay<B>>(
        request: &Request<B>,
        replay: &R,
        authenticator: &Authenticator,
    ) -> Option<Box<Self>> {
        let body = replay.replay(request.body(), request.extensions());
        let spare = body.map(|body| copy(request, body));
        if authenticator.proves() { Some(proved(spare, request, replay)) } else { spare }
    }
}

#[cold]
fn proved<B, R: Replay<B>>(
    spare: Option<Box<Spare<B>>>,
    request: &Request<B>,
    replay: &R,
) -> Box<Spare<B>> {
    let mut spare = spare.unwrap_or_else(|| Box::new(Spare { request: None, proved: None }));
    let body = replay.replay(request.body(), request.extensions());
    let again = body.and_then(|body| copy(request, body).request);
    spare.proved = Some(Box::new(Proved { uri: request.uri().clone(), request: again }));
    spare
}

/// The request once more: its head as it is now, and the body that the policy gave.
#[inline(never)]
fn copy<B>(request: &Request<B>, body: B) -> Box<Spare<B>> {
    let mut spare = Box::new(Spare { request: Some(Request::new(body)), proved: None });
    if let Some(copy) = &mut spare.request {
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        *copy.extensions_mut() = request.extensions().clone();
    }
    spare
}
