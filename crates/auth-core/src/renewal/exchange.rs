//! One exchange with the issuer, within what is left of its flight.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::clock::{BootTime, Clock};
use crate::failure::{Failure, FailureKind};
use crate::sync::timeout;
use crate::wire::{Transport, TransportError, TransportErrorKind};

/// Sends `request` once. `decided` is when its unit was written down; `deadline` counts from then, by the boot clock, since a
/// timer stands still while the machine is suspended, and a request must not leave after its unit has left the window.
pub(super) async fn exchange(
    transport: &dyn Transport,
    request: Request<Bytes>,
    clock: &dyn Clock,
    decided: BootTime,
    deadline: Duration,
) -> Result<Response<Bytes>, Failure> {
    let left = || {
        let spent = clock.now().boot.since(decided).unwrap_or(deadline);
        deadline.saturating_sub(spent)
    };
    let first = left();
    if first.is_zero() {
        let late = "the store took so long to write the request down that there was no time left to send it";
        return Err(Failure::new(FailureKind::Timeout, late));
    }
    let mut send = pin!(async { transport.send(request, first).await });
    let guarded = poll_fn(|cx| {
        if left().is_zero() {
            return Poll::Ready(Err(late(deadline)));
        }
        // A transport that panics must cost one request and an error, not the flight of everybody else.
        match catch_unwind(AssertUnwindSafe(|| send.as_mut().poll(cx))) {
            Ok(poll) => poll.map(|result| result.map_err(failure)),
            Err(_) => {
                let bug = "the transport panicked; this is a bug in it";
                Poll::Ready(Err(Failure::new(FailureKind::Panicked, bug)))
            }
        }
    });
    timeout(first, guarded).await.unwrap_or_else(|_| Err(late(deadline)))
}

fn late(deadline: Duration) -> Failure {
    let millis = deadline.as_millis();
    Failure::new(
        FailureKind::Timeout,
        format!("the issuer gave no whole answer within {millis} ms"),
    )
}

fn failure(error: TransportError) -> Failure {
    let kind = match error.kind {
        TransportErrorKind::NotSent => FailureKind::NotSent,
        TransportErrorKind::InDoubt => FailureKind::Transport,
        TransportErrorKind::BodyTooLong => FailureKind::Junk,
        TransportErrorKind::Timeout => FailureKind::Timeout,
    };
    Failure::new(kind, error.to_string()).with_source(error.source)
}
