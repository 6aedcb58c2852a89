//! One rule of the table, as it is written down and as it is checked.

use http::Method;

use crate::binding::Binding;
use crate::credential::Credential;
use crate::error::ConfigError;
use crate::origin::Origin;
use crate::path::PathPrefix;
use crate::wire::endpoint::HttpUrl;

/// As the user writes it down.
pub(super) struct Draft {
    pub(super) method: Option<Method>,
    pub(super) url: String,
    /// `None` for places that take no credential.
    pub(super) credential: Option<Credential>,
}

/// A rule in the list of its origin.
pub(super) struct Rule {
    pub(super) method: Option<Method>,
    pub(super) prefix: PathPrefix,
    pub(super) binding: Option<Binding>,
}

impl Draft {
    /// Checks everything that can be said of one rule alone.
    pub(super) fn check(self, insecure_loopback: bool) -> Result<(Origin, Rule), ConfigError> {
        let fail = |problem: String| Err(ConfigError::new("route", problem));
        let url = HttpUrl::parse("route", &self.url, insecure_loopback)?;
        if self.url.contains('?') {
            return fail("has a query, which rules do not look at".to_owned());
        }
        let origin = Origin::of_url(&url);
        let prefix: PathPrefix = url.uri().path().parse()?;
        let binding = match self.credential {
            None => None,
            Some(credential) => match at(&credential, &origin) {
                Some(at) => Some(Binding::new(credential, origin.clone(), at)),
                None => {
                    return fail(format!(
                        "credential `{}` is not bound to {origin}; bind it with `Builder::origin`, which names all of its origins",
                        credential.name()
                    ));
                }
            },
        };
        Ok((origin, Rule { method: self.method, prefix, binding }))
    }
}

/// The number of this origin among those of the credential, if it may go there.
pub(super) fn at(credential: &Credential, origin: &Origin) -> Option<usize> {
    match credential {
        Credential::OAuth(authenticator) => authenticator.bound().position_of(origin),
        // It has none of its own: the rules say where it goes.
        Credential::ApiKey(_) => Some(0),
    }
}

impl Rule {
    pub(super) fn takes(&self, method: &Method, path: &str) -> bool {
        self.method.as_ref().is_none_or(|own| own == method) && self.prefix.covers(path)
    }

    /// Whether a server may take a request for one that this rule takes, though the rule does not.
    pub(super) fn may_take(&self, method: &Method, path: &str) -> bool {
        let methods = self.method.as_ref().is_none_or(|own| own == method);
        methods && !self.prefix.covers(path) && self.prefix.may_cover(path)
    }

    /// Whether whatever the other one takes is taken by this one.
    pub(super) fn hides(&self, other: &Self) -> bool {
        let methods = self.method.is_none() || self.method == other.method;
        methods && self.prefix.covers_prefix(&other.prefix)
    }

    /// Whether it takes every request of its origin.
    pub(super) fn takes_all(&self) -> bool {
        self.method.is_none() && self.prefix.is_root()
    }

    pub(super) fn is_for(&self, credential: &Credential) -> bool {
        self.binding.as_ref().is_some_and(|binding| binding.credential().is(credential))
    }

    pub(super) fn describe(&self, origin: &Origin) -> String {
        let method = self.method.as_ref().map_or("", Method::as_str);
        let space = if method.is_empty() { "" } else { " " };
        format!("{method}{space}{origin}{}", self.prefix)
    }
}
