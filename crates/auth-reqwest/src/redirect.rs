//! Redirects that lead no credential astray.

use auth_core::Routes;
use http::Uri;
use reqwest::redirect::{Attempt, Policy};

/// As many as reqwest follows by default.
const LONGEST_CHAIN: usize = 10;

/// Follows a redirect where what is on the request may go along, and hands any other back to the caller as the answer.
pub(crate) fn policy(routes: Routes) -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > LONGEST_CHAIN {
            attempt.error("too many redirects")
        } else if stays(&routes, &attempt) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn stays(routes: &Routes, attempt: &Attempt<'_>) -> bool {
    let uri = |url: &reqwest::Url| url.as_str().parse::<Uri>().ok();
    let from = attempt.previous().last().and_then(uri);
    from.zip(uri(attempt.url())).is_some_and(|(from, to)| routes.stays(&from, &to))
}
