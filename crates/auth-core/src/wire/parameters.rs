//! What a token is asked for: the parameters of the token request that say which token it is to be.

use std::collections::BTreeSet;

use http::Uri;
use serde_json::Value;

use crate::error::ConfigError;
use crate::preflight;

/// The parameters that have a setter of their own, or that the authentication of the client sends: an extra parameter must
/// not repeat one (RFC 6749 §3.2).
const RESERVED: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "audience",
    "scope",
    "resource",
    "authorization_details",
];

/// All of them are in the fingerprint.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) audience: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// RFC 8707 §2.
    pub(crate) resources: Vec<String>,
    /// RFC 9396 §2, as JSON text.
    pub(crate) authorization_details: Option<String>,
    pub(crate) extra: Vec<(String, String)>,
}

/// One parameter of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Text(&'a str, &'a str),
    /// Several of one name (RFC 8707 §2), of which there is at least one.
    Repeated(&'a str, &'a [String]),
    /// JSON, which is text in a form.
    Json(&'a str, &'a str),
}

impl Parameters {
    /// Checks everything: no parameter is empty or stands twice (RFC 6749 §3.2).
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(audience) = &self.audience {
            check_audience(audience)?;
        }
        let mut seen = BTreeSet::new();
        for scope in &self.scopes {
            // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
            let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            if scope.is_empty() || !scope.bytes().all(legal) {
                return Err(ConfigError::new(
                    "scope",
                    "is not one scope token (RFC 6749 section 3.3); set each with its own call",
                ));
            }
            if !seen.insert(scope) {
                return Err(ConfigError::new("scope", format!("`{scope}` is there twice")));
            }
        }
        let mut seen = BTreeSet::new();
        for resource in &self.resources {
            check_resource(resource)?;
            if !seen.insert(resource) {
                return Err(ConfigError::new("resource", format!("{resource:?} is there twice")));
            }
        }
        if let Some(details) = &self.authorization_details {
            check_details(details)?;
        }
        let mut seen = BTreeSet::new();
        for (name, value) in &self.extra {
            preflight::text("parameter", name)?;
            if value.is_empty() {
                return Err(ConfigError::new(
                    "parameter",
                    format!("`{name}` has an empty value (RFC 6749 section 3.2 forbids it)"),
                ));
            }
            if RESERVED.contains(&&**name) {
                return Err(ConfigError::new(
                    "parameter",
                    format!("`{name}` repeats one that has a setter of its own"),
                ));
            }
            if !seen.insert(name) {
                return Err(ConfigError::new(
                    "parameter",
                    format!("`{name}` stands twice (RFC 6749 section 3.2 forbids it)"),
                ));
            }
        }
        Ok(())
    }

    /// Each in the order in which it is sent. `scope` is the scopes, joined.
    pub(crate) fn fields<'a>(&'a self, scope: &'a str, mut field: impl FnMut(Field<'a>)) {
        if let Some(audience) = &self.audience {
            field(Field::Text("audience", audience));
        }
        if !scope.is_empty() {
            field(Field::Text("scope", scope));
        }
        if !self.resources.is_empty() {
            field(Field::Repeated("resource", &self.resources));
        }
        if let Some(details) = &self.authorization_details {
            field(Field::Json("authorization_details", details));
        }
        for (name, value) in &self.extra {
            field(Field::Text(name, value));
        }
    }

    /// What tells them apart: a count before each list, so that a scope cannot pass for a parameter.
    pub(crate) fn identity(&self, mut field: impl FnMut(&[u8])) {
        let mut list = |items: &mut dyn Iterator<Item = &String>| {
            let items: Vec<_> = items.collect();
            field(&(items.len() as u64).to_be_bytes());
            items.into_iter().for_each(|item| field(item.as_bytes()));
        };
        list(&mut self.audience.iter());
        list(&mut self.scopes.iter());
        list(&mut self.resources.iter());
        list(&mut self.authorization_details.iter());
        list(&mut self.extra.iter().flat_map(|(name, value)| [name, value]));
    }
}

/// An audience is a name, and many are URLs; what makes a URL unsafe or ambiguous makes the name so too.
fn check_audience(audience: &str) -> Result<(), ConfigError> {
    preflight::text("audience", audience)?;
    if audience.contains(char::is_whitespace) {
        return Err(ConfigError::new("audience", "has white space in it"));
    }
    if let Some((_, rest)) = audience.split_once("://") {
        if rest.contains('#') {
            return Err(ConfigError::new("audience", "is a URL with a fragment (`#…`)"));
        }
        if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(ConfigError::new("audience", "is a URL with user info (`user@`)"));
        }
    }
    Ok(())
}

/// RFC 8707 §2: an absolute URI without a fragment.
fn check_resource(resource: &str) -> Result<(), ConfigError> {
    preflight::text("resource", resource)?;
    if resource.contains('#') {
        return Err(ConfigError::new(
            "resource",
            "has a fragment (`#…`), which RFC 8707 section 2 forbids",
        ));
    }
    // A URI need not be one of http's: `urn:example:api` is absolute as well (RFC 3986 §4.3).
    let scheme = resource.split_once(':').filter(|(scheme, rest)| {
        let mut bytes = scheme.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
    });
    let is_http =
        |scheme: &str| scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let good = match scheme {
        Some((scheme, _)) if is_http(scheme) => {
            resource.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
        }
        Some((_, rest)) => rest.bytes().all(|byte| byte.is_ascii_graphic()),
        None => false,
    };
    if good {
        Ok(())
    } else {
        Err(ConfigError::new(
            "resource",
            "is not an absolute URI such as https://api.example (RFC 8707 section 2)",
        ))
    }
}

/// RFC 9396 §2: an array of objects, each with a `type`.
fn check_details(details: &str) -> Result<(), ConfigError> {
    let fail = |problem: &str| Err(ConfigError::new("authorization_details", problem));
    let Ok(Value::Array(details)) = serde_json::from_str(details) else {
        return fail("is not a JSON array (RFC 9396 section 2)");
    };
    if details.is_empty() {
        return fail("is empty");
    }
    let has_type = |detail: &Value| {
        detail.get("type").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty())
    };
    if !details.iter().all(has_type) {
        return fail("has an element that is not an object with a `type` (RFC 9396 section 2)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(parameters: &Parameters) -> String {
        parameters.check().unwrap_err().to_string()
    }

    #[test]
    fn a_resource_is_an_absolute_uri_without_a_fragment() {
        let with = |resource: &str| Parameters {
            resources: vec![resource.to_owned()],
            ..Parameters::default()
        };
        for good in
            ["https://api.example", "https://api.example/a?b=c", "urn:example:api", "HTTP://a/"]
        {
            assert_eq!(with(good).check(), Ok(()), "{good}");
        }
        for bad in
            ["", " ", "/a", "api.example", "a b:c", "https://", "https:///a", "urn:", ":a", "urn:ä"]
        {
            assert!(refused(&with(bad)).starts_with("resource: "), "{bad}");
        }
        assert!(refused(&with("https://api.example/#a")).contains("fragment"));
    }

    #[test]
    fn authorization_details_are_objects_that_have_a_type() {
        let with = |details: &str| Parameters {
            authorization_details: Some(details.to_owned()),
            ..Parameters::default()
        };
        assert_eq!(with(r#"[{"type":"payment","amount":1}]"#).check(), Ok(()));
        for bad in ["", "{}", "[]", "[1]", r#"[{"type":""}]"#, r#"[{"type":1}]"#, "[{}]", "[{"] {
            assert!(refused(&with(bad)).contains("authorization_details"), "{bad}");
        }
    }

    #[test]
    fn nothing_is_empty_and_nothing_stands_twice() {
        let twice = || vec!["https://a.example".to_owned(); 2];
        assert!(
            refused(&Parameters { resources: twice(), ..Parameters::default() }).contains("twice")
        );
        assert!(
            refused(&Parameters { scopes: twice(), ..Parameters::default() }).contains("twice")
        );
        let extra = |pairs: &[(&str, &str)]| Parameters {
            extra: pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            ..Parameters::default()
        };
        assert!(refused(&extra(&[("a", "1"), ("a", "2")])).contains("twice"));
        assert!(refused(&extra(&[("a", "")])).contains("empty"));
        for reserved in RESERVED {
            assert!(
                refused(&extra(&[(*reserved, "1")])).contains("setter of its own"),
                "{reserved}"
            );
        }
    }
}
