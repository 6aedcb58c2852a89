//! Rules, written down one after the other and checked together.

use std::collections::HashMap;
use std::fmt;

use http::Method;

use super::Routes;
use super::rule::{Draft, Rule};
use super::table::{Table, Unmatched};
use crate::credential::Credential;
use crate::error::ConfigError;
use crate::origin::Origin;

/// Each request goes through those of its origin.
const MOST_RULES: usize = 65_536;

/// What [`Routes`] are made of. Rules count in the order in which they are added.
#[derive(Default)]
#[must_use]
pub struct RoutesBuilder {
    drafts: Vec<Draft>,
    unmatched: Unmatched,
    insecure_loopback: bool,
}

impl Routes {
    /// A table of rules.
    pub fn builder() -> RoutesBuilder {
        RoutesBuilder::default()
    }
}

impl RoutesBuilder {
    /// Requests to `url`'s origin whose path is `url`'s or below it get this credential. An authenticator must be bound to the origin; a key goes
    /// where the rules say, and nowhere else.
    pub fn route(self, url: impl Into<String>, credential: impl Into<Credential>) -> Self {
        self.add(None, url.into(), Some(credential.into()))
    }

    /// As [`route`](Self::route), for requests of this method alone.
    pub fn route_method(
        self,
        method: Method,
        url: impl Into<String>,
        credential: impl Into<Credential>,
    ) -> Self {
        self.add(Some(method), url.into(), Some(credential.into()))
    }

    /// Requests to `url`'s origin whose path is `url`'s or below it pass on without a credential.
    pub fn bare(self, url: impl Into<String>) -> Self {
        self.add(None, url.into(), None)
    }

    /// What becomes of requests that no rule covers.
    pub fn unmatched(mut self, unmatched: Unmatched) -> Self {
        self.unmatched = unmatched;
        self
    }

    /// Whether rules may be for plain `http` on loopback: for tests and demos.
    pub fn insecure_loopback(mut self, allowed: bool) -> Self {
        self.insecure_loopback = allowed;
        self
    }

    /// Checks everything. A table without a rule is one for requests that name their credential
    /// ([`RequestOptions::credential`](crate::RequestOptions::credential)); it must refuse the others.
    ///
    /// # Errors
    ///
    /// Says which rule is wrong, by its number: its URL is none, or not `https`; its credential is not bound to that origin; or an earlier rule takes
    /// all that it would.
    pub fn build(self) -> Result<Routes, ConfigError> {
        if self.drafts.is_empty() && self.unmatched != Unmatched::Refuse {
            return Err(ConfigError::new(
                "route",
                "is missing: a table needs one rule at least, unless it refuses whatever names no credential of its own \
                 (`unmatched(Unmatched::Refuse)`)",
            ));
        }
        if self.drafts.len() > MOST_RULES {
            return Err(ConfigError::new("route", format!("more than {MOST_RULES} rules")));
        }
        let mut rules: Vec<(Origin, Rule)> = Vec::with_capacity(self.drafts.len());
        let mut of_origin: HashMap<Origin, Vec<usize>> = HashMap::new();
        for (number, draft) in self.drafts.into_iter().enumerate() {
            let checked = draft.check(self.insecure_loopback);
            let (origin, rule) =
                checked.map_err(|error| error.of("route", format_args!("rule {}", number + 1)))?;
            let earlier = of_origin.entry(origin.clone()).or_default();
            let hiding =
                earlier.iter().map(|at| &rules[*at].1).find(|earlier| earlier.hides(&rule));
            if let Some(earlier) = hiding {
                let (rule, earlier) = (rule.describe(&origin), earlier.describe(&origin));
                return Err(ConfigError::new(
                    "route",
                    format!(
                        "{rule} never counts, since the earlier rule {earlier} takes all of it; put it before that one"
                    ),
                ));
            }
            earlier.push(rules.len());
            rules.push((origin, rule));
        }
        Ok(Routes::of(Table::new(rules, self.unmatched)))
    }

    fn add(mut self, method: Option<Method>, url: String, credential: Option<Credential>) -> Self {
        self.drafts.push(Draft { method, url, credential });
        self
    }
}

impl fmt::Debug for RoutesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.drafts.iter().map(|draft| (&draft.method, &draft.url));
        f.debug_struct("RoutesBuilder")
            .field("rules", &urls.collect::<Vec<_>>())
            .field("unmatched", &self.unmatched)
            .finish_non_exhaustive()
    }
}
