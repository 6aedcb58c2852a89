//! Bodies that do not end as a body should.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::Interval;

/// The body of an answer that goes wrong after its head.
pub(super) enum FaultBody {
    /// Never sends a byte.
    Hang,
    /// Sends a chunk, and breaks off.
    Truncated { chunk: Bytes, step: Step },
    /// Sends a byte at every tick.
    Trickle(Interval),
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
        // An interval of zero panics, and no test needs one.
        Self::Trickle(tokio::time::interval(every.max(Duration::from_millis(1))))
    }
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
        }
    }
}
