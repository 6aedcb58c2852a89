//! What comes of a request: the inner service's answer, or a refusal.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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
        Verifying {
            verification: Verification,
            pending: Option<Pending<S, B>>,
        },
        Refused { response: Option<Box<Response<bytes::Bytes>>> },
    }
}

/// What goes on once the token has been verified. The service is the one that was ready.
struct Pending<S, B> {
    guard: Arc<Guard>,
    service: S,
    request: Request<B>,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn refused(response: Box<Response<bytes::Bytes>>) -> Self {
        Self { state: State::Refused { response: Some(response) } }
    }

    pub(super) fn verifying(
        verification: Verification,
        guard: Arc<Guard>,
        service: S,
        request: Request<B>,
    ) -> Self {
        let pending = Some(Pending { guard, service, request });
        Self { state: State::Verifying { verification, pending } }
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
                StateProjection::Verifying { verification, pending } => {
                    let verified = ready!(verification.as_mut().poll(cx));
                    let pending = pending.take().expect("polled after it was ready");
                    let Pending { guard, mut service, mut request } = pending;
                    match guard.admit_verified(&mut request, verified) {
                        Ok(()) => State::Inner { future: service.call(request) },
                        Err(response) => State::Refused { response: Some(response) },
                    }
                }
            };
            this.state.set(next);
        }
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
