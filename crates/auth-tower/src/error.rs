//! Errors as tower has them, and the way back to ours.

use std::error::Error as StdError;

/// The error of a stack in which any layer may fail.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The authenticator's error in `error` or among its sources, if that is why a request failed.
///
/// ```
/// # fn handle(failure: auth_tower::BoxError) {
/// if let Some(no_token) = auth_tower::error(&*failure) {
///     println!("come back at {:?}", no_token.retry_at());
/// }
/// # }
/// ```
pub fn error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a auth_core::Error> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(ours) = error.downcast_ref() {
            return Some(ours);
        }
        link = error.source();
    }
    None
}
