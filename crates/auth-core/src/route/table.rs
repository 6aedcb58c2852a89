//! The table, and how a request finds its rule in it.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use http::Method;

use super::rule::Rule;
use crate::binding::Binding;
use crate::credential::Credential;
use crate::error::Error;
use crate::origin::{Origin, Origins};
use crate::path::PathPrefix;

/// How many credentials an error names.
const NAMED: usize = 3;

/// What becomes of requests that no rule covers; see [`Routes`](super::Routes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmatched {
    /// Refused at origins that have rules, passed on bare at others.
    #[default]
    RefuseAtKnownOrigins,
    /// Refused.
    Refuse,
    /// Passed on without a credential.
    PassBare,
}

/// A rule of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteId(NonZeroU32);

impl RouteId {
    #[inline]
    pub(super) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What a request gets.
#[derive(Debug)]
pub enum Route<T = RouteId> {
    /// A credential: [`Routes::binding`](super::Routes::binding) has it.
    To(T),
    /// None: it passes on as it is.
    Bare,
    /// It is not sent.
    Refused(Error),
}

pub(super) struct Table {
    pub(super) origins: Origins,
    /// For each of the origins.
    pub(super) places: Box<[Place]>,
    /// One origin after the other.
    pub(super) rules: Box<[Rule]>,
    unmatched: Unmatched,
    /// The credentials of the rules, by their addresses.
    known: HashSet<usize>,
    /// The names of the credentials, for errors.
    pub(super) names: Arc<str>,
}

/// The rules of one origin, in their order: where they are among all.
pub(super) struct Place {
    first: usize,
    end: usize,
    /// The first rule takes everything, so that nobody needs to look at paths.
    pub(super) is_plain: bool,
}

impl Table {
    /// Of rules in their order, each checked.
    pub(super) fn new(mut rules: Vec<(Origin, Rule)>, unmatched: Unmatched) -> Self {
        let origins = Origins::new(rules.iter().map(|(origin, _)| origin.clone()).collect());
        // Stable, so that the rules of one origin stay in their order.
        rules.sort_by_key(|(origin, _)| origins.position_of(origin));
        let place = |origin: &Origin| {
            let first = rules
                .partition_point(|(own, _)| origins.position_of(own) < origins.position_of(origin));
            let count = rules[first..].iter().take_while(|(own, _)| own == origin).count();
            let is_plain = rules.get(first).is_some_and(|(_, rule)| rule.takes_all());
            Place { first, end: first + count, is_plain }
        };
        let places = origins.as_slice().iter().map(place).collect();
        let rules = rules.into_iter().map(|(_, rule)| rule).collect();
        let known = HashSet::new();
        let mut table = Self { origins, places, rules, unmatched, known, names: "".into() };
        table.known = table.credentials().map(Credential::address).collect();
        table.names = table.name().into();
        table
    }

    #[inline]
    pub(super) fn route_at(&self, place: usize, method: &Method, path: &str) -> Route {
        let Place { first, is_plain, .. } = self.places[place];
        // A path without a slash in front is part of the host for whoever reads the URI anew.
        if is_plain
            && self.rules[first].binding.is_some()
            && matches!(path.as_bytes(), [b'/' | b'*', ..] | [])
        {
            return Route::To(id(first));
        }
        self.search(place, method, path)
    }

    #[inline(never)]
    fn search(&self, place: usize, method: &Method, path: &str) -> Route {
        let first = self.places[place].first;
        match self.first_of(self.rules_of(place).iter().enumerate(), method, path) {
            Ok(Some((at, rule))) if rule.binding.is_some() => Route::To(id(first + at)),
            Ok(Some(_)) => Route::Bare,
            Ok(None) => self.unmatched(Some(place), method),
            Err(error) => Route::Refused(error),
        }
    }

    /// The first of these rules of one origin that takes the request. A path that a server may read in another way is refused, unless the
    /// first rule takes them all, so that nobody looks.
    pub(super) fn first_of<'a>(
        &self,
        rules: impl Iterator<Item = (usize, &'a Rule)>,
        method: &Method,
        path: &str,
    ) -> Result<Option<(usize, &'a Rule)>, Error> {
        for (number, (at, rule)) in rules.enumerate() {
            if number == 0
                && (!rule.takes_all() || !path.starts_with('/'))
                && let Err(ambiguous) = PathPrefix::check(path)
            {
                return Err(self.refusal(format!(
                    "{ambiguous}; rules look at paths there, so the request was not sent"
                )));
            }
            if rule.takes(method, path) {
                return Ok(Some((at, rule)));
            }
            if rule.may_take(method, path) {
                return Err(self.refusal(
                    "the path differs by its case, or by parameters (`;…`), from one that an earlier rule covers, and servers \
                     read it in different ways; the request was not sent"
                        .to_owned(),
                ));
            }
        }
        Ok(None)
    }

    #[inline(never)]
    pub(super) fn route_elsewhere(&self, method: &Method) -> Route {
        self.unmatched(None, method)
    }

    pub(super) fn unmatched<T>(&self, place: Option<usize>, method: &Method) -> Route<T> {
        match (self.unmatched, place) {
            (Unmatched::PassBare, _) | (Unmatched::RefuseAtKnownOrigins, None) => Route::Bare,
            (Unmatched::RefuseAtKnownOrigins | Unmatched::Refuse, _) => {
                let origin = place.and_then(|place| self.origins.as_slice().get(place));
                let origin = origin.map_or("another origin".to_owned(), ToString::to_string);
                Route::Refused(self.refusal(format!(
                    "no rule covers this {method} request to {origin}; add a rule for its path, name its credential with \
                     `RequestOptions::credential`, or let such requests pass with `unmatched(Unmatched::PassBare)`"
                )))
            }
        }
    }

    #[cold]
    fn refusal(&self, problem: String) -> Error {
        Error::unrouted(self.names.clone(), problem)
    }

    pub(super) fn rules_of(&self, place: usize) -> &[Rule] {
        let Place { first, end, .. } = self.places[place];
        &self.rules[first..end]
    }

    pub(super) fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.rules.iter().filter_map(|rule| rule.binding.as_ref()).map(Binding::credential)
    }

    pub(super) fn has(&self, credential: &Credential) -> bool {
        self.known.contains(&credential.address())
    }

    /// For a request that names a credential which may not go where it is going: it is not sent without, unless the user says so.
    pub(super) fn not_for<T>(&self, credential: &Credential, origin: &Origin) -> Route<T> {
        if self.unmatched == Unmatched::PassBare {
            return Route::Bare;
        }
        let problem = format!(
            "the request names this credential, which does not go to that place at {origin}; add a rule for it, or bind it with \
             `Builder::origin`"
        );
        Route::Refused(Error::unrouted(credential.shared_name(), problem))
    }

    fn name(&self) -> String {
        let mut names: Vec<_> = self.credentials().map(Credential::name).collect();
        names.sort_unstable();
        names.dedup();
        let others = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let names = names.join("`, `");
        if others > 0 { format!("{names}` and {others} others") } else { names }
    }
}

#[inline]
fn id(rule: usize) -> RouteId {
    // Tables are never that long: `build` sees to it.
    RouteId(NonZeroU32::MIN.saturating_add(rule as u32))
}
