//! A value that is replaced as a whole while others read it.

use std::sync::Arc;

/// What all requests read, and renewals replace.
///
/// A swap is a release and an acquire, a load an acquire: whoever sees a value sees all that was written before it was put
/// here. Two loads of one thread never run backwards. Writers keep their order by a lock of their own.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub(crate) struct Published<T>(arc_swap::ArcSwapOption<T>);

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
impl<T> Published<T> {
    pub(crate) fn empty() -> Self {
        Self(arc_swap::ArcSwapOption::empty())
    }

    #[inline]
    pub(crate) fn load(&self) -> arc_swap::Guard<Option<Arc<T>>> {
        self.0.load()
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.load_full()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }
}

/// For the checkers, which cannot look into arc-swap: a lock around one pointer gives what arc-swap promises, and more. What goes
/// wrong by a weaker order of memory alone does not show here.
#[cfg(any(feature = "loom", feature = "shuttle"))]
pub(crate) struct Published<T>(super::Mutex<Option<Arc<T>>>);

#[cfg(any(feature = "loom", feature = "shuttle"))]
impl<T> Published<T> {
    pub(crate) fn empty() -> Self {
        Self(super::Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Option<Arc<T>> {
        self.load_full()
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(super::PoisonError::into_inner).clone()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        *self.0.lock().unwrap_or_else(super::PoisonError::into_inner) = value;
    }
}
