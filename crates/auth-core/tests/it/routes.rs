//! Which credential goes where.

use auth_core::{
    Authenticator, Binding, ConfigError, Error, RequestOptions, Route, Routes, RoutesBuilder,
    Unmatched,
};
use http::{Method, Uri};

use crate::support::*;

const API: &str = "https://api.example";

fn named(name: &str) -> Authenticator {
    at(name, &[API])
}

fn at(name: &str, origins: &[&str]) -> Authenticator {
    let (builder, _) = builder(&Issuer::new([]));
    let builder = builder.name(name).insecure_loopback(true);
    origins.iter().fold(builder, |builder, origin| builder.origin(*origin)).build().unwrap()
}

/// The name of what a request gets, `bare`, or `refused`.
fn route(routes: &Routes, method: &Method, uri: &str) -> String {
    let uri: Uri = uri.parse().unwrap();
    match routes.route(method, &uri) {
        Route::To(id) => name(routes.binding(id)),
        Route::Bare => "bare".to_owned(),
        Route::Refused(_) => "refused".to_owned(),
    }
}

fn name(binding: &Binding) -> String {
    binding.name().to_owned()
}

fn get(routes: &Routes, uri: &str) -> String {
    route(routes, &Method::GET, uri)
}

/// What a request gets that asks for this credential.
fn chosen(routes: &Routes, uri: &str, credential: &Authenticator) -> Result<Option<String>, Error> {
    let options = RequestOptions::new().credential(credential.clone());
    match options.route(routes, &Method::GET, &uri.parse().unwrap()) {
        Route::To((None, binding)) => Ok(Some(name(&binding))),
        Route::To((Some(_), _)) => panic!("it is by no rule"),
        Route::Bare => Ok(None),
        Route::Refused(error) => Err(error),
    }
}

fn refused(builder: RoutesBuilder) -> ConfigError {
    let error = builder.build().unwrap_err();
    assert_eq!(error.field(), "route");
    error
}

fn versions() -> Routes {
    Routes::builder()
        .bare("https://api.example/v1/open")
        .route("https://api.example/v1", named("v1"))
        .route_method(Method::POST, "https://api.example/v2/bookings", named("booker"))
        .route("https://api.example/v2", named("v2"))
        .bare("https://api.example/health")
        .build()
        .unwrap()
}

#[test]
fn the_first_rule_that_covers_a_request_counts() {
    let routes = versions();
    for (uri, expected) in [
        ("https://api.example/v1", "v1"),
        ("https://api.example/v1/", "v1"),
        ("https://api.example/v1/x/y?z=/v2", "v1"),
        ("https://API.Example:443/v2/bookings", "v2"),
        ("https://api.example/%76%32/x", "v2"),
        ("https://api.example/health/live", "bare"),
        ("https://api.example/v10", "refused"),
        ("https://api.example/V1", "refused"),
        ("https://api.example/", "refused"),
        ("https://api.example", "refused"),
        ("https://api.example:8443/v1", "bare"),
        ("http://api.example/v1", "bare"),
        ("https://other.example/v1", "bare"),
        ("https://api.example.evil/v1", "bare"),
        ("https://api.example./v1", "bare"),
        ("https://user@api.example/v1", "v1"),
        ("https://api.example:/v1", "v1"),
        ("https://evil/https://api.example/v1", "bare"),
        ("/v1", "refused"),
        ("api.example:443", "refused"),
    ] {
        assert_eq!(get(&routes, uri), expected, "{uri}");
    }
    assert_eq!(route(&routes, &Method::POST, "https://api.example/v2/bookings/7"), "booker");
    assert_eq!(route(&routes, &Method::POST, "https://api.example/v2/bookings7"), "v2");
}

// torture: G54
#[test]
fn no_spelling_of_a_path_selects_another_credential() {
    let routes = versions();
    for path in [
        "/v1/../v2",
        "/v1%2f..",
        "//v1",
        "/v2/../v1",
        "/v2/..%2fv1",
        "/v2/%2e%2e/v1",
        "/v2/.%2E/v1",
        "/v2/..;/v1",
        "/./v1",
        "/v2//v1",
        "/v2\\..\\v1",
        "/v2/%5c../v1",
        "/v2/..%252fv1",
        "/%2fv1",
        "/v1/%",
        "/v1/%zz",
        "/v1/%00",
        "/v2/.;x/v1",
    ] {
        let uri: Uri = format!("{API}{path}").parse().unwrap_or_else(|_| panic!("{path}"));
        let Route::Refused(error) = routes.route(&Method::GET, &uri) else { panic!("{path}") };
        assert!(error.is_unrouted() && !error.is_transient() && error.retry_at().is_none());
        let text = error.to_string();
        assert!(text.contains("`booker`, `v1`, `v2`") && !text.contains(path), "{text}");
    }
}

// torture: G54
#[test]
fn a_path_that_a_server_may_take_for_one_of_an_earlier_rule_does_not_select_a_later_one() {
    let routes = Routes::builder()
        .bare("https://api.example/public")
        .route("https://api.example/v1", named("weak"))
        .route("https://api.example/", named("strong"))
        .build()
        .unwrap();
    for path in [
        "/v1;x/orders",
        "/v1%3bx/orders",
        "/v1;x",
        "/V1/orders",
        "/v1%3fx",
        "/v1%23",
        "/%56%31",
        "/public;jsessionid=1/a",
        "/Public",
    ] {
        assert_eq!(get(&routes, &format!("{API}{path}")), "refused", "{path}");
    }
    for (path, expected) in
        [("/v1/x;y=1", "weak"), ("/v10", "strong"), ("/v2;x/V1", "strong"), ("/x/v1", "strong")]
    {
        assert_eq!(get(&routes, &format!("{API}{path}")), expected, "{path}");
    }
}

#[test]
fn what_no_rule_covers_is_refused_or_passed_on_as_the_user_chose() {
    let with = |unmatched| {
        let routes = Routes::builder().route("https://api.example/v1", named("v1"));
        routes.unmatched(unmatched).build().unwrap()
    };
    let known = "https://api.example/v3";
    let unknown = "https://partner.example/";
    for (unmatched, expected) in [
        (Unmatched::RefuseAtKnownOrigins, ["refused", "bare"]),
        (Unmatched::Refuse, ["refused", "refused"]),
        (Unmatched::PassBare, ["bare", "bare"]),
    ] {
        let routes = with(unmatched);
        assert_eq!([get(&routes, known), get(&routes, unknown)], expected, "{unmatched:?}");
        // What is ambiguous is nobody's, and might be anybody's.
        assert_eq!(get(&routes, "https://api.example/v3/../v1"), "refused");
    }
    let routes = with(Unmatched::default());
    let Route::Refused(error) = routes.route(&Method::PUT, &known.parse().unwrap()) else {
        panic!()
    };
    let text = error.to_string();
    assert!(
        text.contains("PUT")
            && text.contains("https://api.example:443")
            && text.contains("PassBare"),
        "{text}"
    );
}

#[test]
fn an_authenticator_alone_is_a_table_of_everything_at_its_origins() {
    let routes = Routes::from(at("both", &["https://a.example", "http://127.0.0.1:80"]));
    assert_eq!(get(&routes, "https://a.example/../x//y%2f"), "both", "no rule looks at paths");
    assert_eq!(get(&routes, "http://127.0.0.1/"), "both");
    assert_eq!(get(&routes, "http://127.0.0.1:8080/"), "bare");
    assert_eq!(routes.origins().len(), 2);
}

#[test]
fn a_relative_uri_leads_where_the_user_says() {
    let routes = versions();
    let Route::Refused(error) = routes.route(&Method::GET, &"/v1".parse().unwrap()) else {
        panic!()
    };
    assert!(error.to_string().contains("assume_origin"), "{error}");
    let own = routes.clone().assume_origin(API.parse().unwrap());
    assert_eq!(get(&own, "/v1/x"), "v1");
    assert_eq!(get(&own, "/v3"), "refused");
    assert_eq!(get(&own, "//evil/v1"), "refused");
    assert_eq!(get(&own, "evil.example:443"), "refused");
    assert_eq!(get(&own, "https://evil.example/v1"), "bare");
    let other = routes.assume_origin("https://other.example".parse().unwrap());
    assert_eq!(get(&other, "/v1/x"), "bare");
    // Where no rule looks at paths, either.
    let tokens = named("tokens");
    let plain = Routes::from(tokens.clone()).assume_origin(API.parse().unwrap());
    assert_eq!(
        (get(&plain, "/v1/x"), get(&plain, "evil.example:443")),
        ("tokens".into(), "refused".into())
    );
    assert!(chosen(&plain, "evil.example:443", &tokens).is_err());
}

// torture: G53
#[test]
fn a_rule_that_is_no_place_is_refused_when_it_is_made() {
    for (url, says) in [
        ("file:///etc/passwd", "not a URL"),
        ("ftp://api.example/", "https nor http"),
        ("https://user:password@api.example/", "user info"),
        ("http://api.example/", "https"),
        ("http://127.0.0.1:1/", "insecure_loopback"),
        ("https://api.example/v1?x=canary", "query"),
        ("https://api.example/v1#x", "fragment"),
        ("https://api.example/v1/../v2", "`..`"),
        ("https://api.example/v1//x", "two slashes"),
        ("https://bücher.example/", "xn--"),
        ("api.example/v1", "not a URL"),
        ("", "empty"),
    ] {
        let good = Routes::builder().route("https://api.example/v0", named("v0"));
        let error = refused(good.route(url, named("v1"))).to_string();
        assert!(error.contains("rule 2"), "{error}");
        assert!(
            error.contains(says) && !error.contains("canary") && !error.contains("password"),
            "{url}: {error}"
        );
    }
    assert!(refused(Routes::builder()).to_string().contains("one rule at least"));
}

#[test]
fn a_rule_that_never_counts_is_refused_when_it_is_made() {
    let rule = |method: Option<Method>, url: &str, builder: RoutesBuilder| match method {
        Some(method) => builder.route_method(method, url, named("x")),
        None => builder.route(url, named("x")),
    };
    for (first, second) in [
        ((None, "https://api.example/"), (None, "https://api.example/v1")),
        ((None, "https://api.example/v1"), (Some(Method::GET), "https://API.example/v1/x")),
        (
            (Some(Method::GET), "https://api.example/v1"),
            (Some(Method::GET), "https://api.example/%76%31/"),
        ),
    ] {
        let builder = rule(first.0.clone(), first.1, Routes::builder());
        let error = refused(rule(second.0, second.1, builder)).to_string();
        assert!(error.contains("never counts"), "{error}");
    }
    let builder = rule(Some(Method::GET), "https://api.example/v1", Routes::builder());
    assert!(rule(None, "https://api.example/v1", builder).build().is_ok());
}

#[test]
fn an_authenticator_goes_to_no_origin_that_it_is_not_bound_to() {
    let error =
        refused(Routes::builder().route("https://other.example/v1", named("v1"))).to_string();
    assert!(
        error.contains("`v1`")
            && error.contains("https://other.example:443")
            && error.contains("Builder::origin"),
        "{error}"
    );
}

#[test]
fn a_request_can_ask_for_a_credential_where_that_may_go() {
    let tenant = at("tenant", &[API, "https://own.example"]);
    let routes = versions();
    // One that the table does not know goes to its own origins.
    assert_eq!(chosen(&routes, "https://api.example/v1", &tenant).unwrap().unwrap(), "tenant");
    assert_eq!(chosen(&routes, "https://own.example/x", &tenant).unwrap().unwrap(), "tenant");
    // Named, it is not left out.
    let nowhere = chosen(&routes, "https://other.example/", &tenant).unwrap_err();
    assert!(nowhere.is_unrouted() && nowhere.credential() == "tenant", "{nowhere}");
    let lenient = Routes::builder().route("https://api.example/v1", named("v1"));
    let lenient = lenient.unmatched(Unmatched::PassBare).build().unwrap();
    assert_eq!(chosen(&lenient, "https://other.example/", &tenant).unwrap(), None);
    // One that the table knows goes where that has it.
    let one = named("one");
    let table = || Routes::builder().route("https://api.example/one", one.clone());
    let routes = table().route("https://api.example/", tenant.clone()).build().unwrap();
    assert_eq!(chosen(&routes, "https://api.example/one/x", &one).unwrap().unwrap(), "one");
    assert_eq!(chosen(&routes, "https://api.example/one/x", &tenant).unwrap().unwrap(), "tenant");
    assert!(chosen(&routes, "https://api.example/two", &one).unwrap_err().is_unrouted());
    assert!(chosen(&routes, "https://api.example/one/../two", &one).unwrap_err().is_unrouted());
    assert!(chosen(&routes, "/one", &one).is_err());
    let assumed = routes.assume_origin(API.parse().unwrap());
    assert_eq!(chosen(&assumed, "/one", &one).unwrap().unwrap(), "one");
    let excluded = Routes::builder().bare("https://api.example/partner");
    let excluded = excluded.route("https://api.example/", one.clone()).build().unwrap();
    assert!(chosen(&excluded, "https://api.example/partner/x", &one).is_err());
    assert_eq!(chosen(&excluded, "https://api.example/x", &one).unwrap().unwrap(), "one");
    for path in ["/x/../partner", "/Partner", "/partner;x/y"] {
        assert!(chosen(&excluded, &format!("{API}{path}"), &one).is_err(), "{path}");
    }
    let skip = RequestOptions::new().skip();
    let uri = "https://api.example/one".parse().unwrap();
    assert!(matches!(skip.route(&assumed, &Method::GET, &uri), Route::Bare));
}

#[test]
fn a_redirect_stays_where_no_rule_tells_the_two_apart() {
    let routes = versions();
    let stays = |from: &str, to: &str| {
        let absolute = |path: &str| match path.starts_with('/') {
            true => format!("{API}{path}"),
            false => path.to_owned(),
        };
        routes.stays(&absolute(from).parse().unwrap(), &absolute(to).parse().unwrap())
    };
    assert!(stays("/v1/a", "/v1/b"));
    assert!(stays("/v2/a", "https://API.example:443/v2/b"));
    for (from, to) in [
        ("/v1/a", "/v2/a"),
        ("/v1/a", "/v1/open/a"),
        ("/v1/open/a", "/v1/a"),
        ("/v2/a", "/v1/a"),
        ("/v2/a", "/v2/bookings"),
        ("/v1/a", "/v1/../v2"),
        ("/v1/a", "https://api.example:8443/v1/a"),
        ("/v1/a", "http://api.example/v1/a"),
        ("/v1/a", "https://other.example/v1/a"),
        ("https://other.example/", "/v1/a"),
    ] {
        assert!(!stays(from, to), "{from} {to}");
    }
    // Another middleware's, perhaps.
    assert!(!stays("https://other.example/a", "https://other.example/b"));
    let plain = Routes::from(named("plain"));
    let uri = |path: &str| format!("{API}{path}").parse().unwrap();
    assert!(plain.stays(&uri("/a"), &uri("/b/../c")));
}
