//! Which credential goes where: rules of an origin, a path and a method, in their order.

mod builder;
mod rule;
mod table;

use std::fmt;
use std::sync::Arc;

use http::{Method, Uri};

pub use self::builder::RoutesBuilder;
use self::rule::{Rule, at};
use self::table::Table;
pub use self::table::{Route, RouteId, Unmatched};
use crate::authenticator::Authenticator;
use crate::binding::Binding;
use crate::credential::Credential;
use crate::error::Error;
use crate::options::RequestOptions;
use crate::origin::{Origin, Target};
use crate::path::PathPrefix;
use crate::per_cpu::{PerCpu, one_for_each_cpu};

/// Which credential a request gets: the one of the first rule that covers its origin, its path and its method.
///
/// Origins are compared by scheme, host and port (RFC 6454): hosts without case, and in their ASCII form (IDNA, `xn--…`). Paths are compared in whole
/// segments and with case, after the percent-encodings of unreserved characters are decoded (RFC 3986 §6.2.2.2): `/v1` covers `/v1`, `/v1/` and
/// `/v1/shipments`, and neither `/v10` nor `/V1`. Where rules look at paths, a path that servers read in different ways is refused: one with dot
/// segments, empty segments, encoded slashes or broken encodings ([`PathPrefix::check`](crate::PathPrefix::check)), and one that differs by its
/// case, or by parameters (`/v1;x`), from what an earlier rule covers.
///
/// An [`Authenticator`] alone makes a table of its own: everything at the origins that it is bound to, which is that of its audience unless
/// [`Builder::origin`](crate::Builder::origin) says otherwise.
///
/// ```
/// use auth_core::{ApiKey, Authenticator, Routes};
/// use http::Method;
///
/// # fn example(tokens: Authenticator, key: ApiKey) -> Result<Routes, auth_core::ConfigError> {
/// let routes = Routes::builder()
///     .route("https://api.example/v1", key)
///     .route("https://api.example/v2", tokens)
///     .bare("https://api.example/health")
///     .build()?;
/// # Ok(routes)
/// # }
/// ```
///
/// # Requests that no rule covers
///
/// | the request's origin | by default | [`Unmatched::Refuse`] | [`Unmatched::PassBare`] |
/// |---|---|---|---|
/// | has rules, and none covers the request | fails with an error | fails | passes on bare |
/// | has no rule | passes on bare | fails | passes on bare |
///
/// A request that has a rule and no token is never sent bare, and never with another credential.
#[derive(Clone)]
pub struct Routes {
    table: Arc<Table>,
    assumed: Option<Assumed>,
}

/// Where relative URIs lead.
#[derive(Clone)]
struct Assumed {
    origin: Origin,
    at: Option<usize>,
}

impl Routes {
    fn of(table: Table) -> Self {
        Self { table: Arc::new(table), assumed: None }
    }

    /// Where requests with a relative URI go, in a stack that adds the origin below. Without it such requests fail.
    #[must_use]
    pub fn assume_origin(mut self, origin: Origin) -> Self {
        let at = self.table.origins.position_of(&origin);
        self.assumed = Some(Assumed { origin, at });
        self
    }

    /// The origin that relative URIs are taken to lead to.
    pub fn assumed_origin(&self) -> Option<&Origin> {
        self.assumed.as_ref().map(|assumed| &assumed.origin)
    }

    /// What a request gets. Allocates nothing, unless it is refused.
    #[inline]
    pub fn route(&self, method: &Method, uri: &Uri) -> Route {
        let table = &*self.table;
        match table.origins.locate(uri) {
            (Target::Bound, place) => table.route_at(place, method, uri.path()),
            (Target::Foreign, _) => table.route_elsewhere(method),
            (Target::Relative, _) => self.route_assumed(method, uri),
        }
    }

    /// As [`route`](Self::route), for a URL that is in parts already. No port is the scheme's own; IPv6 addresses are in brackets, as in a
    /// URL.
    pub fn route_parts(
        &self,
        method: &Method,
        (scheme, host, port): (&str, &str, Option<u16>),
        path: &str,
    ) -> Route {
        match self.table.origins.position_of_parts(scheme, host, port) {
            Some(place) => self.table.route_at(place, method, path),
            None => self.table.route_elsewhere(method),
        }
    }

    #[inline(never)]
    fn route_assumed(&self, method: &Method, uri: &Uri) -> Route {
        // An authority without a scheme is no relative reference, and leads who knows where.
        match self.assumed.as_ref().filter(|_| uri.authority().is_none()) {
            Some(Assumed { at: Some(place), .. }) => {
                self.table.route_at(*place, method, uri.path())
            }
            Some(Assumed { at: None, .. }) => self.table.route_elsewhere(method),
            None => Route::Refused(Error::relative_uri(self.table.names.clone())),
        }
    }

    /// What a request gets that asks for this credential.
    pub(crate) fn route_with(
        &self,
        method: &Method,
        uri: &Uri,
        credential: &Credential,
    ) -> Route<Binding> {
        let table = &*self.table;
        let origin = match &self.assumed {
            _ if uri.scheme().is_some() => match Origin::of_uri(uri) {
                Some(origin) => origin,
                None => {
                    return Route::Refused(Error::unrouted(
                        credential.shared_name(),
                        "the request's URI names no place that it could be sent to".to_owned(),
                    ));
                }
            },
            Some(assumed) if uri.authority().is_none() => assumed.origin.clone(),
            _ => return Route::Refused(Error::relative_uri(credential.shared_name())),
        };
        let place = table.origins.position_of(&origin);
        if !table.has(credential) {
            return match (at(credential, &origin), credential) {
                (Some(at), Credential::OAuth(_)) => {
                    Route::To(Binding::new(credential.clone(), origin, at))
                }
                _ => table.not_for(credential, &origin),
            };
        }
        let rules = place.map_or(&[][..], |place| table.rules_of(place));
        // Rules for other credentials are passed over, and those for none are not.
        let counts = |rule: &Rule| rule.binding.is_none() || rule.is_for(credential);
        let rules = rules.iter().enumerate().filter(|(_, rule)| counts(rule));
        match table.first_of(rules, method, uri.path()) {
            Ok(Some((_, Rule { binding: Some(binding), .. }))) => Route::To(binding.clone()),
            Ok(_) => table.not_for(credential, &origin),
            Err(error) => Route::Refused(error),
        }
    }

    /// The credential of a rule of this table, and the place that it is for.
    ///
    /// # Panics
    ///
    /// If the rule is of another table.
    #[inline]
    pub fn binding(&self, id: RouteId) -> &Binding {
        let rule = &self.table.rules[id.index()];
        rule.binding.as_ref().expect("rules without a credential have no id")
    }

    /// Whether what was put on a request to `from` may go along, as it is, on a redirect to `to`: the two are of one origin that has rules here, no rule tells
    /// them apart or is for one method, which a redirect may change, and no proof is made for each URL (RFC 9449). For redirects that are
    /// followed below an adapter.
    pub fn stays(&self, from: &Uri, to: &Uri) -> bool {
        let (Some(origin), Some(other)) = (Origin::of_uri(from), Origin::of_uri(to)) else {
            return false;
        };
        if origin != other {
            return false;
        }
        let Some(place) = self.table.origins.position_of(&origin) else { return false };
        let rules = self.table.rules_of(place);
        let proves = |rule: &Rule| rule.binding.as_ref().is_some_and(Binding::proves);
        if rules.iter().any(proves) {
            return false;
        }
        let is_clear = |uri: &Uri| PathPrefix::check(uri.path()).is_ok();
        let covers = |rule: &Rule, uri: &Uri| rule.prefix.covers(uri.path());
        // A redirect may make a GET of the request (RFC 9110 §15.4), which such a rule does not take.
        let is_of_method = |rule: &Rule| rule.method.is_some() && covers(rule, from);
        let tells_apart =
            |rule: &Rule| covers(rule, from) != covers(rule, to) || is_of_method(rule);
        self.table.places[place].is_plain
            || is_clear(from) && is_clear(to) && !rules.iter().any(tells_apart)
    }

    /// The origins that have rules, in no particular order.
    pub fn origins(&self) -> &[Origin] {
        self.table.origins.as_slice()
    }

    /// As many copies of something as the credentials here would make of their headers now; see
    /// [`Authenticator::per_cpu`](crate::Authenticator::per_cpu).
    pub fn per_cpu<T>(&self, make: impl FnMut() -> T) -> PerCpu<T> {
        let authenticator = self.table.credentials().find_map(|credential| match credential {
            Credential::OAuth(authenticator) => Some(authenticator),
            Credential::ApiKey(_) => None,
        });
        match authenticator {
            Some(authenticator) => authenticator.per_cpu(make),
            None => PerCpu::new(one_for_each_cpu(), make),
        }
    }
}

impl RequestOptions {
    /// For adapters: what a request with these options gets, as [`Routes::route`] says it for one without; the rule, if it is by one, and the
    /// credential.
    pub fn route(
        &self,
        routes: &Routes,
        method: &Method,
        uri: &Uri,
    ) -> Route<(Option<RouteId>, Binding)> {
        if self.skip {
            return Route::Bare;
        }
        match &self.credential {
            Some(credential) => match routes.route_with(method, uri, credential) {
                Route::To(binding) => Route::To((None, binding)),
                Route::Bare => Route::Bare,
                Route::Refused(error) => Route::Refused(error),
            },
            None => match routes.route(method, uri) {
                Route::To(id) => Route::To((Some(id), routes.binding(id).clone())),
                Route::Bare => Route::Bare,
                Route::Refused(error) => Route::Refused(error),
            },
        }
    }
}

impl From<Authenticator> for Routes {
    fn from(authenticator: Authenticator) -> Self {
        let rule = |(at, origin): (usize, &Origin)| {
            let binding = Binding::new(authenticator.clone().into(), origin.clone(), at);
            let prefix = "/".parse().expect("it is a prefix of all paths");
            (origin.clone(), Rule { method: None, prefix, binding: Some(binding) })
        };
        let rules = authenticator.origins().iter().enumerate().map(rule).collect();
        Self::of(Table::new(rules, Unmatched::default()))
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins = self.table.origins.as_slice().iter().enumerate();
        let rules = origins.flat_map(|(place, origin)| {
            self.table.rules_of(place).iter().map(move |rule| {
                let credential = rule.binding.as_ref().map(|binding| binding.credential().name());
                (rule.describe(origin), credential)
            })
        });
        f.debug_map().entries(rules).finish()
    }
}
