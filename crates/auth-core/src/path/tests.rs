mod canonical;
mod server;

use allocation_counter::measure;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn prefix(text: &str) -> PathPrefix {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// From research on path confusion, and from the advisories of the servers that it concerned.
const ATTACKS: &[(&str, Kind)] = &[
    // Dot segments, resolved before or after the path is matched.
    ("/v1/../v2", Kind::DotSegment),
    ("/v1/..", Kind::DotSegment),
    ("/..", Kind::DotSegment),
    ("/.", Kind::DotSegment),
    ("/./v1", Kind::DotSegment),
    ("/v1/./x", Kind::DotSegment),
    ("/v1/%2e%2e/v2", Kind::DotSegment),
    ("/v1/%2E./v2", Kind::DotSegment),
    ("/v1/.%2e/v2", Kind::DotSegment),
    ("/%2e/v1", Kind::DotSegment),
    ("/v1/.%2e/%2e%2e/%2e%2e/etc/passwd", Kind::DotSegment),
    // Parameters, which servlet containers cut off before they resolve dot segments, and proxies do not.
    ("/v1/..;/v2", Kind::DotSegment),
    ("/v1/..;x=y/v2", Kind::DotSegment),
    ("/v1/.;x/v2", Kind::DotSegment),
    ("/v1/%2e%2e;/v2", Kind::DotSegment),
    ("/v1/..%3bx/v2", Kind::DotSegment),
    ("/v1/..%253Bx/v2", Kind::DotSegment),
    ("/v1/..%3f/v2", Kind::DotSegment),
    ("/v1/..%23", Kind::DotSegment),
    ("/v1/.%2523x", Kind::DotSegment),
    ("/;/v1", Kind::EmptySegment),
    ("/;x=y/v1", Kind::EmptySegment),
    ("/%3bx/v1", Kind::EmptySegment),
    ("/%253bx/v1", Kind::EmptySegment),
    ("/v1/;/x", Kind::EmptySegment),
    // Slashes that some merge, and some take for the beginning of an authority.
    ("//v1", Kind::EmptySegment),
    ("//evil.example/v1", Kind::EmptySegment),
    ("/v1//x", Kind::EmptySegment),
    ("/v1//", Kind::EmptySegment),
    ("//", Kind::EmptySegment),
    ("///", Kind::EmptySegment),
    ("/v1%2fx", Kind::EncodedSlash),
    ("/v1%2F..%2Fv2", Kind::EncodedSlash),
    ("/%2fv1", Kind::EncodedSlash),
    ("/v1/..%2fv2", Kind::EncodedSlash),
    ("/v2/..%2f..%2fv1", Kind::EncodedSlash),
    ("/v1\\x", Kind::Backslash),
    ("/\\evil.example", Kind::Backslash),
    ("/v1/..\\v2", Kind::Backslash),
    ("/v1/..%5cv2", Kind::Backslash),
    ("/v1%5Cx", Kind::Backslash),
    // Encodings that are none; `%u002e` is IIS's own, and `%%32%65` was a dot to Apache.
    ("/v1/%", Kind::Malformed),
    ("/v1/%4", Kind::Malformed),
    ("/v1/%4/x", Kind::Malformed),
    ("/v1/%zz", Kind::Malformed),
    ("/v1/%u002e%u002e/v2", Kind::Malformed),
    ("/v1/%%32%65%%32%65/v2", Kind::Malformed),
    ("/v1/%+2f", Kind::Malformed),
    ("/v1/%2\u{e9}", Kind::Malformed),
    // Control characters, which end a text, a line or a name.
    ("/v1/x%00.json", Kind::Control),
    ("/v1/.%00/v2", Kind::Control),
    ("/v1/..%0d/v2", Kind::Control),
    ("/v1%0d%0aHost:%20evil", Kind::Control),
    ("/v1%09", Kind::Control),
    ("/v1%7f", Kind::Control),
    ("/v1%7F/x", Kind::Control),
    ("/v1\0", Kind::Control),
    ("/v1\t/x", Kind::Control),
    ("/v1\r\n", Kind::Control),
    ("/v1\u{7f}", Kind::Control),
    // What must be encoded.
    ("/v1 ", Kind::Unencoded),
    ("/v1/\u{e9}", Kind::Unencoded),
    ("/v1\u{ff0f}x", Kind::Unencoded),
    ("/v1/\u{2025}/v2", Kind::Unencoded),
    // Overlong encodings of a slash, a backslash and a dot.
    ("/v1/..%c0%af..", Kind::Overlong),
    ("/v1/%c0%ae%C0%AE/v2", Kind::Overlong),
    ("/v1%c1%9cx", Kind::Overlong),
    ("/v1%e0%80%afx", Kind::Overlong),
    ("/v1%f0%80%80%afx", Kind::Overlong),
    ("/v1%c0%25afx", Kind::Overlong),
    // Encoded twice and more.
    ("/v1%252fx", Kind::EncodedTwice),
    ("/v1%252Fx", Kind::EncodedTwice),
    ("/v1/%252e%252e/v2", Kind::EncodedTwice),
    ("/v1/..%255cv2", Kind::EncodedTwice),
    ("/v1%25252fx", Kind::EncodedTwice),
    ("/v1%2525252fx", Kind::EncodedTwice),
    ("/v1%25%32%66x", Kind::EncodedTwice),
    ("/v1%252%66x", Kind::EncodedTwice),
    ("/v1%25%2532fx", Kind::EncodedTwice),
    ("/v1/x%2500", Kind::EncodedTwice),
    ("/v1/x%257f", Kind::EncodedTwice),
    ("/v1/%25c0%25af", Kind::EncodedTwice),
    ("/%2576%2531/x", Kind::EncodedTwice),
    ("/v1/a%2545", Kind::EncodedTwice),
    // What is more than a path, or none.
    ("/v1?/../v2", Kind::Query),
    ("/v1#/v2", Kind::Query),
    ("v1", Kind::NotAbsolute),
    ("..", Kind::NotAbsolute),
    ("**", Kind::NotAbsolute),
    ("\\v1", Kind::NotAbsolute),
    ("%2fv1", Kind::NotAbsolute),
    ("https://evil.example/v1", Kind::NotAbsolute),
];

// torture: G54
#[test]
fn every_path_that_servers_read_in_different_ways_is_refused() {
    for (path, kind) in ATTACKS {
        assert_eq!(PathPrefix::check(path), Err(AmbiguousPath(*kind)), "{path}");
        let error = path.parse::<PathPrefix>().expect_err(path);
        assert_eq!(error.field(), "path", "{path}");
    }
}

// torture: G54
#[test]
fn every_other_path_is_below_a_prefix_or_beside_it() {
    let below = [
        "/v1",
        "/v1/",
        "/v1/x",
        "/v1/x/",
        "/%76%31/x",
        "/v%31",
        "/%761/",
        "/v1/...",
        "/v1/.x",
        "/v1/..x/y",
        "/v1/x..",
        "/v1/x;y=../z",
        "/v1/;x",
        "/v1/%20",
        "/v1/..%20x",
        "/v1/100%25",
        "/v1/100%25/x",
        "/v1/..%25",
        "/v1/5%25%20of",
        "/v1/%2520",
        "/v1/%C3%A9",
        "/v1/%e0%a0%80",
        "/v1/%f0%9f%98%80",
        "/v1/%e9t%e9",
        "/v1/C%23/what%3f",
        "/v1/%23room:a.example",
        "/v1/a%3Db%26c",
        "/v1/~a-b_c.d!$&'()*+,;=:@",
        "/v1/a|b{c}[0]\"<>^`",
        "/v1/x.json",
        "/v1/V1",
    ];
    let beside = [
        "", "*", "/", "/v10", "/V1", "/v", "/v1;x", "/v1;x/y", "/v1;", "/v1%3bx", "/v1%3f",
        "/v1%20", "/v1.", "/v1.json", "/v1%25", "/v1,x", "/v2", "/v2/v1", "/x/v1/", "/%561",
        "/api/v1", "/v%C2%B9",
    ];
    let (v1, root) = (prefix("/v1"), prefix("/"));
    for path in below {
        assert_eq!(PathPrefix::check(path), Ok(()), "{path}");
        assert!(v1.covers(path) && root.covers(path), "{path}");
    }
    for path in beside {
        assert_eq!(PathPrefix::check(path), Ok(()), "{path}");
        assert!(!v1.covers(path) && root.covers(path), "{path}");
    }
}

#[test]
fn a_prefix_has_one_form() {
    for (text, canonical) in [
        ("/", "/"),
        ("/v1", "/v1"),
        ("/v1/", "/v1"),
        ("/%76%31/", "/v1"),
        ("/v2/shipments", "/v2/shipments"),
        ("/%7euser/%2Dx", "/~user/-x"),
        ("/a%20b/%c3%a9", "/a%20b/%C3%A9"),
        ("/a%3db", "/a%3Db"),
        ("/100%25/x", "/100%25/x"),
        ("/a;b=c,d:@e", "/a;b=c,d:@e"),
    ] {
        let parsed = prefix(text);
        assert_eq!(parsed.as_str(), canonical);
        assert_eq!(parsed.to_string(), canonical);
        assert_eq!(format!("{parsed:?}"), format!("PathPrefix({canonical:?})"));
        assert_eq!(parsed, prefix(canonical));
        assert_eq!(parsed.is_root(), canonical == "/");
    }
}

#[test]
fn the_digits_of_an_encoding_have_no_case_and_a_reserved_character_is_not_its_encoding() {
    let spaced = prefix("/a%20b%c3%A9");
    assert!(spaced.covers("/a%20b%C3%a9/x") && spaced.covers("/%61%20b%c3%a9"));
    assert!(!spaced.covers("/a%20b%c3%89") && !spaced.covers("/a+b%c3%a9"));
    let equals = prefix("/a%3db");
    assert!(equals.covers("/a%3Db") && !equals.covers("/a=b"));
    assert!(prefix("/a=b").covers("/a=b/") && !prefix("/a=b").covers("/a%3db"));
    // It has no meaning of its own, so a client that forgot to encode it can only mean this.
    assert!(prefix("/%7bid%7D").covers("/{id}"));
    // A malformed one is not what its characters spell.
    assert!(!prefix("/100%25").covers("/100%"));
}

#[test]
fn a_prefix_that_cannot_be_meant_is_refused_with_what_to_write() {
    for (text, hint) in [
        ("", "write `/` for all paths"),
        ("v1", "write `/v1`, not `v1`"),
        ("*", "begin"),
        ("https://a.example/v1", "write its path alone"),
        ("/v1/../v2", "write the path that it leads to"),
        ("/v1//x", "write one slash"),
        ("/v1/*", "not `/v1/*`"),
        ("/*", "wildcard"),
        ("/v1?x=y", "write the path alone"),
        ("/v1#x", "write the path alone"),
        ("/v1/{id}", "write `%7B` in the place of `{`"),
        ("/v1/a|b", "`%7C`"),
        ("/v1/[x]", "`%5B`"),
        ("/v1 ", "`%20`"),
        ("/caf\u{e9}", "`%C3%A9`"),
        ("/50%", "write `%25`"),
        ("/v1%2fx", "write the path above"),
    ] {
        let error = text.parse::<PathPrefix>().expect_err(text);
        assert_eq!(error.field(), "path", "{text}");
        assert!(error.to_string().contains(hint), "{text}: {error}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_quotes_nothing() {
    for (path, _) in ATTACKS {
        let path = format!("{path}/canary");
        if let Err(error) = PathPrefix::check(&path) {
            let shown = format!("{error} {error:?}");
            assert!(shown.starts_with("the path has ") && !shown.contains("canary"), "{shown}");
        }
    }
}

#[test]
fn no_request_costs_an_allocation() {
    let prefixes = ["/", "/v1", "/v2/shipments", "/a%20b"].map(prefix);
    let paths =
        ["", "/v1/x", "/%76%31/x%20y", "/v2/shipments/1;x", "/v1/%2e%2e", "/v1%252f", "/V1"];
    let mut covered = 0;
    let made = measure(|| {
        for path in paths {
            let is_clear = PathPrefix::check(path).is_ok();
            covered += prefixes.iter().filter(|prefix| is_clear && prefix.covers(path)).count();
        }
    });
    assert_eq!((made.count_total, covered), (0, 8));
}

#[test]
fn the_servers_of_these_tests_resolve_as_the_rfc_says() {
    let resolved = |path: &str| String::from_utf8(server::without_dots(path.as_bytes())).unwrap();
    assert_eq!(resolved("/a/b/c/./../../g"), "/a/g");
    assert_eq!(resolved("mid/content=5/../6"), "mid/6");
    assert_eq!(resolved("/v1/.."), "/");
    assert_eq!(resolved("/../v1/."), "/v1/");
}

/// Every server agrees with the prefix, or the path is refused.
fn agrees(v1: &PathPrefix, path: &str) -> Result<(), TestCaseError> {
    if PathPrefix::check(path).is_err() {
        return Ok(());
    }
    let is_covered = v1.covers(path);
    for server in server::ALL {
        let read = server::read(path, server);
        let shown = String::from_utf8_lossy(&read);
        prop_assert_eq!(is_covered, server::is_below_v1(&read), "{} read as {}", path, shown);
    }
    for server in server::CUTTING {
        let read = server::read(path, server);
        prop_assert!(!is_covered || server::is_below_v1(&read), "{path} read as {read:?}");
    }
    Ok(())
}

/// What paths are confused by.
const PIECES: &[&str] = &[
    "/", "v1", "v", "1", "%76", "%31", "x", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", ";x",
    "%3b", "%25", "25", "2", "f", "2f", "2e", "31", "76", "3b", "%", "%32", "%66", "%00", "00",
    "%20", "%3f", "#", "?", "%c0", "c0", "%af", "af", "%ae", "%e9", "é", "/../", "/v1/",
];

// torture: G54
#[test]
fn servers_agree_about_every_short_path() {
    let v1 = prefix("/v1");
    let agrees = |path: &str| agrees(&v1, path).unwrap_or_else(|error| panic!("{error}"));
    for first in PIECES {
        for second in PIECES {
            agrees(&format!("/v1{first}{second}"));
            agrees(&format!("/v1/{first}{second}"));
            agrees(&format!("/{first}{second}/v1"));
            for third in PIECES {
                agrees(&format!("/{first}{second}{third}"));
            }
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    let rare = select(PIECES);
    let common = select(&["/", "v1", "v", "1", "%76", "%31", "x", "%25", ";x", "%20", "a"][..]);
    let pieces = vec(prop_oneof![8 => common, 1 => rare], 0..10);
    (select(&["/", "/v1", "/v1/", "/%761", ""][..]), pieces)
        .prop_map(|(first, rest)| format!("{first}{}", rest.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn servers_agree_about_every_path_that_is_not_refused(path in path()) {
        agrees(&prefix("/v1"), &path)?;
    }

    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), "/[ -~é\u{0}-\u{7f}]{0,40}", path()], other in path()) {
        let _ = PathPrefix::check(&text);
        if let Ok(parsed) = other.parse::<PathPrefix>() {
            parsed.covers(&text);
        }
        if let Ok(parsed) = text.parse::<PathPrefix>() {
            prop_assert_eq!(PathPrefix::check(&text), Ok(()));
            prop_assert!(parsed.covers(&text) && parsed.covers(parsed.as_str()));
        }
    }

    #[test]
    fn a_prefix_covers_its_canonical_form_and_covers_prefixes_as_paths(
        one in path(),
        other in path(),
        below in "[a-z]{1,3}",
    ) {
        let (Ok(one), Ok(other)) = (one.parse::<PathPrefix>(), other.parse::<PathPrefix>()) else {
            return Ok(());
        };
        prop_assert_eq!(&one.as_str().parse::<PathPrefix>().unwrap(), &one);
        prop_assert!(one.covers(one.as_str()) && one.covers_prefix(&one));
        prop_assert_eq!(PathPrefix::check(one.as_str()), Ok(()));
        let path = format!("{}/{below}", other.as_str().trim_end_matches('/'));
        prop_assert_eq!(one.covers_prefix(&other), one.covers(other.as_str()));
        prop_assert!(other.covers(&path) && (!one.covers_prefix(&other) || one.covers(&path)));
        // Both ways, only when they are the same.
        prop_assert_eq!(one == other, one.covers_prefix(&other) && other.covers_prefix(&one));
    }
}
