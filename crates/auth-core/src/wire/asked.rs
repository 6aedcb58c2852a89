//! What is going to be asked of an issuer, against what it publishes of itself: a request that it is bound to refuse is not
//! sent, since it would cost a unit all the same.

use super::members::shown;
use super::metadata::Metadata;

/// The grant that is asked for (RFC 6749 §4.4), as metadata has it.
const GRANT: &str = "client_credentials";

/// What the token requests of one client have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// How the client shows who it is, by its name in metadata: `client_secret_post`.
    pub(crate) method: &'a str,
    /// What a client assertion is signed with (RFC 7523), if there is one.
    pub(crate) assertion_alg: Option<&'a str>,
    /// What DPoP proofs are signed with (RFC 9449), if there are any.
    pub(crate) dpop_alg: Option<&'a str>,
    pub(crate) scopes: &'a [String],
    pub(crate) audience: Option<&'a str>,
}

impl Metadata {
    /// Why the issuer is going to refuse this, if what it lists leaves no doubt. A list that is absent says nothing: RFC 8414
    /// §2 has defaults for two of them, and issuers that leave a list out mostly do not keep to those.
    pub(crate) fn refuses(&self, asked: &Asked<'_>) -> Option<String> {
        let missing = |list: &Option<Vec<String>>, ours: &str| {
            let list = list.as_ref().filter(|list| !list.iter().any(|listed| listed == ours))?;
            Some((shown(ours), shown(&list.join(", "))))
        };
        if let Some((ours, listed)) = missing(&self.grant_types_supported, GRANT) {
            return Some(format!(
                "the issuer does not list the grant `{ours}` (`grant_types_supported`: {listed})"
            ));
        }
        let methods = &self.token_endpoint_auth_methods_supported;
        if let Some((ours, listed)) = missing(methods, asked.method) {
            return Some(format!(
                "the issuer does not list `{ours}`, which `client_auth` says, among the ways in which a client shows who it \
                 is (`token_endpoint_auth_methods_supported`: {listed})"
            ));
        }
        let algorithms = &self.token_endpoint_auth_signing_alg_values_supported;
        if let Some((ours, listed)) = asked.assertion_alg.and_then(|alg| missing(algorithms, alg)) {
            return Some(format!(
                "the issuer does not list `{ours}` among the algorithms of a client assertion \
                 (`token_endpoint_auth_signing_alg_values_supported`: {listed})"
            ));
        }
        let algorithms = &self.dpop_signing_alg_values_supported;
        let (ours, listed) = asked.dpop_alg.and_then(|alg| missing(algorithms, alg))?;
        Some(format!(
            "the issuer does not list `{ours}` among the algorithms of a DPoP proof \
             (`dpop_signing_alg_values_supported`: {listed})"
        ))
    }

    /// What may be a mistake, and may be none: an issuer need not list every scope (RFC 8414 §2) nor every resource.
    pub(crate) fn doubts(&self, asked: &Asked<'_>) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(listed) = &self.scopes_supported {
            let unlisted = asked.scopes.iter().filter(|scope| !listed.contains(scope));
            doubts.extend(unlisted.map(|scope| {
                let (scope, listed) = (shown(scope), shown(&listed.join(", ")));
                format!(
                    "the issuer does not list the scope `{scope}` (`scopes_supported`: {listed})"
                )
            }));
        }
        if let Some(audience) = asked.audience {
            doubts.extend(self.almost(audience).map(|known| {
                let (audience, known) = (shown(audience), shown(known));
                format!(
                    "the audience `{audience}` differs by a trailing slash from `{known}`, which the issuer publishes"
                )
            }));
        }
        doubts
    }

    /// A name that the issuer publishes and that is `audience` but for a trailing slash, unless `audience` is one itself.
    fn almost(&self, audience: &str) -> Option<&str> {
        let resources = self.protected_resources.iter().flatten();
        let known = || resources.clone().chain([&self.issuer]).map(String::as_str);
        let is_almost = |known: &&str| {
            known.strip_suffix('/') == Some(audience) || audience.strip_suffix('/') == Some(*known)
        };
        if known().any(|known| known == audience) { None } else { known().find(is_almost) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::parse;
    use super::super::well_known::Issuer;
    use super::*;

    fn metadata(members: &str) -> Metadata {
        let issuer = "https://a.example/";
        let body =
            format!(r#"{{"issuer":"{issuer}","token_endpoint":"https://a.example/t"{members}}}"#);
        parse(body.as_bytes(), &Issuer::parse(issuer, false).unwrap(), false).unwrap()
    }

    const ASKED: Asked<'_> = Asked {
        method: "client_secret_post",
        assertion_alg: None,
        dpop_alg: None,
        scopes: &[],
        audience: None,
    };

    #[test]
    fn a_list_that_is_absent_or_empty_refuses_nothing() {
        let asked = Asked {
            assertion_alg: Some("ES256"),
            dpop_alg: Some("ES256"),
            scopes: &["a".to_owned()],
            audience: Some("https://api.example"),
            ..ASKED
        };
        for members in [
            "",
            r#","grant_types_supported":[],"token_endpoint_auth_methods_supported":null,
               "dpop_signing_alg_values_supported":[],"scopes_supported":[]"#,
        ] {
            assert_eq!(metadata(members).refuses(&asked), None);
            assert!(metadata(members).doubts(&asked).is_empty());
        }
    }

    #[test]
    fn a_list_without_what_is_asked_refuses_it_and_both_are_named() {
        let all = Asked { assertion_alg: Some("ES256"), dpop_alg: Some("EdDSA"), ..ASKED };
        for (list, ours) in [
            ("grant_types_supported", "client_credentials"),
            ("token_endpoint_auth_methods_supported", "client_secret_post"),
            ("token_endpoint_auth_signing_alg_values_supported", "ES256"),
            ("dpop_signing_alg_values_supported", "EdDSA"),
        ] {
            let lists = |values: &str| metadata(&format!(r#","{list}":[{values}]"#));
            let refusal = lists(r#""other","\u001b[2J""#).refuses(&all).unwrap();
            for part in [list, ours, "other", r"\u{1b}[2J"] {
                assert!(refusal.contains(part), "{refusal}");
            }
            assert!(!refusal.contains('\u{1b}'));
            assert_eq!(lists(&format!(r#""other","{ours}""#)).refuses(&all), None, "{list}");
            // Names are compared as they stand.
            assert!(lists(&format!(r#""{}X""#, ours)).refuses(&all).is_some());
        }
        let algorithms = metadata(
            r#","token_endpoint_auth_signing_alg_values_supported":["RS256"],"dpop_signing_alg_values_supported":["RS256"]"#,
        );
        assert_eq!(algorithms.refuses(&ASKED), None, "neither is asked for");
    }

    #[test]
    fn a_scope_that_is_not_listed_is_a_doubt() {
        let metadata = metadata(r#","scopes_supported":["read","write"]"#);
        let scopes = ["read", "admin\n"].map(str::to_owned);
        let asked = Asked { scopes: &scopes, ..ASKED };
        assert_eq!(metadata.refuses(&asked), None);
        let doubts = metadata.doubts(&asked);
        assert_eq!(doubts.len(), 1);
        assert!(doubts[0].contains(r"`admin\n`") && doubts[0].contains("read, write"));
    }

    #[test]
    fn an_audience_that_is_almost_a_published_name_is_a_doubt() {
        let metadata =
            metadata(r#","protected_resources":["https://api.example","https://b.example/"]"#);
        let doubts = |audience| metadata.doubts(&Asked { audience: Some(audience), ..ASKED });
        for (audience, known) in [
            ("https://api.example/", "`https://api.example`"),
            ("https://b.example", "`https://b.example/`"),
            ("https://a.example", "`https://a.example/`"),
        ] {
            let doubts = doubts(audience);
            assert!(doubts.len() == 1 && doubts[0].contains(known), "{doubts:?}");
        }
        for audience in ["https://api.example", "https://a.example/", "https://api.example//", "x"]
        {
            assert!(doubts(audience).is_empty(), "{audience}");
        }
    }
}
