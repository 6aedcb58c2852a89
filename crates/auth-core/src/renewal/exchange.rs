//! One exchange with the issuer, within what is left of its flight.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::answers::Fault;
use crate::clock::{BootTime, Clock};
use crate::failure::Failure;
use crate::sync::timeout;
use crate::wire::{Transport, TransportError, TransportErrorKind};

/// Sends `request` once. `decided` is when its unit was written down; `deadline` counts from then, by the boot clock, since a
/// timer stands still while the machine is suspended, and a request must not leave after its unit has left the window.
pub(crate) async fn exchange(
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
        return Err(Fault::TooLate.failure(late));
    }
    let mut send = pin!(async { transport.send(request, first).await });
    let guarded = poll_fn(|cx| {
        if left().is_zero() {
            return Poll::Ready(Err(late(deadline)));
        }
        // A transport that panics must cost one request and an error, not the flight of everybody else.
        match catch_unwind(AssertUnwindSafe(|| send.as_mut().poll(cx))) {
            Ok(poll) => poll.map(|result| result.map_err(failure)),
            Err(_) => Poll::Ready(Err(Fault::Panicked.failure(Fault::Panicked.words()))),
        }
    });
    timeout(first, guarded).await.unwrap_or_else(|_| Err(late(deadline)))
}

fn late(deadline: Duration) -> Failure {
    let millis = deadline.as_millis();
    Fault::Timeout.failure(format_args!("the issuer gave no whole answer within {millis} ms"))
}

fn failure(error: TransportError) -> Failure {
    let fault = match error.kind {
        TransportErrorKind::NotSent => Fault::NotSent,
        TransportErrorKind::InDoubt => Fault::InDoubt,
        TransportErrorKind::BodyTooLong => Fault::TooLong,
        TransportErrorKind::Timeout => Fault::Timeout,
    };
    fault.failure(&error).with_source(error.source)
}
