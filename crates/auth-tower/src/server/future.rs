//! What comes of a request: the inner service's answer, or a refusal.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::ResponseBody;
use super::guard::{Guard, Verification};

pin_project! {
    /// The future of [`RequireToken`](super::RequireToken).
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        /// The request was let through.
        Inner { #[pin] future: S::Future },
        /// The issuer's keys have to be fetched first.
        Waiting { waiting: Box<Waiting<S, B>> },
        Refused { response: Option<Refusal> },
    }
}

type Refusal = Box<Response<Bytes>>;

/// A request that is not served yet. Boxed, so that the common case stays as small as the inner future.
struct Waiting<S, B> {
    /// None once the request was let through.
    verification: Option<Verification>,
    guard: Arc<Guard>,
    /// A clone, which holds nothing of what the inner service shares among its clones before it is polled.
    service: S,
    request: Option<Request<B>>,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn refused(response: Refusal) -> Self {
        Self { state: State::Refused { response: Some(response) } }
    }

    /// With a service that need not be ready.
    pub(super) fn verifying(
        verification: Verification,
        guard: Arc<Guard>,
        service: S,
        request: Request<B>,
    ) -> Self {
        let verification = Some(verification);
        let waiting = Waiting { verification, guard, service, request: Some(request) };
        Self { state: State::Waiting { waiting: Box::new(waiting) } }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Inner { future } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                }
                StateProjection::Refused { response } => {
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Ok(response.map(ResponseBody::refusal)));
                }
                StateProjection::Waiting { waiting } => ready!(waiting.poll(cx))?,
            };
            this.state.set(next);
        }
    }
}

impl<S, B> Waiting<S, B>
where
    S: Service<Request<B>>,
{
    /// What comes of it. A request that is refused never asks the inner service whether it is ready.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<State<S, B>, S::Error>> {
        const SENT: &str = "this state is left when the request is sent";
        if let Some(verification) = &mut self.verification {
            let verified = ready!(verification.as_mut().poll(cx));
            self.verification = None;
            let request = self.request.as_mut().expect(SENT);
            if let Err(response) = self.guard.admit_verified(request, verified) {
                return Poll::Ready(Ok(State::Refused { response: Some(response) }));
            }
        }
        ready!(self.service.poll_ready(cx))?;
        let request = self.request.take().expect(SENT);
        Poll::Ready(Ok(State::Inner { future: self.service.call(request) }))
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
