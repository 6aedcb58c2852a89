//! The primitives of the model checkers. Time does not pass there: a sleep lets others go first, and nothing is late. So what
//! they do not reach is a flight that is given up because nobody drives it (there is one runtime only), and its late landing;
//! both are among the tests of `renewal/flight.rs` and `tests/it/flight.rs`.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

#[cfg(feature = "loom")]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
pub(crate) use std::sync::PoisonError;
/// As it is: the models reach nothing that uses it.
pub(crate) use tokio::sync::watch;

/// There is one, which is all that the models need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeId;

#[derive(Clone, Debug)]
pub(crate) struct Runtime;

impl Runtime {
    pub(crate) fn current() -> Option<Self> {
        Some(Self)
    }

    pub(crate) fn id(&self) -> RuntimeId {
        RuntimeId
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut task = Some(Box::pin(task));
        let task = poll_fn(move |cx| {
            let polled = task.as_mut().map(|task| task.as_mut().poll(cx));
            // As a runtime that is shut down does.
            if DROPS_TASK.take() {
                task = None;
            }
            polled.filter(|_| task.is_some()).unwrap_or(Poll::Ready(()))
        });
        #[cfg(feature = "shuttle")]
        shuttle::future::spawn(task);
        #[cfg(feature = "loom")]
        loom::thread::spawn(move || loom::future::block_on(task));
    }
}

thread_local! {
    static DROPS_TASK: Cell<bool> = const { Cell::new(false) };
}

/// Drops the task that calls it, when it comes to its next await.
pub fn drop_this_task() {
    DROPS_TASK.set(true);
}

pub(crate) async fn sleep(_: Duration) {
    #[cfg(feature = "loom")]
    loom::thread::yield_now();
    #[cfg(feature = "shuttle")]
    shuttle::future::yield_now().await;
}

/// Never made.
pub(crate) struct Elapsed;

pub(crate) async fn timeout<F: Future>(_: Duration, future: F) -> Result<F::Output, Elapsed> {
    Ok(future.await)
}

/// As much of tokio's as is used here.
#[derive(Debug)]
pub(crate) struct Notify(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// How often all were woken.
    woken: u64,
    wakers: Vec<Waker>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Waiting::default()))
    }

    /// Ready when all who wait are woken, from now on, whether it was polled before or not.
    pub(crate) fn notified(&self) -> impl Future<Output = ()> {
        let woken = self.lock().woken;
        poll_fn(move |cx| {
            let mut waiting = self.lock();
            if waiting.woken != woken {
                return Poll::Ready(());
            }
            waiting.wakers.push(cx.waker().clone());
            Poll::Pending
        })
    }

    pub(crate) fn notify_waiters(&self) {
        let mut waiting = self.lock();
        waiting.woken += 1;
        let wakers = std::mem::take(&mut waiting.wakers);
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
