//! The middleware: a header on the way out, one replay after a 401.

use std::borrow::Cow;

use async_trait::async_trait;
use auth_core::{Authorization, Binding, Generation, RequestOptions, Route, Routes};
use http::{Extensions, Uri};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, ClientBuilder, Request, Response, Url};
use reqwest_middleware::{Middleware, Next};

use crate::error::no_token;
use crate::origin::is_answer_of;
use crate::redirect::policy;

/// Gives requests their credentials: the token of an [`Authenticator`](auth_core::Authenticator) at its own origins, or what [`Routes`] say.
///
/// **The client below it must come from [`client`](Self::client)** (or have its [`redirects`](Self::redirects)): with reqwest's own policy
/// redirects lead credentials away, which the middleware neither sees nor prevents.
///
/// Cheap to clone; clones share the token. See the [crate's documentation](crate) for where it stands among other
/// middlewares.
///
/// # What becomes of a request
///
/// | request | what happens |
/// |---|---|
/// | that a rule covers | gets the credential of the first that does; waits for the token if there is none |
/// | to an origin that no rule is for | passed on as it is, unless the table says otherwise ([`Unmatched`](auth_core::Unmatched)) |
/// | to an origin with rules, and none covers it | fails, unless the table says otherwise |
/// | with the credential's header already | passed on as it is |
///
/// While the token is valid nothing is waited for. A request that should have a token is never sent without one, and never with
/// another credential. [`RequestOptions`], set by `with_extension`, make an exception for one request.
///
/// # What becomes of its answer
///
/// A **401** from the origin that the token was sent to, with `invalid_token` (RFC 6750 §3.1) or without a reason to a token that has
/// worked before, refuses that token: one renewal is started for all who saw it refused, and the request is sent a second time with the
/// newer token. The 401 goes back to the caller instead
///
/// - if no newer token can be had: the budget does not allow it, or the issuer fails;
/// - if the body is a stream, which cannot be sent twice, and the request brings no other
///   ([`replay_with`](RequestOptions::replay_with)). The renewal is started all the same, for the requests to come;
/// - if the token has never worked, and the API gives no reason;
/// - if the origin has refused one token after another: its breaker is open, and nothing is spent, until it takes a token.
///
/// After a 401 to an API key its source is read again, and the request is sent again if it has another key.
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
/// fn client(authenticator: Authenticator) -> reqwest::Result<ClientWithMiddleware> {
///     let auth = AuthMiddleware::new(authenticator);
///     let client = auth.client(reqwest::Client::builder())?;
///     Ok(ClientBuilder::new(client).with(auth).build())
/// }
/// ```
///
/// Two credentials in one client, each for its own places, inside of retries:
///
/// ```
/// use auth_core::{Authenticator, Routes};
/// use auth_reqwest::AuthMiddleware;
/// use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
/// use reqwest_retry::RetryTransientMiddleware;
/// use reqwest_retry::policies::ExponentialBackoff;
///
/// fn client(
///     shipping: Authenticator,
///     billing: Authenticator,
/// ) -> Result<ClientWithMiddleware, Box<dyn std::error::Error>> {
///     let routes = Routes::builder()
///         .route("https://shipping.example", shipping)
///         .route("https://billing.example", billing)
///         .build()?;
///     let auth = AuthMiddleware::new(routes);
///     let client = auth.client(reqwest::Client::builder())?;
///     let backoff = ExponentialBackoff::builder().build_with_max_retries(3);
///     Ok(ClientBuilder::new(client)
///         .with(RetryTransientMiddleware::new_with_policy(backoff))
///         .with(auth)
///         .build())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct AuthMiddleware {
    routes: Routes,
    only_idempotent: bool,
}

impl AuthMiddleware {
    /// With the token of an authenticator, or with a table of routes.
    pub fn new(routes: impl Into<Routes>) -> Self {
        Self { routes: routes.into(), only_idempotent: false }
    }

    /// Whether only requests of idempotent methods (RFC 9110 §9.2.2) are sent again after a 401: for an API that may have acted before it
    /// answers so. A request that brings its own copy ([`RequestOptions::replay_with`]) is sent again all the same.
    #[must_use]
    pub fn replay_only_idempotent(mut self, only: bool) -> Self {
        self.only_idempotent = only;
        self
    }

    /// The client to put below this middleware: `builder`'s, with [`redirects`](Self::redirects) that lead no credential astray.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`].
    pub fn client(&self, builder: ClientBuilder) -> reqwest::Result<Client> {
        builder.redirect(self.redirects()).build()
    }

    /// A policy for the client below this middleware: follows up to ten redirects within one origin that has rules, where no rule tells the
    /// two URLs apart and no token is bound to a key (RFC 9449: a proof is for one URL), and hands any other back to the caller as the answer: those of
    /// origins without rules as well, since another middleware may have put a credential on the request.
    ///
    /// reqwest's own policy follows those as well, and takes the token off for that hop only; see the
    /// [crate's documentation](crate#deployment).
    pub fn redirects(&self) -> Policy {
        policy(self.routes.clone())
    }

    /// What `request` gets.
    fn route(
        &self,
        request: &Request,
        options: Option<&RequestOptions>,
    ) -> Result<Option<Cow<'_, Binding>>, auth_core::Error> {
        let (method, url) = (request.method(), request.url());
        let route = match (options, url.host_str()) {
            (Some(options), Some(_)) => match options.route(&self.routes, method, &uri_of(url)) {
                Route::To((_, binding)) => Route::To(Cow::Owned(binding)),
                Route::Bare => Route::Bare,
                Route::Refused(error) => Route::Refused(error),
            },
            (_, None) => Route::Bare,
            (None, Some(host)) => {
                let parts = (url.scheme(), host, url.port());
                match self.routes.route_parts(method, parts, url.path()) {
                    Route::To(id) => Route::To(Cow::Borrowed(self.routes.binding(id))),
                    Route::Bare => Route::Bare,
                    Route::Refused(error) => Route::Refused(error),
                }
            }
        };
        match route {
            Route::To(binding) => {
                let has_own = request.headers().contains_key(binding.header_name());
                Ok((!has_own).then_some(binding))
            }
            Route::Bare => Ok(None),
            Route::Refused(error) => Err(error),
        }
    }
}

#[async_trait]
impl Middleware for AuthMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let options = extensions.get::<RequestOptions>().cloned();
        match self.route(&request, options.as_ref()).map_err(no_token)? {
            Some(binding) => {
                let options = options.unwrap_or_default();
                let only_idempotent = self.only_idempotent;
                Exchange { binding: &binding, options, only_idempotent }
                    .run(request, extensions, next)
                    .await
            }
            None => next.run(request, extensions).await,
        }
    }
}

/// One request that carries a credential, and its answers.
struct Exchange<'a> {
    binding: &'a Binding,
    options: RequestOptions,
    only_idempotent: bool,
}

impl Exchange<'_> {
    async fn run(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let Self { binding, options, .. } = self;
        let patience = options.patience();
        let authorization = binding.authorization(patience).await.map_err(no_token)?;
        let mut again = self.copy(&request);
        let mut sent = authorization.generation();
        self.equip(&mut request, authorization)?;
        let mut response = next.clone().run(request, extensions).await?;
        if self.wants_nonce(&response) {
            let Some(mut request) = again.take() else { return Ok(self.report(response, sent)) };
            let Some(authorization) = binding.try_authorization() else {
                return Ok(self.report(response, sent));
            };
            drop(response);
            again = self.copy(&request);
            sent = authorization.generation();
            self.equip(&mut request, authorization)?;
            response = next.clone().run(request, extensions).await?;
            // For the next request.
            self.wants_nonce(&response);
        }
        if !self.refuses(&response, sent) {
            return Ok(self.report(response, sent));
        }

        let Some(mut again) = again else {
            binding.refuse(sent);
            return Ok(self.report(response, sent));
        };
        let Ok(newer) = binding.replacement(sent, patience).await else {
            return Ok(self.report(response, sent));
        };
        // Before the replay, so that it need not share the API with a connection that holds an unread body.
        drop(response);
        let sent = newer.generation();
        self.equip(&mut again, newer)?;
        let response = next.run(again, extensions).await?;
        if !self.wants_nonce(&response) && self.refuses(&response, sent) {
            binding.refuse(sent);
        }
        Ok(self.report(response, sent))
    }

    /// The request once more, if it may be sent twice and can be.
    fn copy(&self, request: &Request) -> Option<Request> {
        if self.options.replays_never() {
            return None;
        }
        let Some(body) = self.options.copy::<Body>() else {
            let may = !self.only_idempotent || request.method().is_idempotent();
            return may.then(|| request.try_clone())?;
        };
        let mut copy = Request::new(request.method().clone(), request.url().clone());
        *copy.headers_mut() = request.headers().clone();
        *copy.timeout_mut() = request.timeout().copied();
        *copy.version_mut() = request.version();
        *copy.body_mut() = Some(body);
        Some(copy)
    }

    /// Gives `request` its credential, and the proof that goes with it where tokens are bound to a key (RFC 9449).
    fn equip(
        &self,
        request: &mut Request,
        authorization: Authorization,
    ) -> reqwest_middleware::Result<()> {
        let name = self.binding.header_name().clone();
        request.headers_mut().insert(name, authorization.into_header());
        if !self.binding.proves() {
            return Ok(());
        }
        let uri = uri_of(request.url());
        let method = request.method().clone();
        self.binding.prove(&method, &uri, None, request.headers_mut()).map_err(no_token)
    }

    /// Whether the API says that what it was sent is not valid (RFC 6750 §3.1), and another may be.
    fn refuses(&self, response: &Response, sent: Generation) -> bool {
        is_answer_of(self.binding.origin(), response.url())
            && self.binding.heed(sent, response.status(), response.headers(), false)
    }

    /// Takes the server's nonce from an answer of the API; whether it refused the request for want of it (RFC 9449 §9).
    fn wants_nonce(&self, response: &Response) -> bool {
        self.binding.proves()
            && is_answer_of(self.binding.origin(), response.url())
            && self.binding.heed_nonce(
                &uri_of(response.url()),
                None,
                response.status(),
                response.headers(),
            )
    }

    /// The answer, with what it was asked with where that is wanted.
    fn report(&self, mut response: Response, sent: Generation) -> Response {
        if self.options.reports() {
            response.extensions_mut().insert(self.binding.used(sent));
        }
        response
    }
}

/// What reqwest makes of a URL when it sends the request. One that is no URI is not sent, and is nobody's here.
fn uri_of(url: &Url) -> Uri {
    url.as_str().parse().unwrap_or_else(|_| Uri::from_static("about://none/"))
}
