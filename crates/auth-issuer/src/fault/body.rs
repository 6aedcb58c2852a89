//! Bodies that do not end as a body should, or take their time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Interval;

/// The body of an answer that goes wrong after its head.
pub(super) enum FaultBody {
    /// Never sends a byte.
    Hang,
    /// Sends a chunk, and breaks off.
    Truncated { chunk: Bytes, step: Step },
    /// Sends a byte at every tick.
    Trickle(Interval),
    /// Sends what it has, a byte at every tick, and ends as a body should.
    Slow { rest: Bytes, interval: Interval },
}

#[derive(Clone, Copy)]
pub(super) enum Step {
    Send,
    Flush,
    Break,
}

impl FaultBody {
    pub(super) fn truncated(chunk: &'static str) -> Self {
        Self::Truncated { chunk: Bytes::from_static(chunk.as_bytes()), step: Step::Send }
    }

    pub(super) fn trickle(every: Duration) -> Self {
        Self::Trickle(ticks(every))
    }

    pub(super) fn slow(rest: Bytes, every: Duration) -> Self {
        Self::Slow { rest, interval: ticks(every) }
    }
}

fn ticks(every: Duration) -> Interval {
    // An interval of zero panics, and no test needs one.
    tokio::time::interval(every.max(Duration::from_millis(1)))
}

impl Body for FaultBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Hang => Poll::Pending,
            Self::Truncated { chunk, step } => match *step {
                Step::Send => {
                    *step = Step::Flush;
                    Poll::Ready(Some(Ok(Frame::data(chunk.clone()))))
                }
                // hyper flushes when the body is pending; an error at once would discard what it has buffered.
                Step::Flush => {
                    *step = Step::Break;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Step::Break => Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
            },
            Self::Trickle(interval) => {
                ready!(interval.poll_tick(cx));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
            }
            Self::Slow { rest, .. } if rest.is_empty() => Poll::Ready(None),
            Self::Slow { rest, interval } => {
                ready!(interval.poll_tick(cx));
                Poll::Ready(Some(Ok(Frame::data(rest.split_to(1)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Slow { rest, .. } if rest.is_empty())
    }

    /// The normal answer says how long it is, and this one is to differ in nothing but its pace.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Slow { rest, .. } => SizeHint::with_exact(rest.len() as u64),
            Self::Hang | Self::Truncated { .. } | Self::Trickle(_) => SizeHint::default(),
        }
    }
}
