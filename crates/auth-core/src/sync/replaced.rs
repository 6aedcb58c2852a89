//! The primitives of the model checkers. Time does not pass there: a sleep lets others go first, and nothing is late.

use std::time::Duration;

#[cfg(feature = "loom")]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
pub(crate) use std::sync::PoisonError;

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

    #[cfg(feature = "shuttle")]
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        shuttle::future::spawn(task);
    }

    #[cfg(feature = "loom")]
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        loom::thread::spawn(move || loom::future::block_on(task));
    }
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

/// As much of tokio's as is used here. tokio's own picks the list in which a task waits at random, by a choice that a checker
/// cannot repeat.
pub(crate) mod watch {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::{Poll, Waker};

    use super::{Mutex, PoisonError};

    #[derive(Debug)]
    struct Shared<T> {
        value: T,
        waiting: Vec<Waker>,
    }

    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Mutex<Shared<T>>>);

    pub(crate) struct Receiver<T>(Arc<Mutex<Shared<T>>>);

    pub(crate) struct Closed;

    pub(crate) fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
        let shared = Arc::new(Mutex::new(Shared { value, waiting: Vec::new() }));
        (Sender(shared.clone()), Receiver(shared))
    }

    impl<T> Sender<T> {
        pub(crate) fn subscribe(&self) -> Receiver<T> {
            Receiver(self.0.clone())
        }

        pub(crate) fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) {
            let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if modify(&mut shared.value) {
                let waiting = std::mem::take(&mut shared.waiting);
                drop(shared);
                waiting.into_iter().for_each(Waker::wake);
            }
        }
    }

    impl<T: Clone> Receiver<T> {
        pub(crate) async fn wait_for(&mut self, is: impl Fn(&T) -> bool) -> Result<Box<T>, Closed> {
            poll_fn(|cx| {
                let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if is(&shared.value) {
                    return Poll::Ready(Ok(Box::new(shared.value.clone())));
                }
                shared.waiting.push(cx.waker().clone());
                Poll::Pending
            })
            .await
        }
    }
}
