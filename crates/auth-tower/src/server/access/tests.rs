use allocation_counter::measure;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn access(builder: AccessBuilder) -> Access {
    builder.build().unwrap_or_else(|error| panic!("{error}"))
}

/// The scopes of the need, joined; `key` or `public` for one without.
fn told(access: &Access, method: &str, path: &str) -> Result<String, Refused> {
    let need = access.find(&method.parse().unwrap(), path)?;
    Ok(match (need.is_nothing(), need.takes_token()) {
        (true, _) => "public".to_owned(),
        (_, false) => "key".to_owned(),
        (_, true) => need.required_scopes().collect::<Vec<_>>().join(" "),
    })
}

fn vendor() -> AccessBuilder {
    Access::builder()
        .route(Method::GET, "/v2/shipments", Need::scope("shipments"))
        .route(Method::GET, "/v2/shipments/{id}", Need::scope("shipments"))
        .route(Method::PATCH, "/v2/shipments/{id}", Need::scopes(["shipments", "write"]))
        .route(Method::GET, "/v2/shipments/latest", Need::scope("latest"))
        .any_method("/v2/products/{*rest}", Need::scope("products").or_key())
        .route(Method::GET, "/v1/shipments", Need::key())
        .route(Method::HEAD, "/v1/shipments", Need::scope("head"))
        .any_method("/v2/ports", Need::nothing())
        .route(Method::GET, "/v2/ports", Need::scope("ports"))
        .any_method("/caf%C3%A9/", Need::scope("coffee"))
        .any_method("/caf%C3%A9/{cup}", Need::scope("cup"))
        .public(Method::GET, "/health")
}

#[test]
fn a_request_finds_what_its_endpoint_needs() {
    let access = access(vendor());
    for (method, path, expected) in [
        ("GET", "/v2/shipments", "shipments"),
        ("GET", "/v2/shipments/17", "shipments"),
        ("PATCH", "/v2/shipments/17", "shipments write"),
        ("GET", "/v2/shipments/latest", "latest"),
        ("GET", "/v2/shipments/late", "shipments"),
        ("GET", "/v2/shipments/%31%37", "shipments"),
        ("CONNECT", "/v2/products/1", "products"),
        ("HEAD", "/v2/shipments/17", "shipments"),
        ("DELETE", "/v2/products/1/parts/2", "products"),
        ("OPTIONS", "/v2/products/1", "products"),
        ("BREW", "/v2/products/1/", "products"),
        // The row of `GET` goes before the one for all others.
        ("HEAD", "/v2/ports", "ports"),
        ("OPTIONS", "/v2/ports", "public"),
        ("GET", "/v1/shipments", "key"),
        ("HEAD", "/v1/shipments", "head"),
        ("GET", "/caf%C3%A9/", "coffee"),
        ("GET", "/caf%C3%A9/1", "cup"),
        ("GET", "/health", "public"),
        ("HEAD", "/health", "public"),
    ] {
        assert_eq!(told(&access, method, path), Ok(expected.to_owned()), "{method} {path}");
    }
}

#[test]
fn what_the_table_does_not_name_is_refused_unless_any_token_does() {
    let unlisted = [
        ("POST", "/v2/shipments"),
        ("get", "/v2/shipments"),
        ("PATCH", "/v2/shipments/latest"),
        ("GET", "/v2/shipments/17/legs"),
        ("GET", "/V2/shipments"),
        ("GET", "/v2/Shipments/17"),
        ("GET", "/v2/shipments/"),
        ("GET", "/v2/shipments/17/"),
        ("GET", "/health/"),
        ("GET", "/caf%C3%A9"),
        ("GET", "/v2/shipments;x"),
        ("GET", "/v2"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/v2/productsX"),
        ("GET", "/v2/products"),
        ("GET", "/v2/products/"),
        ("GET", "/v2/{id}"),
        ("POST", "/health"),
        ("OPTIONS", "*"),
        ("GET", "*"),
        ("CONNECT", "/v2/shipments"),
        ("CONNECT", ""),
    ];
    let (closed, open) = (access(vendor()), access(vendor().otherwise(Otherwise::Token)));
    for (method, path) in unlisted {
        assert_eq!(told(&closed, method, path), Err(Refused::Unlisted), "{method} {path}");
        assert_eq!(told(&open, method, path), Ok(String::new()), "{method} {path}");
    }
    let all = Access::builder().any_method("/{*rest}", Need::nothing());
    let everything = access(all.any_method("/", Need::nothing()));
    for (method, path) in [("OPTIONS", "*"), ("CONNECT", "")] {
        assert_eq!(told(&everything, method, path), Err(Refused::Unlisted), "{method} {path}");
    }
    assert_eq!(told(&everything, "GET", ""), Ok("public".to_owned()));
}

/// A router that compares paths as they come sends the first to the tenant's handler, where the row of the public one would count.
#[test]
fn an_encoded_path_is_judged_by_no_row_that_a_router_may_not_take() {
    let table = Access::builder()
        .public(Method::GET, "/public/{*rest}")
        .public(Method::GET, "/health")
        .route(Method::GET, "/{tenant}/{*rest}", Need::scope("admin"));
    let (closed, open) = (access(table.clone()), access(table.otherwise(Otherwise::Token)));
    for path in ["/%70ublic/x/secret", "/publi%63/secret", "/%68ealth"] {
        assert_eq!(told(&closed, "GET", path), Err(Refused::Unlisted), "{path}");
        assert_eq!(told(&open, "GET", path), Err(Refused::Unlisted), "{path}");
    }
    assert_eq!(told(&closed, "GET", "/public/%78"), Ok("public".to_owned()));
    assert_eq!(told(&closed, "GET", "/acm%65/x"), Ok("admin".to_owned()));
}

/// axum's router sends the slash to the wider row's handler, so that row is the one that counts.
#[test]
fn a_slash_at_the_end_is_judged_by_the_row_that_a_router_takes() {
    let table = access(
        Access::builder()
            .public(Method::GET, "/v2/health")
            .route(Method::GET, "/v2/{*rest}", Need::scope("admin"))
            .route(Method::GET, "/u/{id}", Need::scope("shipments"))
            .route(Method::GET, "/{*rest}", Need::scope("all"))
            .route(Method::GET, "/", Need::scope("root")),
    );
    for (path, expected) in [
        ("/v2/health", "public"),
        ("/v2/health/", "admin"),
        ("/v2/%68ealth/", "admin"),
        ("/v2", "all"),
        ("/v2/", "all"),
        ("/u/7", "shipments"),
        ("/u/7/", "all"),
        ("/u/%37/", "all"),
        ("/u/", "all"),
        ("/", "root"),
        ("", "root"),
    ] {
        assert_eq!(told(&table, "GET", path), Ok(expected.to_owned()), "{path}");
    }
    assert_eq!(told(&table, "GET", "/v2/%68ealth"), Err(Refused::Unlisted));
}

#[test]
fn a_path_that_servers_read_in_different_ways_is_refused_by_every_table() {
    let open = Access::builder().any_method("/{*rest}", Need::nothing());
    let open = access(open.otherwise(Otherwise::Token));
    for path in [
        "/health/../v2/shipments",
        "//health",
        "/health/..;/x",
        "/x%2fy",
        "/x%252e",
        "x",
        "/x?y",
        "/%00",
    ] {
        let found = open.find(&Method::GET, path);
        assert!(matches!(found, Err(Refused::Ambiguous(_))), "{path}: {found:?}");
    }
}

/// A row for all that is below a path says nothing of the path itself, which may be below another.
#[test]
fn a_path_above_a_rest_has_rows_of_its_own() {
    let table = Access::builder()
        .any_method("/files/{*rest}", Need::scope("below"))
        .any_method("/a/{id}/{*rest}", Need::nothing())
        .any_method("/{id}/{*rest}", Need::scope("admin"));
    let (without, with) =
        (access(table.clone()), access(table.route(Method::GET, "/files", Need::scope("list"))));
    assert_eq!(told(&without, "GET", "/files"), Err(Refused::Unlisted));
    assert_eq!(told(&without, "GET", "/a/1"), Ok("admin".to_owned()));
    assert_eq!(told(&with, "GET", "/files"), Ok("list".to_owned()));
    assert_eq!(told(&with, "POST", "/files"), Err(Refused::Unlisted));
    assert_eq!(told(&with, "POST", "/files/x"), Ok("below".to_owned()));
}

#[test]
fn all_that_is_wrong_with_a_table_is_told_at_once() {
    let error = Access::builder()
        .route(Method::GET, "/v2/../x", Need::token())
        .route(Method::GET, "/a/{id}", Need::scope("a"))
        .route(Method::GET, "/a/{other}", Need::scope("b"))
        .route(Method::POST, "/a/{name}", Need::scope("c"))
        .any_method("/a/{*rest}", Need::token())
        .route(Method::GET, "/b", Need::scope("read write"))
        .route(Method::GET, "/c", Need::scope(""))
        .route(Method::GET, "/d", Need::scopes(Vec::<String>::new()))
        .any_method("/e", Need::key())
        .any_method("/e", Need::nothing())
        .route(Method::CONNECT, "/f", Need::token())
        .build()
        .unwrap_err();
    let told = [
        "`/v2/../x` has a segment `.` or `..`",
        "`/a/{other}` has two rows for GET; the other is for `/a/{id}`",
        "`/b` has the scope \"read write\"",
        "`/c` has an empty scope",
        "`/d` needs no scope",
        "`/e` has two rows for any method",
        "`/f` is for CONNECT",
        "and `/a/{*rest}` cover the same paths",
    ];
    let problems: Vec<_> = error.problems().collect();
    assert_eq!(problems.len(), told.len(), "{problems:#?}");
    for told in told {
        assert!(problems.iter().any(|problem| problem.contains(told)), "{told}: {problems:#?}");
        assert!(error.to_string().contains(told));
    }
}

#[test]
fn a_canonical_path_is_found_without_an_allocation() {
    let access = access(vendor());
    let paths = ["/caf%C3%A9/", "/v2/shipments/17", "/v2/products/a/b", "/health", "/v2/nothing"];
    let mut found = 0;
    let made = measure(|| {
        found += paths.iter().filter(|path| access.find(&Method::GET, path).is_ok()).count();
    });
    assert_eq!((made.count_total, found), (0, 4));
}

/// The templates of a table, by the rule that the documentation gives: a literal goes before a parameter, segment by segment.
fn expected<'a>(templates: &[&'a str], path: &str) -> Option<&'a str> {
    let matches = |template: &str| {
        let (mut own, mut their) = (template.split('/').skip(1), path.split('/').skip(1));
        loop {
            match (own.next(), their.next()) {
                (None, None) => return true,
                (Some("{*rest}"), their) => return their.is_some_and(|their| !their.is_empty()),
                (Some("{id}"), Some(their)) if !their.is_empty() => {}
                (Some(own), Some(their)) if own == their => {}
                _ => return false,
            }
        }
    };
    let rank = |template: &str| -> Vec<u8> {
        let segments = template.split('/').skip(1);
        segments
            .map(|own| {
                if own == "{id}" {
                    1
                } else if own == "{*rest}" {
                    2
                } else {
                    0
                }
            })
            .collect()
    };
    templates
        .iter()
        .copied()
        .filter(|template| matches(template))
        .min_by_key(|template| rank(template))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_router_finds_the_most_special_template(
        templates in vec("(/(a|b|ab|\\{id\\})){1,4}(/(\\{\\*rest\\})?)?", 1..6),
        paths in vec("(/(a|b|ab|c)){0,5}/?", 1..8),
    ) {
        let mut builder = Access::builder();
        for template in &templates {
            builder = builder.route(Method::GET, template, Need::scope(template.replace(['{', '}'], "")));
        }
        // Some of them conflict.
        let Ok(access) = builder.build() else { return Ok(()) };
        let templates: Vec<_> = templates.iter().map(String::as_str).collect();
        for path in paths {
            let expected = expected(&templates, &path).map(|template| template.replace(['{', '}'], ""));
            prop_assert_eq!(told(&access, "GET", &path).ok(), expected, "{:?} {}", templates, path);
        }
    }

    #[test]
    fn another_spelling_of_a_path_finds_the_same_or_nothing(
        path in select(&["/v2/shipments", "/v2/shipments/17", "/v2/products/x/y", "/v1/shipments", "/health", "/other"][..]),
        encoded in vec(any::<bool>(), 24),
        slash: bool,
    ) {
        let access = access(vendor());
        let spelled = path.bytes().zip(encoded).map(|(byte, encoded)| match (byte, encoded) {
            (b'/', _) | (_, false) => char::from(byte).to_string(),
            _ => format!("%{byte:02x}"),
        });
        let spelled = format!("{}{}", spelled.collect::<String>(), if slash { "/" } else { "" });
        let found = told(&access, "GET", &spelled);
        prop_assert!(found.is_err() || found == told(&access, "GET", path), "{} {:?}", spelled, found);
    }

    #[test]
    fn no_path_and_no_template_panics(method in "[A-Z]{1,8}", path: String, template in "/[a-c{}*/%]{0,12}") {
        let access = access(vendor());
        let _ = access.find(&method.parse().unwrap(), &path);
        let _ = Access::builder().any_method(template, Need::token()).build();
    }
}
