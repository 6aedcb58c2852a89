//! The ways to get the header that are compared.

use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use auth_core::Authenticator;
use http::HeaderValue;
use tokio::sync::{Mutex, watch};

use crate::credential::{header, header_of};
use crate::work::{Awaited, Case, at_once};

/// The name of the floor: a clone of a header that only one thread has.
pub const FLOOR: &str = "floor";
/// The names of ours.
pub const TRY: &str = "try_authorization";
/// `authorization().await`, with a token at hand.
pub const AWAIT: &str = "authorization_await";
/// What many clients do: a lock around the token, and the header made anew for each request.
pub const FORMAT: &str = "rwlock_format";

/// All of them; the floor is the first.
pub fn cases(authenticator: &Authenticator) -> Vec<Case> {
    let mut cases = vec![floor()];
    cases.extend(others());
    cases.extend(ours(authenticator));
    cases
}

/// A clone of a header that only this thread has.
pub fn floor() -> Case {
    Case::new(FLOOR, header, |header| header.clone())
}

/// Both ways to ask the authenticator while its token is fresh.
pub fn ours(authenticator: &Authenticator) -> [Case; 2] {
    let (first, second) = (authenticator.clone(), authenticator.clone());
    [
        Case::new(
            TRY,
            move || first.clone(),
            |authenticator| authenticator.try_authorization().expect("fresh").into_header(),
        ),
        Case::new(
            AWAIT,
            move || second.clone(),
            |authenticator| at_once(authenticator.authorization()).expect("fresh").into_header(),
        ),
    ]
}

/// What others do with a shared token. None of them looks whether it is still valid.
fn others() -> [Case; 6] {
    let swap = Arc::new(ArcSwap::from_pointee(header()));
    let std_lock = Arc::new(RwLock::new(header()));
    let tokio_lock = Lock(Arc::new(tokio::sync::RwLock::new(header())));
    let mutex = Exclusive(Arc::new(Mutex::new(header())));
    // The receivers outlive the sender, and see its last value.
    let watched = watch::channel(header()).1;
    let text = header().to_str().expect("visible ASCII").to_owned();
    let format = Format(Arc::new(tokio::sync::RwLock::new(text)));
    [
        Case::new("arc_swap", move || swap.clone(), |swap| HeaderValue::clone(&swap.load())),
        Case::new(
            "std_rwlock",
            move || std_lock.clone(),
            |lock| lock.read().expect("not poisoned").clone(),
        ),
        Case::awaited("tokio_rwlock", tokio_lock),
        Case::awaited("tokio_mutex", mutex),
        Case::new("tokio_watch", move || watched.clone(), |watched| watched.borrow().clone()),
        Case::awaited(FORMAT, format),
    ]
}

#[derive(Clone)]
struct Lock(Arc<tokio::sync::RwLock<HeaderValue>>);

impl Awaited for Lock {
    async fn header(&self) -> HeaderValue {
        self.0.read().await.clone()
    }
}

#[derive(Clone)]
struct Exclusive(Arc<Mutex<HeaderValue>>);

impl Awaited for Exclusive {
    async fn header(&self) -> HeaderValue {
        self.0.lock().await.clone()
    }
}

#[derive(Clone)]
struct Format(Arc<tokio::sync::RwLock<String>>);

impl Awaited for Format {
    async fn header(&self) -> HeaderValue {
        header_of(&self.0.read().await)
    }
}
