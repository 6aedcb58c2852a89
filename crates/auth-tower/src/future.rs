//! The future of a response: the inner call, and what a missing or refused token adds to it.
//!
//! Only the token's future is boxed, and only when it is needed; the waiting state is boxed as a whole so that the common
//! case stays as small as the inner future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use auth_core::{Authorization, BoxFuture, Generation};
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::error::BoxError;
use crate::shared::{Handle, Shared};
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
    shared: Handle<S>,
    spare: Option<Box<Spare<B>>>,
}

/// A request that is not sent yet.
struct Waiting<S: Service<Request<B>>, B> {
    token: Token,
    service: S,
    request: Option<Request<B>>,
    /// The API's 401, for a request that is sent again: the answer if there is no other token.
    refused: Option<S::Response>,
    shared: Handle<S>,
    spare: Option<Box<Spare<B>>>,
}

/// The token that a request waits for, and then the one that waits for the inner service.
enum Token {
    Awaited(BoxFuture<'static, Result<Authorization, auth_core::Error>>),
    There(Authorization),
}

impl<S, B> Sent<S, B> {
    #[inline]
    pub(crate) fn new(
        generation: Generation,
        shared: Handle<S>,
        spare: Option<Box<Spare<B>>>,
    ) -> Self {
        Self { generation, shared, spare }
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
        shared: Handle<S>,
        spare: Option<Box<Spare<B>>>,
    ) -> Self {
        let authenticator = shared.authenticator.clone();
        let waiting = Waiting {
            token: Token::Awaited(Box::pin(async move { authenticator.authorization().await })),
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
                    let response = ready!(future.poll(cx)).map_err(Into::into)?;
                    let wants_nonce = sent.as_ref().is_some_and(|sent| sent.wants_nonce(&response));
                    if response.status() != StatusCode::UNAUTHORIZED {
                        return Poll::Ready(Ok(response));
                    }
                    match sent.take() {
                        Some(sent) if wants_nonce => sent.again_with_nonce(response),
                        Some(sent)
                            if sent.shared.authenticator.is_about_proof(response.headers()) =>
                        {
                            return Poll::Ready(Ok(response));
                        }
                        Some(sent) => sent.refused(response),
                        None => return Poll::Ready(Ok(response)),
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

impl<S, B, ResB> Sent<S, B>
where
    S: Service<Request<B>, Response = Response<ResB>> + Clone,
{
    /// Takes a server's nonce from the answer to a request that carried a proof (RFC 9449 §9); whether it refused the request for
    /// want of that.
    #[inline]
    fn wants_nonce(&self, response: &Response<ResB>) -> bool {
        let proved = self.spare.as_ref().and_then(|spare| spare.proved.as_ref());
        proved.is_some_and(|proved| {
            let Shared { authenticator, assumed, .. } = &*self.shared;
            let (status, headers) = (response.status(), response.headers());
            authenticator.heed_nonce(&proved.uri, assumed.as_ref(), status, headers)
        })
    }

    /// The server wants its nonce in the proof, and has nothing against the token: send the request again with the token at
    /// hand, once.
    #[cold]
    #[inline(never)]
    fn again_with_nonce(mut self, response: Response<ResB>) -> Next<S, B> {
        let proved = self.spare.as_mut().and_then(|spare| spare.proved.as_mut());
        let Some(request) = proved.and_then(|proved| proved.request.take()) else {
            return Next::Done(response);
        };
        let Self { shared, spare, .. } = self;
        let authenticator = shared.authenticator.clone();
        let token = Box::pin(async move { authenticator.authorization().await });
        Self::again(token, request, response, shared, spare)
    }

    /// The API answered 401 to the token: send the request again with another, or give the 401 back.
    #[cold]
    #[inline(never)]
    fn refused(self, response: Response<ResB>) -> Next<S, B> {
        let Self { generation, shared, mut spare } = self;
        let Some(request) = spare.as_mut().and_then(|spare| spare.request.take()) else {
            shared.authenticator.refuse(generation);
            return Next::Done(response);
        };
        // What is left of it is for the answer to a proof.
        let spare = spare.filter(|spare| spare.proved.is_some());
        let authenticator = shared.authenticator.clone();
        let token = Box::pin(async move { authenticator.replacement(generation).await });
        Self::again(token, request, response, shared, spare)
    }

    fn again(
        token: BoxFuture<'static, Result<Authorization, auth_core::Error>>,
        request: Request<B>,
        refused: Response<ResB>,
        shared: Handle<S>,
        spare: Option<Box<Spare<B>>>,
    ) -> Next<S, B> {
        let waiting = Waiting {
            token: Token::Awaited(token),
            service: shared.fresh(),
            request: Some(request),
            refused: Some(refused),
            shared,
            spare,
        };
        Next::State(State::Waiting { waiting: Box::new(waiting) })
    }
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
        let newer = self.shared.authenticator.try_authorization();
        let authorization = newer
            .filter(|newer| newer.generation() > awaited.generation())
            .unwrap_or_else(|| awaited.clone());
        let generation = authorization.generation();
        let mut request = self.request.take().expect("this state is left when it is sent");
        request.headers_mut().insert(AUTHORIZATION, authorization.into_header());
        self.shared.prove(&mut request)?;
        let future = self.service.call(request);
        let sent = Sent::new(generation, self.shared.clone(), self.spare.take());
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
