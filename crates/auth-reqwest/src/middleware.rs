//! The middleware: a header on the way out, one replay after a 401.

use std::fmt;

use async_trait::async_trait;
use auth_core::{Authenticator, Authorization, Origin};
use http::header::AUTHORIZATION;
use http::{Extensions, StatusCode, Uri};
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Middleware, Next};

use crate::error::no_token;
use crate::origin::is_answer_of;

/// Gives requests to the credential's origins its token.
///
/// Cheap to clone; clones share the token. See the [crate's documentation](crate) for where it stands among other
/// middlewares.
///
/// # What becomes of a request
///
/// | request | what happens |
/// |---|---|
/// | to one of the credential's origins | gets the token; waits for it if there is none |
/// | to any other origin | passed on as it is |
/// | with an `Authorization` header of its own | passed on as it is, wherever it goes |
///
/// While the token is valid nothing is waited for. A request that should have a token is never sent without one.
///
/// # What becomes of its answer
///
/// A **401** from the origin that the token was sent to refuses that token: one renewal is started for all who saw it
/// refused, and the request is sent a second time with the newer token. The 401 goes back to the caller instead
///
/// - if no newer token can be had: the budget does not allow it, or the issuer fails;
/// - if the body is a stream, which cannot be sent twice. The renewal is started all the same, for the requests to come;
/// - if it is the answer to the replay. That refuses the newer token too; whether another token request follows is up to the
///   authenticator, which makes none for an hour after one that a refusal caused.
///
/// Where tokens are bound to a key ([`dpop`](auth_core::ClientCredentials::dpop), RFC 9449), every attempt carries a proof of its own, and a
/// 401 that asks for the server's nonce is answered with one more attempt, with the same token.
///
/// Every other answer is passed on untouched. A 403 says that the token is good, and costs nothing.
///
/// # Errors
///
/// A request that has no token fails with [`reqwest_middleware::Error::Middleware`]; [`error`](crate::error()) finds the
/// typed [`auth_core::Error`] in it.
///
/// # Cancel safety
///
/// Dropping a request drops its wait for a token; the token request goes on for the others, or for the next request.
///
/// # Examples
///
/// ```
/// use auth_core::Authenticator;
/// use auth_reqwest::AuthMiddleware;
/// use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
///
/// fn client(api: reqwest::Client, authenticator: Authenticator) -> ClientWithMiddleware {
///     ClientBuilder::new(api).with(AuthMiddleware::new(authenticator)).build()
/// }
/// ```
///
/// Two credentials in one client, each for its own origins, inside of retries:
///
/// ```
/// use auth_core::Authenticator;
/// use auth_reqwest::AuthMiddleware;
/// use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
/// use reqwest_retry::RetryTransientMiddleware;
/// use reqwest_retry::policies::ExponentialBackoff;
///
/// fn client(api: reqwest::Client, shipping: Authenticator, billing: Authenticator) -> ClientWithMiddleware {
///     let backoff = ExponentialBackoff::builder().build_with_max_retries(3);
///     ClientBuilder::new(api)
///         .with(RetryTransientMiddleware::new_with_policy(backoff))
///         .with(AuthMiddleware::new(shipping))
///         .with(AuthMiddleware::new(billing))
///         .build()
/// }
/// ```
#[derive(Clone)]
pub struct AuthMiddleware {
    authenticator: Authenticator,
}

impl AuthMiddleware {
    /// A middleware for the origins that `authenticator` is bound to.
    pub fn new(authenticator: Authenticator) -> Self {
        Self { authenticator }
    }

    /// The origin that `request` goes to, if it is to carry the token.
    fn destination(&self, request: &Request) -> Option<&Origin> {
        let to = request.url();
        let origin = self.authenticator.origin_of(to.scheme(), to.host_str()?, to.port())?;
        (!request.headers().contains_key(AUTHORIZATION)).then_some(origin)
    }
}

#[async_trait]
impl Middleware for AuthMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let Some(to) = self.destination(&request) else {
            return next.run(request, extensions).await;
        };
        let authorization = self.authenticator.authorization().await.map_err(no_token)?;
        let mut again = request.try_clone();
        let mut sent = authorization.generation();
        self.equip(&mut request, authorization)?;
        let mut response = next.clone().run(request, extensions).await?;
        if self.wants_nonce(&response, to) {
            let Some(mut request) = again.take() else { return Ok(response) };
            let Some(authorization) = self.authenticator.try_authorization() else {
                return Ok(response);
            };
            drop(response);
            again = request.try_clone();
            sent = authorization.generation();
            self.equip(&mut request, authorization)?;
            response = next.clone().run(request, extensions).await?;
            // For the next request.
            self.wants_nonce(&response, to);
        }
        if !self.refuses(&response, to) {
            return Ok(response);
        }

        let Some(mut again) = again else {
            self.authenticator.refuse(sent);
            return Ok(response);
        };
        let Ok(newer) = self.authenticator.replacement(sent).await else { return Ok(response) };
        // Before the replay, so that it need not share the API with a connection that holds an unread body.
        drop(response);
        let sent = newer.generation();
        self.equip(&mut again, newer)?;
        let response = next.run(again, extensions).await?;
        if !self.wants_nonce(&response, to) && self.refuses(&response, to) {
            self.authenticator.refuse(sent);
        }
        Ok(response)
    }
}

impl AuthMiddleware {
    /// Gives `request` its token, and the proof that goes with it where tokens are bound to a key (RFC 9449).
    fn equip(
        &self,
        request: &mut Request,
        authorization: Authorization,
    ) -> reqwest_middleware::Result<()> {
        request.headers_mut().insert(AUTHORIZATION, authorization.into_header());
        if !self.authenticator.proves() {
            return Ok(());
        }
        let uri = uri_of(request.url());
        let method = request.method().clone();
        self.authenticator.prove(&method, &uri, None, request.headers_mut()).map_err(no_token)
    }

    /// Whether the API says that the token it was sent is not valid (RFC 6750 §3.1).
    fn refuses(&self, response: &Response, to: &Origin) -> bool {
        response.status() == StatusCode::UNAUTHORIZED
            && is_answer_of(to, response.url())
            && !self.authenticator.is_about_proof(response.headers())
    }

    /// Takes the server's nonce from an answer of the API; whether it refused the request for want of it (RFC 9449 §9).
    fn wants_nonce(&self, response: &Response, to: &Origin) -> bool {
        self.authenticator.proves()
            && is_answer_of(to, response.url())
            && self.authenticator.heed_nonce(
                &uri_of(response.url()),
                None,
                response.status(),
                response.headers(),
            )
    }
}

impl fmt::Debug for AuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddleware").field("authenticator", &self.authenticator).finish()
    }
}

/// What reqwest makes of a URL when it sends the request.
fn uri_of(url: &Url) -> Uri {
    url.as_str().parse().unwrap_or_default()
}
