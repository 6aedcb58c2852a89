//! How the typed error gets through reqwest-middleware, and how it is found again.

use std::error::Error as StdError;
use std::fmt;

/// The error of the credential in `error`: why a request had no token and was not sent.
///
/// It is also found below other middlewares that wrap what they pass on, such as `reqwest-retry`. `None` if `error` is of
/// another kind: the API cannot be reached, or another middleware failed.
///
/// ```no_run
/// # async fn example(client: reqwest_middleware::ClientWithMiddleware) {
/// if let Err(e) = client.get("https://api.example/v2/shipments").send().await
///     && let Some(no_token) = auth_reqwest::error(&e)
///     && no_token.is_quota_exhausted()
/// {
///     println!("no token request is left before {:?}", no_token.retry_at());
/// }
/// # }
/// ```
pub fn error(error: &reqwest_middleware::Error) -> Option<&auth_core::Error> {
    let reqwest_middleware::Error::Middleware(inner) = error else { return None };
    inner.chain().find_map(|link| {
        link.downcast_ref::<auth_core::Error>()
            .or_else(|| link.downcast_ref::<reqwest_middleware::Error>().and_then(self::error))
    })
}

pub(crate) fn no_token(error: auth_core::Error) -> reqwest_middleware::Error {
    reqwest_middleware::Error::middleware(NoToken(error))
}

/// Stands around the error proper, since wrappers with a transparent `source` skip one link of the chain.
#[derive(Debug)]
struct NoToken(auth_core::Error);

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request needs a token, and was not sent without one")
    }
}

impl StdError for NoToken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}
