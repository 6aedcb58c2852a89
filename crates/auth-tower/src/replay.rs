//! Which requests may be sent again after a 401, and with which body.
//!
//! A 401 means that the API did not act, so requests of every method are sent again. A request can be sent again only if
//! its body is still there: so a policy is asked *before* the request is sent. Where it says yes, one copy of the
//! request's head is taken; where it says no, nothing is copied. What a request says of itself counts before any policy:
//! [`RequestOptions::replay_with`](auth_core::RequestOptions::replay_with) and
//! [`never_replay`](auth_core::RequestOptions::never_replay).

use std::any::Any;
use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use http::{Extensions, Method};
use http_body::Body;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{Empty, Full};

use crate::error::BoxError;

/// Decides whether a request can be sent a second time.
pub trait Replay<B> {
    /// A second body for a request that has not been sent yet; `None` if it can be sent only once.
    fn replay(&self, body: &B, extensions: &Extensions) -> Option<B>;

    /// Whether requests of this method may be sent a second time at all: of every method, unless a policy says otherwise.
    #[inline]
    fn takes(&self, _method: &Method) -> bool {
        true
    }
}

/// The default, for every body type: bodies of the usual types that are empty or cheap to clone (`()`, `Full<Bytes>`,
/// `Empty<Bytes>`, and empty `String`, `BoxBody<Bytes, E>` and `UnsyncBoxBody<Bytes, E>` for the usual errors `E`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Auto;

impl<B: 'static> Replay<B> for Auto {
    #[inline]
    fn replay(&self, body: &B, _: &Extensions) -> Option<B> {
        known(body)
    }
}

/// Bodies that are empty, of any type that has an empty default: the ones of http-body-util, tonic and axum do.
#[derive(Clone, Copy, Debug, Default)]
pub struct IfEmpty;

impl<B: Body + Default> Replay<B> for IfEmpty {
    #[inline]
    fn replay(&self, body: &B, _: &Extensions) -> Option<B> {
        let empty = |body: &B| body.is_end_stream() || body.size_hint().exact() == Some(0);
        empty(body).then(B::default).filter(empty)
    }
}

/// Every body of a type that is `Clone`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloned;

impl<B: Clone> Replay<B> for Cloned {
    #[inline]
    fn replay(&self, body: &B, _: &Extensions) -> Option<B> {
        Some(body.clone())
    }
}

/// By a function of your own: `With(|body: &MyBody| body.copy_if_small())`.
#[derive(Clone, Copy)]
pub struct With<F>(pub F);

impl<B, F: Fn(&B) -> Option<B>> Replay<B> for With<F> {
    #[inline]
    fn replay(&self, body: &B, _: &Extensions) -> Option<B> {
        (self.0)(body)
    }
}

impl<F> fmt::Debug for With<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("With").finish_non_exhaustive()
    }
}

/// What another policy says, for idempotent methods alone (RFC 9110 §9.2.2): for an API that may have acted before it answers 401.
///
/// ```
/// # fn layer(authenticator: auth_core::Authenticator) {
/// use auth_tower::{AuthLayer, Auto, Idempotent};
///
/// let layer = AuthLayer::new(authenticator).replay(Idempotent(Auto));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Idempotent<R>(pub R);

impl<B, R: Replay<B>> Replay<B> for Idempotent<R> {
    #[inline]
    fn replay(&self, body: &B, extensions: &Extensions) -> Option<B> {
        self.0.replay(body, extensions)
    }

    #[inline]
    fn takes(&self, method: &Method) -> bool {
        method.is_idempotent() && self.0.takes(method)
    }
}

/// No request is sent twice. Nothing is copied or allocated, whatever the body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl<B> Replay<B> for Never {
    #[inline]
    fn replay(&self, _: &B, _: &Extensions) -> Option<B> {
        None
    }
}

/// A second body, if the type is one of the usual ones. The comparisons of type ids fold away in an optimised build.
#[inline]
fn known<B: 'static>(body: &B) -> Option<B> {
    type Boxed<E> = BoxBody<Bytes, E>;
    type Unsync<E> = UnsyncBoxBody<Bytes, E>;

    clone_of::<Full<Bytes>, B>(body)
        .or_else(|| clone_of::<Empty<Bytes>, B>(body))
        .or_else(|| clone_of::<(), B>(body))
        .or_else(|| empty_of::<String, B>(body))
        .or_else(|| empty_of::<Boxed<Infallible>, B>(body))
        .or_else(|| empty_of::<Boxed<BoxError>, B>(body))
        .or_else(|| empty_of::<Boxed<std::io::Error>, B>(body))
        .or_else(|| empty_of::<Unsync<Infallible>, B>(body))
        .or_else(|| empty_of::<Unsync<BoxError>, B>(body))
        .or_else(|| empty_of::<Unsync<std::io::Error>, B>(body))
}

#[inline]
fn clone_of<T: Clone + 'static, B: 'static>(body: &B) -> Option<B> {
    (body as &dyn Any).downcast_ref::<T>().cloned().and_then(same)
}

#[inline]
fn empty_of<T: Body + Default + 'static, B: 'static>(body: &B) -> Option<B> {
    let body = (body as &dyn Any).downcast_ref::<T>()?;
    body.is_end_stream().then(T::default).and_then(same)
}

/// A value of the one type as one of the other, if the two are the same.
#[inline]
fn same<T: 'static, B: 'static>(value: T) -> Option<B> {
    let mut value = Some(value);
    (&mut value as &mut dyn Any).downcast_mut::<Option<B>>()?.take()
}
