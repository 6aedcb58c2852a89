use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use proptest::prelude::*;

use super::*;

const ISSUER: &str = "https://server.example.com";

fn issuer(text: &str) -> Issuer {
    Issuer::parse(text, true).unwrap()
}

/// A document with these members besides the two that must be there.
fn document(members: &str) -> String {
    format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{ISSUER}/token"{members}}}"#)
}

fn read_document(body: &str) -> Result<Metadata, String> {
    parse(body.as_bytes(), &issuer(ISSUER), false)
}

fn answer(status: u16, field: (http::HeaderName, &str), body: &str) -> Result<Metadata, String> {
    let response = Response::builder().status(status).header(field.0, field.1);
    read(&response.body(Bytes::from(body.to_owned())).unwrap(), &issuer(ISSUER), false)
}

fn texts(list: &Option<Vec<String>>) -> Vec<&str> {
    list.iter().flatten().map(String::as_str).collect()
}

#[test]
fn the_example_of_rfc_8414_is_read() {
    let body = r#"{
      "issuer": "https://server.example.com",
      "authorization_endpoint": "https://server.example.com/authorize",
      "token_endpoint": "https://server.example.com/token",
      "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
      "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
      "userinfo_endpoint": "https://server.example.com/userinfo",
      "jwks_uri": "https://server.example.com/jwks.json",
      "registration_endpoint": "https://server.example.com/register",
      "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access"],
      "response_types_supported": ["code", "code token"],
      "service_documentation": "http://server.example.com/service_documentation.html",
      "ui_locales_supported": ["en-US", "en-GB", "en-CA", "fr-FR", "fr-CA"]
    }"#;
    let metadata = answer(200, (CONTENT_TYPE, "application/json"), body).unwrap();
    assert_eq!(metadata.issuer, ISSUER);
    assert_eq!(metadata.token_endpoint.normalized(), "https://server.example.com/token");
    let methods = texts(&metadata.token_endpoint_auth_methods_supported);
    assert_eq!(methods, ["client_secret_basic", "private_key_jwt"]);
    let algorithms = texts(&metadata.token_endpoint_auth_signing_alg_values_supported);
    assert_eq!(algorithms, ["RS256", "ES256"]);
    assert_eq!(texts(&metadata.scopes_supported).len(), 6);
    assert!(metadata.revocation_endpoint(true).is_none());
    assert!(metadata.introspection_endpoint(false).is_none());
    assert_eq!(metadata.grant_types_supported, None);
}

#[test]
fn a_client_with_a_certificate_uses_the_aliases() {
    // After the example of RFC 8705 §5.
    let body = document(
        r#","revocation_endpoint":"https://server.example.com/revo",
           "introspection_endpoint":"https://server.example.com/introspect",
           "dpop_signing_alg_values_supported":["ES256"],
           "protected_resources":["https://api.example.com"],
           "mtls_endpoint_aliases":{
             "token_endpoint":"https://mtls.example.com/token",
             "revocation_endpoint":"https://mtls.example.com/revo",
             "introspection_endpoint":null,
             "device_authorization_endpoint":7
           }"#,
    );
    let metadata = read_document(&body).unwrap();
    let name = |url: &HttpUrl| url.normalized();
    assert_eq!(name(metadata.token_endpoint(true)), "https://mtls.example.com/token");
    assert_eq!(name(metadata.token_endpoint(false)), "https://server.example.com/token");
    let revocation = |mtls| metadata.revocation_endpoint(mtls).map(name).unwrap();
    assert_eq!(revocation(true), "https://mtls.example.com/revo");
    assert_eq!(revocation(false), "https://server.example.com/revo");
    let introspection = metadata.introspection_endpoint(true).map(name).unwrap();
    assert_eq!(introspection, "https://server.example.com/introspect");
    assert_eq!(texts(&metadata.protected_resources), ["https://api.example.com"]);
    assert_eq!(texts(&metadata.dpop_signing_alg_values_supported), ["ES256"]);
}

#[test]
fn the_issuer_is_the_one_that_was_asked_for_byte_by_byte() {
    let says = |says: &str, asked: &str| {
        let body =
            serde_json::json!({ "issuer": says, "token_endpoint": "https://a.example/token" });
        parse(body.to_string().as_bytes(), &issuer(asked), false)
    };
    for same in
        ["https://a.example", "https://a.example/", "https://a.example/t/", "HTTPS://A.example:443"]
    {
        assert_eq!(says(same, same).unwrap().issuer, same);
    }
    let with = says("https://a.example/t/", "https://a.example/t").unwrap_err();
    assert!(with.contains("with the trailing slash"), "{with}");
    let without = says("https://a.example", "https://a.example/").unwrap_err();
    assert!(without.contains("without the trailing slash"), "{without}");
    for (foreign, asked) in [
        ("https://b.example", "https://a.example"),
        ("https://a.example", "https://A.example"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example/T", "https://a.example/t"),
        ("", "https://a.example"),
    ] {
        let error = says(foreign, asked).unwrap_err();
        assert!(error.contains(&format!("`{foreign}`")), "{error}");
        assert!(error.contains(&format!("`{asked}`")), "{error}");
        assert!(error.contains("set it as `issuer`"), "{error}");
    }
    let error = says(&format!("\u{1b}[2J\n\u{202e}{}", "é".repeat(9999)), ISSUER).unwrap_err();
    assert!(error.contains(r"`\u{1b}[2J\n\u{202e}\u{e9}") && error.len() < 600, "{error}");
    let escaped = read_document(&document("").replace("server", r"\u0073erver"));
    assert!(escaped.is_ok(), "the value counts, not how JSON writes it");
}

#[test]
fn an_issuer_that_does_not_fit_is_said_before_anything_else() {
    let body = r#"{"issuer":"https://b.example","token_endpoint":"nonsense"}"#;
    assert!(read_document(body).unwrap_err().contains("`https://b.example`"));
}

// torture: E41
#[test]
fn endpoints_are_https_or_loopback_by_opt_in() {
    for (name, parent) in [
        ("revocation_endpoint", ""),
        ("introspection_endpoint", ""),
        ("token_endpoint", r#""mtls_endpoint_aliases":{"#),
    ] {
        let close = if parent.is_empty() { "" } else { "}" };
        let url = |url: &str, loopback| {
            let body = document(&format!(r#",{parent}"{name}":"{url}"{close}"#));
            parse(body.as_bytes(), &issuer(ISSUER), loopback)
        };
        assert!(url("https://other.example/x?y=z", false).is_ok());
        assert!(url("http://127.0.0.1:1/x", false).unwrap_err().contains("insecure_loopback"));
        assert!(url("http://127.0.0.1:1/x", true).is_ok());
        for bad in [
            "",
            "http://a.example/",
            "/x",
            "https://u@a.example/",
            "https://a/\\u007f",
            "https://a/\\u00e9",
        ] {
            let error = url(bad, true).expect_err(bad);
            assert!(error.contains(name), "{error}");
        }
    }
}

#[test]
fn what_is_no_metadata_is_told_apart() {
    for (body, part) in [
        ("", "not JSON"),
        ("<html>", "not JSON"),
        (r#"{"issuer":"#, "not JSON"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        (r#"{"a":1,"a":1}"#, "member twice"),
        ("{}", "no `issuer`"),
        (r#"{"issuer":null}"#, "no `issuer`"),
        (r#"{"issuer":["https://server.example.com"]}"#, "`issuer` is not a string"),
        (r#"{"issuer":"https://server.example.com"}"#, "no `token_endpoint`"),
        (&document(r#","scopes_supported":"a b""#), "`scopes_supported` is not a list"),
        (&document(r#","grant_types_supported":["a",1]"#), "`grant_types_supported` is not"),
        (&document(r#","token_endpoint":"https://evil.example/""#), "member twice"),
        (&document(r#","mtls_endpoint_aliases":[]"#), "`mtls_endpoint_aliases` is no object"),
        (
            &document(r#","mtls_endpoint_aliases":{"token_endpoint":null,"token_endpoint":null}"#),
            "member twice",
        ),
        (&document(&format!(r#","x":"{}""#, "a".repeat(LONGEST_ANSWER))), "64 KiB"),
        (&"[".repeat(LONGEST_ANSWER), "no JSON object"),
        (&document(&format!(r#","x":{}"#, "[".repeat(9999))), "not JSON"),
    ] {
        let error = read_document(body).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_answer_that_is_not_the_document_is_told_apart() {
    let json = || (CONTENT_TYPE, "application/json; charset=utf-8");
    assert!(answer(200, json(), &document("")).is_ok());
    let mut loose = Response::new(Bytes::from(document("")));
    assert!(read(&loose, &issuer(ISSUER), false).is_ok(), "no content type");
    *loose.status_mut() = http::StatusCode::NON_AUTHORITATIVE_INFORMATION;
    assert!(read(&loose, &issuer(ISSUER), false).is_err(), "200 and nothing else");
    for (status, field, part) in [
        (301, (http::header::LOCATION, "https://b.example/"), "redirects are not followed"),
        (308, json(), "set the issuer"),
        (404, json(), "`Discovery`"),
        (401, json(), "answered 401"),
        (503, json(), "answered 503"),
        (204, json(), "answered 204"),
        (200, (CONTENT_TYPE, "text/html"), "content type"),
        (200, (CONTENT_ENCODING, "gzip"), "compressed"),
    ] {
        let error = answer(status, field, &document("")).unwrap_err();
        assert!(error.contains(part) && error.contains(&status.to_string()), "{error}");
    }
}

#[test]
fn metadata_lives_between_five_minutes_and_a_day() {
    let of = |fields: &[&str]| {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(CACHE_CONTROL, field.parse().unwrap());
        }
        lifetime(&headers).as_secs()
    };
    for (fields, seconds) in [
        (&[][..], 3600),
        (&["public"], 3600),
        (&["max-age=7200"], 7200),
        (&["public, MAX-AGE=7200, must-revalidate"], 7200),
        (&["public", "max-age=\"7200\""], 7200),
        (&["private=\"a, max-age=9000\", max-age=7200"], 7200),
        (&["s-maxage=9000"], 3600),
        (&["max-age=0"], 300),
        (&["max-age=299"], 300),
        (&["max-age=86401"], 86_400),
        (&["max-age=99999999999999999999999"], 86_400),
        (&["max-age=7200, max-age=9000"], 7200),
        (&["no-cache, max-age=7200"], 300),
        (&["max-age=7200, no-store"], 300),
        (&["max-age"], 300),
        (&["max-age=-7200"], 300),
        (&["max-age=7200.5"], 300),
    ] {
        assert_eq!(of(fields), seconds, "{fields:?}");
    }
}

proptest! {
    // torture: E44
    /// No body panics, and no message does harm where it is shown.
    #[test]
    fn any_document_is_read_or_refused_in_plain_words(
        body in prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(|text| serde_json::json!({ "issuer": text }).to_string().into_bytes()),
            any::<String>().prop_map(|text| serde_json::json!({
                "issuer": ISSUER, "token_endpoint": text,
            }).to_string().into_bytes()),
            any::<String>().prop_map(|text| document(&format!(",{text}")).into_bytes()),
        ]
    ) {
        if let Err(error) = parse(&body, &issuer(ISSUER), true) {
            prop_assert!(!error.chars().any(char::is_control), "{error:?}");
            prop_assert!(error.len() < 1000);
        }
    }

    #[test]
    fn any_cache_control_is_within_bounds(field in "[ -~]{0,60}|max-age=[0-9]{0,30}") {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, field.parse().unwrap());
        prop_assert!((300..=86_400).contains(&lifetime(&headers).as_secs()));
    }

    /// What an issuer publishes comes back as it is.
    #[test]
    fn what_is_published_is_read(
        lists in proptest::collection::vec(proptest::collection::vec(any::<String>(), 0..4), 5),
        path in "(/[a-z0-9._~-]{0,9}){0,3}",
    ) {
        let asked = format!("https://a.example{path}");
        let body = serde_json::json!({
            "issuer": asked,
            "token_endpoint": format!("https://b.example{path}"),
            "token_endpoint_auth_methods_supported": lists[0],
            "token_endpoint_auth_signing_alg_values_supported": lists[1],
            "dpop_signing_alg_values_supported": lists[2],
            "grant_types_supported": lists[3],
            "protected_resources": lists[4],
            "unknown": { "x": lists },
        });
        let read = parse(body.to_string().as_bytes(), &issuer(&asked), false).unwrap();
        let expected = |list: usize| Some(lists[list].clone()).filter(|list| !list.is_empty());
        prop_assert_eq!(read.issuer, asked);
        prop_assert_eq!(read.token_endpoint_auth_methods_supported, expected(0));
        prop_assert_eq!(read.token_endpoint_auth_signing_alg_values_supported, expected(1));
        prop_assert_eq!(read.dpop_signing_alg_values_supported, expected(2));
        prop_assert_eq!(read.grant_types_supported, expected(3));
        prop_assert_eq!(read.protected_resources, expected(4));
    }
}
