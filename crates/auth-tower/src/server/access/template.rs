//! Templates of paths, as axum has them: `{id}` is one segment, `{*rest}` is all that follows.

use auth_core::{ConfigError, PathPrefix};

/// A template in the form that the router takes: parameters without their own names, since two spellings of one path must meet in
/// one entry. Literals are canonical as they stand: the router behind the table compares with its own as they are written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) route: String,
}

impl Template {
    /// What is wrong and what to write, otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("does not begin with a slash; write `/v1`, not `v1`".to_owned());
        }
        // Parameters have names that mean nothing to the rules of paths, so these can judge the whole at once.
        let (mut route, mut literal) = (String::new(), String::new());
        let (mut has_rest, mut has_slash) = (false, false);
        for segment in text.split('/').skip(1) {
            if segment.is_empty() {
                // One at the end is no segment, but a slash that counts, though a `{*rest}` has it anyway; the check finds the others.
                has_slash = !has_rest;
                literal.push('/');
                continue;
            }
            if has_rest {
                return Err("has something behind `{*…}`, which takes all that follows".to_owned());
            }
            let (standing, judged) = match parameter(segment)? {
                Some(Parameter::Segment) => ("{p}", "p"),
                Some(Parameter::Rest) => {
                    has_rest = true;
                    ("{*p}", "p")
                }
                None => {
                    literal.push('/');
                    literal.push_str(segment);
                    let form = canonical(segment)?;
                    if form != segment {
                        return Err(format!(
                            "has the segment `{segment}`; write `{form}`, here and in the router, which compares paths as they come"
                        ));
                    }
                    route.push('/');
                    route.push_str(&form);
                    continue;
                }
            };
            literal.push('/');
            literal.push_str(judged);
            route.push('/');
            route.push_str(standing);
        }
        PathPrefix::check(&literal).map_err(|error| error.to_string())?;
        if has_slash {
            route.push('/');
        }
        Ok(Self { route })
    }
}

enum Parameter {
    Segment,
    Rest,
}

/// `None` for a literal.
fn parameter(segment: &str) -> Result<Option<Parameter>, String> {
    if segment.starts_with([':', '*']) {
        return Err(format!(
            "has the segment `{segment}`; write `{{id}}` for a parameter and `{{*rest}}` for all that follows, and `%3A` \
             or `%2A` for the character itself"
        ));
    }
    if !segment.contains(['{', '}']) {
        return Ok(None);
    }
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let parameter = name.and_then(|name| match name.strip_prefix('*') {
        Some(name) => is_name(name).then_some(Parameter::Rest),
        None => is_name(name).then_some(Parameter::Segment),
    });
    match parameter {
        Some(parameter) => Ok(Some(parameter)),
        None => Err(format!(
            "has the segment `{segment}`; a parameter is a whole segment, `{{id}}` or `{{*rest}}`, and a brace itself is \
             `%7B` or `%7D`"
        )),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['{', '}', '*'])
}

fn canonical(segment: &str) -> Result<String, String> {
    let path = format!("/{segment}");
    let form: PathPrefix = path.parse().map_err(|error: ConfigError| {
        // It names a setting of its own, and there is none here.
        let told = error.to_string();
        told.strip_prefix("path: ").unwrap_or(&told).to_owned()
    })?;
    Ok(form.as_str().trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_template_has_one_form() {
        for (text, route) in [
            ("/", "/"),
            ("/v2/shipments", "/v2/shipments"),
            ("/v2/shipments/", "/v2/shipments/"),
            ("/v2/{id}/", "/v2/{p}/"),
            ("/v2/a%C3%A9", "/v2/a%C3%A9"),
            ("/v2/{id}/legs/{leg}", "/v2/{p}/legs/{p}"),
            ("/v2/{*rest}", "/v2/{*p}"),
            ("/{*rest}", "/{*p}"),
            ("/v2/{*rest}/", "/v2/{*p}"),
            ("/{id}/{*rest}", "/{p}/{*p}"),
            ("/a%3Ab:c", "/a%3Ab:c"),
        ] {
            assert_eq!(Template::parse(text), Ok(Template { route: route.to_owned() }), "{text}");
        }
    }

    #[test]
    fn a_template_that_cannot_be_meant_is_refused_with_what_to_write() {
        for (text, told) in [
            ("", "slash"),
            ("v2", "slash"),
            ("*", "slash"),
            ("/v2//x", "empty segment"),
            ("//", "empty segment"),
            ("/v2//", "empty segment"),
            ("/v2/{*rest}//", "empty segment"),
            ("/v2/../x", "segment `.` or `..`"),
            ("/v2/%2e%2e/{id}", "segment `.` or `..`"),
            ("/v2/a%2fb", "encoded slash"),
            ("/v2?x={id}", "`{id}`"),
            ("/v2#x", "fragment"),
            ("/v2/a b", "`%20`"),
            ("/v2/{}", "whole segment"),
            ("/v2/{*}", "whole segment"),
            ("/v2/{id", "whole segment"),
            ("/v2/id}", "whole segment"),
            ("/v2/{{id}}", "`%7B`"),
            ("/%762/x", "write `v2`"),
            ("/v2/a%c3%a9/{id}", "write `a%C3%A9`"),
            ("/v2/x-{id}", "whole segment"),
            ("/v2/{id}.json", "whole segment"),
            ("/v2/:id", "`{id}`"),
            ("/v2/*rest", "`{*rest}`"),
            ("/v2/{*rest}/x", "behind"),
        ] {
            let error = Template::parse(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_panics_and_a_form_is_its_own(text in prop_oneof![any::<String>(), "(/([a-z%2{}*:;.]{0,4}|\\{id\\}|\\{\\*r\\})){0,4}/?"]) {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(Template::parse(&template.route), Ok(template));
            }
        }
    }
}
