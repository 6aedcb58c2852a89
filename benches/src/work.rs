//! A case: one way to get the header, as a loop that can be timed.

use std::fmt;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use auth_core::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// Something that is done over and over. The loop is inside, so that no call is a virtual one.
pub trait Work: Send {
    /// So many times, one after the other.
    fn run(&mut self, calls: u64) -> BoxFuture<'_, ()>;
}

/// One way to get the header of a request. Every case inserts it into a reused `HeaderMap`, since a bare clone of a header
/// measures differently from one code layout to the next.
pub struct Case {
    /// What the tables call it.
    pub name: &'static str,
    make: Box<dyn Fn() -> Box<dyn Work> + Send + Sync>,
}

impl Case {
    /// One that needs no await. Each thread makes a state of its own, every time that it is measured.
    pub fn new<S, F>(
        name: &'static str,
        state: impl Fn() -> S + Send + Sync + 'static,
        header: F,
    ) -> Self
    where
        S: Send + 'static,
        F: Fn(&mut S) -> HeaderValue + Copy + Send + Sync + 'static,
    {
        Self { name, make: Box::new(move || Box::new(Inserts::new((state(), header)))) }
    }

    /// One that may wait for another.
    pub fn awaited<A: Awaited + Clone + Sync + 'static>(name: &'static str, awaited: A) -> Self {
        Self { name, make: Box::new(move || Box::new(Inserts::new(Await(awaited.clone())))) }
    }

    /// A loop of another kind. Each thread makes a state of its own, every time that it is measured.
    pub fn of(
        name: &'static str,
        make: impl Fn() -> Box<dyn Work> + Send + Sync + 'static,
    ) -> Self {
        Self { name, make: Box::new(make) }
    }

    /// A loop with a state of its own.
    pub fn work(&self) -> Box<dyn Work> {
        (self.make)()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A way to get the header that may have to wait.
pub trait Awaited: Send {
    /// Gets it.
    fn header(&self) -> impl Future<Output = HeaderValue> + Send;
}

struct Await<A>(A);

struct Inserts<G> {
    get: G,
    map: HeaderMap,
}

impl<G> Inserts<G> {
    fn new(get: G) -> Self {
        Self { get, map: HeaderMap::with_capacity(8) }
    }
}

impl<S: Send, F: Fn(&mut S) -> HeaderValue + Send> Work for Inserts<(S, F)> {
    fn run(&mut self, calls: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (state, header) = &mut self.get;
            for _ in 0..calls {
                insert(&mut self.map, header(state));
            }
        })
    }
}

impl<A: Awaited + Sync> Work for Inserts<Await<A>> {
    fn run(&mut self, calls: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for _ in 0..calls {
                insert(&mut self.map, self.get.0.header().await);
            }
        })
    }
}

/// Puts the header where a request has it.
#[inline]
pub fn insert(map: &mut HeaderMap, header: HeaderValue) {
    map.insert(AUTHORIZATION, header);
    black_box(map);
}

/// The output of a future that is ready at once.
#[inline]
pub fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

/// Drives a future on this thread, without a runtime and its budgets.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
