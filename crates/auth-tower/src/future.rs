//! The future of a response: the inner call, and what a missing or refused token adds to it.
//!
//! Only the token's future is boxed, and only when it is needed; the waiting state is boxed as a whole so that the common
//! case stays as small as the inner future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use auth_core::{Authorization, Binding, BoxFuture, Generation, RouteId, Routes};
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::error::BoxError;
use crate::shared::Handle;
use crate::spare::Spare;

pin_project! {
    /// The response of an [`Auth`](crate::Auth) service.
    ///
    /// Dropping it drops the request, and leaves a token request that it waited for alone.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        Calling { #[pin] future: S::Future, sent: Option<Sent<S, B>> },
        Waiting { waiting: Box<Waiting<S, B>> },
        Failed { error: Option<BoxError> },
    }
}

/// What a request was sent with.
pub(crate) struct Sent<S, B> {
    generation: Generation,
    /// The rule that its credential is from; `None` for one that the request itself chose.
    id: Option<RouteId>,
    shared: Handle<S>,
    spare: Option<Box<Spare<B>>>,
}

/// A request that is not sent yet.
struct Waiting<S: Service<Request<B>>, B> {
    token: Token,
    id: Option<RouteId>,
    service: S,
    request: Option<Request<B>>,
    /// The API's 401, for a request that is sent again: the answer if there is no other token.
    refused: Option<S::Response>,
    shared: Handle<S>,
    spare: Option<Box<Spare<B>>>,
}

/// The token that a request waits for, and then the one that waits for the inner service.
enum Token {
    Awaited(Awaited),
    There(Authorization),
}

type Awaited = BoxFuture<'static, Result<Authorization, auth_core::Error>>;

/// The credential of a request: the one that it chose, or the one of its rule.
#[inline]
pub(crate) fn binding<'a, B>(
    routes: &'a Routes,
    id: Option<RouteId>,
    spare: Option<&'a Spare<B>>,
) -> &'a Binding {
    match id {
        Some(id) => routes.binding(id),
        None => {
            let chosen = spare.and_then(|spare| spare.wanted.as_ref()?.chosen.as_ref());
            chosen.expect("a request without a rule has chosen its credential")
        }
    }
}

impl<S, B> Sent<S, B> {
    #[inline]
    pub(crate) fn new(
        generation: Generation,
        id: Option<RouteId>,
        shared: Handle<S>,
        spare: Option<Box<Spare<B>>>,
    ) -> Self {
        Self { generation, id, shared, spare }
    }

    #[inline]
    fn binding(&self) -> &Binding {
        binding(&self.shared.routes, self.id, self.spare.as_deref())
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    #[inline]
    pub(crate) fn calling(future: S::Future, sent: Option<Sent<S, B>>) -> Self {
        Self { state: State::Calling { future, sent } }
    }

    pub(crate) fn failed(error: auth_core::Error) -> Self {
        Self { state: State::Failed { error: Some(error.into()) } }
    }

    pub(crate) fn waiting(
        service: S,
        request: Request<B>,
        id: Option<RouteId>,
        shared: Handle<S>,
        spare: Option<Box<Spare<B>>>,
    ) -> Self {
        let waiting = Waiting {
            token: Token::Awaited(authorization(&shared, id, spare.as_deref())),
            id,
            service,
            request: Some(request),
            refused: None,
            shared,
            spare,
        };
        Self { state: State::Waiting { waiting: Box::new(waiting) } }
    }
}

impl<S, B, ResB> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<ResB>, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Calling { future, sent } => {
                    let mut response = ready!(future.poll(cx)).map_err(Into::into)?;
                    let heeded = sent.as_ref().map(|sent| sent.heed(&mut response));
                    match (heeded, sent.take()) {
                        (Some(Heeded::WantsNonce), Some(sent)) => sent.again_with_nonce(response),
                        (Some(Heeded::Refused), Some(sent)) => sent.refused(response),
                        _ => return Poll::Ready(Ok(response)),
                    }
                }
                StateProj::Waiting { waiting } => ready!(waiting.poll(cx))?,
                StateProj::Failed { error } => {
                    return Poll::Ready(Err(error.take().expect("polled after it was ready")));
                }
            };
            match next {
                Next::State(state) => this.state.set(state),
                Next::Done(response) => return Poll::Ready(Ok(response)),
            }
        }
    }
}

enum Next<S: Service<Request<B>>, B> {
    State(State<S, B>),
    Done(S::Response),
}

/// What an answer says of the credential.
enum Heeded {
    /// Nothing that concerns the caller.
    Done,
    /// The server wants its nonce in the proof, and has nothing against the token (RFC 9449 §9).
    WantsNonce,
    Refused,
}

impl<S, B, ResB> Sent<S, B>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
{
    #[inline]
    fn heed(&self, response: &mut Response<ResB>) -> Heeded {
        if self.spare.is_some() && self.wants_nonce(response) {
            return Heeded::WantsNonce;
        }
        let (status, headers) = (response.status(), response.headers());
        if self.binding().heed(self.generation, status, headers, self.shared.grpc) {
            return Heeded::Refused;
        }
        Heeded::Done
    }

    /// Looks after what was kept of the request: reports where that was asked for, and takes a server's nonce from the answer to a request
    /// that carried a proof (RFC 9449 §9); whether it refused the request for want of that.
    #[inline(never)]
    fn wants_nonce(&self, response: &mut Response<ResB>) -> bool {
        let Some(spare) = &self.spare else { return false };
        if spare.wanted.as_ref().is_some_and(|wanted| wanted.report) {
            response.extensions_mut().insert(self.binding().used(self.generation));
        }
        spare.proved.as_ref().is_some_and(|proved| {
            let assumed = self.shared.routes.assumed_origin();
            let (status, headers) = (response.status(), response.headers());
            self.binding().heed_nonce(&proved.uri, assumed, status, headers)
        })
    }

    /// The server has nothing against the token: send the request again with the token at hand, once.
    #[cold]
    #[inline(never)]
    fn again_with_nonce(mut self, response: Response<ResB>) -> Next<S, B> {
        let proved = self.spare.as_mut().and_then(|spare| spare.proved.as_mut());
        let Some(request) = proved.and_then(|proved| proved.request.take()) else {
            return Next::Done(response);
        };
        let token = authorization(&self.shared, self.id, self.spare.as_deref());
        self.again(token, request, response)
    }

    /// The API refused the token: send the request again with another, or give the answer back.
    #[cold]
    #[inline(never)]
    fn refused(mut self, response: Response<ResB>) -> Next<S, B> {
        // A service that speaks gRPC may have acted.
        let is_401 = response.status() == StatusCode::UNAUTHORIZED;
        let may = |spare: &&mut Box<Spare<B>>| is_401 || spare.is_brought();
        let Some(request) = self.spare.as_mut().filter(may).and_then(|spare| spare.request.take())
        else {
            self.binding().refuse(self.generation);
            return Next::Done(response);
        };
        let token = replacement(&self);
        self.again(token, request, response)
    }

    fn again(self, token: Awaited, request: Request<B>, refused: Response<ResB>) -> Next<S, B> {
        let Self { id, shared, spare, .. } = self;
        let waiting = Waiting {
            token: Token::Awaited(token),
            id,
            service: shared.fresh(),
            request: Some(request),
            refused: Some(refused),
            shared,
            spare,
        };
        Next::State(State::Waiting { waiting: Box::new(waiting) })
    }
}

/// The credential of a request, once there is one.
fn authorization<S, B>(
    shared: &Handle<S>,
    id: Option<RouteId>,
    spare: Option<&Spare<B>>,
) -> Awaited {
    let binding = binding(&shared.routes, id, spare).clone();
    let patience = spare.and_then(Spare::patience);
    Box::pin(async move { binding.authorization(patience).await })
}

/// The credential that follows the one that was refused.
fn replacement<S, B>(sent: &Sent<S, B>) -> Awaited {
    let (binding, refused) = (sent.binding().clone(), sent.generation);
    let patience = sent.spare.as_deref().and_then(Spare::patience);
    Box::pin(async move { binding.replacement(refused, patience).await })
}

impl<S, B, ResB> Waiting<S, B>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next<S, B>, BoxError>> {
        if let Token::Awaited(token) = &mut self.token {
            match (ready!(token.as_mut().poll(cx)), self.refused.take()) {
                // The 401 is dropped here, and with it its connection or its place on one.
                (Ok(authorization), _) => self.token = Token::There(authorization),
                (Err(_), Some(refused)) => return Poll::Ready(Ok(Next::Done(refused))),
                (Err(error), None) => return Poll::Ready(Err(error.into())),
            }
        }
        ready!(self.service.poll_ready(cx)).map_err(Into::into)?;
        let Token::There(awaited) = &self.token else {
            unreachable!("it is there, or this was left above")
        };
        // The inner service may have taken long to get ready: a newer token may be there by now.
        let binding = binding(&self.shared.routes, self.id, self.spare.as_deref());
        let newer = binding.try_authorization();
        let authorization = newer
            .filter(|newer| newer.generation() > awaited.generation())
            .unwrap_or_else(|| awaited.clone());
        let generation = authorization.generation();
        let mut request = self.request.take().expect("this state is left when it is sent");
        request.headers_mut().insert(binding.header_name(), authorization.into_header());
        self.shared.prove(binding, &mut request)?;
        let future = self.service.call(request);
        let sent = Sent::new(generation, self.id, self.shared.clone(), self.spare.take());
        Poll::Ready(Ok(Next::State(State::Calling { future, sent: Some(sent) })))
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
