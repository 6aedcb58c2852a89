//! What is kept of a request for after its answer.

use std::time::Duration;

use auth_core::{Binding, RequestOptions};
use http::{Request, Uri};

use crate::replay::Replay;

/// In a box, and not there at all if it would be empty.
pub(crate) struct Spare<B> {
    /// The request once more, without a token: for a token that is refused.
    pub(crate) request: Option<Request<B>>,
    pub(crate) proved: Option<Box<Proved<B>>>,
    pub(crate) wanted: Option<Box<Wanted>>,
}

/// What is kept besides of a request that carries a proof (RFC 9449).
pub(crate) struct Proved<B> {
    /// Where it went, since the answer may have a nonce for the next one.
    pub(crate) uri: Uri,
    /// The request once more: for a server that wants its nonce in the proof first.
    pub(crate) request: Option<Request<B>>,
}

/// What is kept besides of a request with options of its own.
pub(crate) struct Wanted {
    /// Its credential, if it is not the one of the routes.
    pub(crate) chosen: Option<Binding>,
    pub(crate) patience: Option<Duration>,
    pub(crate) report: bool,
    /// The second body is one that the request brought.
    pub(crate) brought: bool,
}

impl<B> Spare<B> {
    const EMPTY: Self = Self { request: None, proved: None, wanted: None };

    /// Of a request that has no token yet: a copy gets the token of its own time.
    #[inline]
    pub(crate) fn of<R: Replay<B>>(
        request: &Request<B>,
        replay: &R,
        binding: &Binding,
    ) -> Option<Box<Self>> {
        let again = || by_policy(request, replay);
        let spare = again().map(|body| copy(request, body));
        if binding.proves() { Some(proved(spare, request, again())) } else { spare }
    }

    /// Of a request with options; `chosen` is its credential, if it is not the one of the routes.
    #[inline(never)]
    pub(crate) fn with<R: Replay<B>>(
        request: &Request<B>,
        replay: &R,
        options: &RequestOptions,
        binding: &Binding,
        chosen: bool,
    ) -> Box<Self>
    where
        B: 'static,
    {
        let brought = options.copy::<B>();
        let is_brought = brought.is_some();
        let policy = || {
            if options.replays_never() { None } else { by_policy(request, replay) }
        };
        let spare = brought.or_else(policy).map(|body| copy(request, body));
        let mut spare = if binding.proves() {
            proved(spare, request, options.copy().or_else(policy))
        } else {
            spare.unwrap_or_else(|| Box::new(Self::EMPTY))
        };
        spare.wanted = Some(Box::new(Wanted {
            chosen: chosen.then(|| binding.clone()),
            patience: options.patience(),
            report: options.reports(),
            brought: is_brought,
        }));
        spare
    }

    pub(crate) fn patience(&self) -> Option<Duration> {
        self.wanted.as_ref()?.patience
    }

    /// Whether the copy of the request is one that the request brought itself.
    pub(crate) fn is_brought(&self) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.brought)
    }
}

#[inline]
fn by_policy<B, R: Replay<B>>(request: &Request<B>, replay: &R) -> Option<B> {
    let again = || replay.replay(request.body(), request.extensions());
    replay.takes(request.method()).then(again)?
}

#[cold]
fn proved<B>(
    spare: Option<Box<Spare<B>>>,
    request: &Request<B>,
    again: Option<B>,
) -> Box<Spare<B>> {
    let mut spare = spare.unwrap_or_else(|| Box::new(Spare::EMPTY));
    let again = again.and_then(|body| copy(request, body).request);
    spare.proved = Some(Box::new(Proved { uri: request.uri().clone(), request: again }));
    spare
}

/// The request once more: its head as it is now, and the body that the policy gave.
#[inline(never)]
fn copy<B>(request: &Request<B>, body: B) -> Box<Spare<B>> {
    let mut spare = Box::new(Spare { request: Some(Request::new(body)), ..Spare::EMPTY });
    if let Some(copy) = &mut spare.request {
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        *copy.extensions_mut() = request.extensions().clone();
    }
    spare
}
