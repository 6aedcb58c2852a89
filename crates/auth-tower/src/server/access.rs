//! Which endpoints a credential opens: a table of methods and templates of paths, asked before a request is served.
//!
//! What the table does not name is refused: an endpoint that somebody adds to the router, and not to the table, is closed, unless a
//! row with a parameter covers it.
//! Paths are compared in their canonical form (RFC 3986 §6.2.2), and one that servers read in different ways is refused, so
//! that this table and the router behind it cannot mean two endpoints by one request. A slash at the end counts, as it does for
//! axum's router: `/health/` is not `/health`, but may be below a `/{*rest}`.

mod builder;
mod template;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use auth_core::{AmbiguousPath, PathPrefix};
use http::Method;
use matchit::Router;

pub use self::builder::{AccessBuilder, AccessError};
use super::need::Need;

/// The table: what each endpoint needs.
///
/// Templates are those of axum 0.8: `{id}` is one segment, and `{*rest}` is one or more with all that follows. A literal segment
/// goes before a parameter. `/v2/ports/` is another path than `/v2/ports`, and neither is covered by `/v2/ports/{*rest}`: where a
/// router serves all three, as one with `nest_service("/v2/ports", ..)` does, the table needs three rows. Upper and lower case
/// are two paths. A parameter is a whole segment here.
///
/// ```
/// use auth_tower::server::{Access, Need};
/// use http::Method;
///
/// let access = Access::builder()
///     .route(Method::GET, "/v2/shipments/{id}", Need::scope("shipments"))
///     .any_method("/v2/products/{*rest}", Need::scope("products").or_key())
///     .route(Method::GET, "/v1/shipments", Need::key())
///     .public(Method::GET, "/health")
///     .build()?;
/// assert!(access.find(&Method::GET, "/v2/shipments/17").is_ok_and(|need| need.takes_token()));
/// assert!(access.find(&Method::DELETE, "/v2/shipments/17").is_err());
/// # Ok::<_, auth_tower::server::AccessError>(())
/// ```
#[derive(Clone)]
pub struct Access {
    router: Router<Endpoint>,
    /// What any other request needs; `None` refuses it.
    otherwise: Option<Need>,
}

/// What becomes of a request that the table does not name, by its path or by its method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Otherwise {
    /// It is refused, whatever it shows.
    #[default]
    Refuse,
    /// It needs a valid token, whatever that has been granted.
    Token,
}

/// What one path needs, by the method.
#[derive(Clone, Debug, Default)]
struct Endpoint {
    methods: Vec<(Method, Need)>,
    any: Option<Need>,
}

impl Access {
    /// What a request needs, by its method and its path without the query.
    ///
    /// `HEAD` needs what `GET` does where it is not named itself (RFC 9110 §9.3.2). A `CONNECT` to an authority and
    /// `OPTIONS *` have no path (RFC 9112 §3.2), so no row covers them.
    ///
    /// A path that is encoded where a template has letters is refused, unless the router behind, which may compare paths as they
    /// come, would find the same need.
    ///
    /// A canonical path costs no allocation, as long as it has three parameters at most and no literal of the table is a false
    /// start: then the router notes where it has to come back to.
    ///
    /// # Errors
    ///
    /// When the request is not to be served, whatever it shows.
    pub fn find(&self, method: &Method, path: &str) -> Result<&Need, Refused> {
        let need = match PathPrefix::canonical(path).map_err(Refused::Ambiguous)? {
            Cow::Borrowed(_) if path.is_empty() => self.look_up(method, "/"),
            // With its slash at the end, if it has one.
            Cow::Borrowed(_) => self.look_up(method, path),
            Cow::Owned(mut canonical) => {
                if path.ends_with('/') {
                    canonical.push('/');
                }
                let need = self.look_up(method, &canonical);
                // A router may compare paths as they come: whichever of the two it takes, the answer has to be the same.
                need.filter(|need| self.look_up(method, path) == Some(need))
            }
        };
        need.ok_or(Refused::Unlisted)
    }

    fn look_up(&self, method: &Method, path: &str) -> Option<&Need> {
        let is_without_path = path == "*" || (*method == Method::CONNECT && path == "/");
        let endpoint = if is_without_path { None } else { self.router.at(path).ok() };
        endpoint.and_then(|endpoint| endpoint.value.need(method)).or(self.otherwise.as_ref())
    }
}

impl Endpoint {
    fn need(&self, method: &Method) -> Option<&Need> {
        let of = |method| self.methods.iter().find(|(known, _)| known == method);
        let named = of(method);
        let named =
            if *method == Method::HEAD { named.or_else(|| of(&Method::GET)) } else { named };
        named.map(|(_, need)| need).or(self.any.as_ref())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("otherwise", &self.otherwise).finish_non_exhaustive()
    }
}

/// Why a request is not served, whatever it shows. It never quotes the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Servers read its path in different ways: a bad request (400).
    Ambiguous(AmbiguousPath),
    /// The table has no row for it, and refuses others (403).
    Unlisted,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambiguous(error) => fmt::Display::fmt(error, f),
            Self::Unlisted => f.write_str("the table has no row for this method and path"),
        }
    }
}

impl StdError for Refused {}

#[cfg(test)]
mod tests;
