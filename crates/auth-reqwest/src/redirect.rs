//! Redirects that do not lead the token away.

use reqwest::redirect::{Attempt, Policy};

/// As many as reqwest follows by default.
const LONGEST_CHAIN: usize = 10;

/// A policy for the client under the middleware: follows up to ten redirects within one origin, and hands the first one that
/// leads to another scheme, host or port back to the caller as the answer.
///
/// reqwest's own policy follows that one as well, and takes the token off for that hop only; see the
/// [crate's documentation](crate#deployment).
///
/// ```
/// # fn example() -> reqwest::Result<reqwest::Client> {
/// reqwest::Client::builder().redirect(auth_reqwest::same_origin_redirects()).build()
/// # }
/// # example().unwrap();
/// ```
pub fn same_origin_redirects() -> Policy {
    Policy::custom(|attempt| {
        if attempt.previous().len() > LONGEST_CHAIN {
            attempt.error("too many redirects")
        } else if stays(&attempt) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn stays(attempt: &Attempt<'_>) -> bool {
    attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin())
}
