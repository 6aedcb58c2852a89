//! Rows, written down one after the other and checked together.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

use http::Method;
use matchit::{InsertError, Router};

use super::template::Template;
use super::{Access, Endpoint, Otherwise};
use crate::server::need::Need;

/// What an [`Access`] is made of. The order of the rows does not matter.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AccessBuilder {
    rows: Vec<Row>,
    otherwise: Otherwise,
}

#[derive(Clone, Debug)]
struct Row {
    /// `None` for all that no other row names.
    method: Option<Method>,
    template: String,
    need: Need,
}

/// A path of the table, by the first template that named it.
struct Entry {
    template: String,
    endpoint: Endpoint,
}

impl Access {
    /// An empty table.
    pub fn builder() -> AccessBuilder {
        AccessBuilder::default()
    }
}

impl AccessBuilder {
    /// Requests of this method to paths of this template need this.
    pub fn route(self, method: Method, template: impl Into<String>, need: Need) -> Self {
        self.add(Some(method), template.into(), need)
    }

    /// As [`route`](Self::route), for every method that has no row of its own at this template. `HEAD` has one where `GET` has: it
    /// needs what that does, and not what this row says (RFC 9110 §9.3.2).
    pub fn any_method(self, template: impl Into<String>, need: Need) -> Self {
        self.add(None, template.into(), need)
    }

    /// Requests of this method to paths of this template need nothing.
    pub fn public(self, method: Method, template: impl Into<String>) -> Self {
        self.add(Some(method), template.into(), Need::nothing())
    }

    /// What becomes of all others. They are refused by default.
    pub fn otherwise(mut self, otherwise: Otherwise) -> Self {
        self.otherwise = otherwise;
        self
    }

    /// The table.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, at once: a template that is none or that servers read in different ways, two rows for one
    /// method and path, two templates between which a path cannot tell, and what is no scope (RFC 6749 §3.3).
    pub fn build(self) -> Result<Access, AccessError> {
        let mut problems = Vec::new();
        let mut entries = BTreeMap::new();
        for Row { method, template, need } in self.rows {
            let mut fail = |problem: String| problems.push(format!("`{template}` {problem}"));
            if let Some(problem) = need.problem() {
                fail(problem);
            }
            if method == Some(Method::CONNECT) {
                fail("is for CONNECT, which has no path (RFC 9112 §3.2.3)".to_owned());
                continue;
            }
            let parsed = match Template::parse(&template) {
                Ok(parsed) => parsed,
                Err(problem) => {
                    fail(problem);
                    continue;
                }
            };
            let entry = entries.entry(parsed.route).or_insert_with(|| Entry {
                template: template.clone(),
                endpoint: Endpoint::default(),
            });
            if !entry.endpoint.add(method.as_ref(), need) {
                let method = method.as_ref().map_or("any method", Method::as_str);
                fail(format!("has two rows for {method}; the other is for `{}`", entry.template));
            }
        }
        let names: BTreeMap<_, _> =
            entries.iter().map(|(route, entry)| (route.clone(), entry.template.clone())).collect();
        let mut router = Router::new();
        for (route, Entry { template, endpoint }) in entries {
            if let Err(error) = router.insert(route, endpoint) {
                let problem = match error {
                    InsertError::Conflict { with } => {
                        let with = names.get(&with).unwrap_or(&with);
                        format!("and `{with}` cover the same paths; write one of the two")
                    }
                    error => format!("is no template: {error}"),
                };
                problems.push(format!("`{template}` {problem}"));
            }
        }
        if !problems.is_empty() {
            return Err(AccessError { problems });
        }
        let otherwise = match self.otherwise {
            Otherwise::Refuse => None,
            Otherwise::Token => Some(Need::token()),
        };
        Ok(Access { router, otherwise })
    }

    fn add(mut self, method: Option<Method>, template: String, need: Need) -> Self {
        self.rows.push(Row { method, template, need });
        self
    }
}

impl Endpoint {
    /// Whether there was none for this method.
    fn add(&mut self, method: Option<&Method>, need: Need) -> bool {
        match method {
            None if self.any.is_some() => return false,
            None => self.any = Some(need),
            Some(method) if self.methods.iter().any(|(known, _)| known == method) => return false,
            Some(method) => self.methods.push((method.clone(), need)),
        }
        true
    }
}

/// Why a table is none: everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessError {
    problems: Vec<String>,
}

impl AccessError {
    /// What is wrong, each by the template that has it, and what to write.
    pub fn problems(&self) -> impl ExactSizeIterator<Item = &str> {
        self.problems.iter().map(String::as_str)
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access: {}", self.problems.join("; "))
    }
}

impl StdError for AccessError {}
