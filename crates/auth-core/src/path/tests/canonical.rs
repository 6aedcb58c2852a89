//! The one form of a path, against the rules by which prefixes cover.

use super::*;

fn canonical(path: &str) -> String {
    PathPrefix::canonical(path).unwrap_or_else(|error| panic!("{path}: {error}")).into_owned()
}

#[test]
fn a_path_has_one_form() {
    for (path, form) in [
        ("", "/"),
        ("/", "/"),
        ("*", "*"),
        ("/*", "/*"),
        ("/v1/", "/v1"),
        ("/%76%31/x%2dy", "/v1/x-y"),
        ("/a%20b/%c3%a9", "/a%20b/%C3%A9"),
        ("/100%25/", "/100%25"),
        ("/a%3db=c", "/a%3Db=c"),
        // What cannot stand in a path is encoded; of the reserved ones the encoding is something else.
        ("/a|b{c}[0]", "/a%7Cb%7Bc%7D[0]"),
        ("/%5b0%5D", "/%5B0%5D"),
    ] {
        assert_eq!(canonical(path), form, "{path}");
    }
}

// torture: G54
#[test]
fn what_is_ambiguous_has_no_canonical_form() {
    for (path, kind) in ATTACKS {
        assert_eq!(PathPrefix::canonical(path), Err(AmbiguousPath(*kind)), "{path}");
    }
}

#[test]
fn a_canonical_path_costs_no_allocation() {
    let paths = ["", "*", "/", "/v2/shipments/17", "/v2/shipments/", "/a%20b/%C3%A9", "/x[0]"];
    let mut read = 0;
    let made = measure(|| {
        let forms = paths.iter().filter_map(|path| PathPrefix::canonical(path).ok());
        read += forms.map(|form| form.len()).sum::<usize>();
    });
    assert_eq!((made.count_total, read > 0), (0, true));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_canonical_form_means_the_same_and_has_no_other(
        path in prop_oneof![path(), "/[ -~]{0,20}"],
        prefixes in vec(path(), 1..4),
    ) {
        let form = PathPrefix::canonical(&path);
        prop_assert_eq!(form.clone().err(), PathPrefix::check(&path).err());
        let Ok(form) = form else { return Ok(()) };
        prop_assert_eq!(PathPrefix::canonical(&form).unwrap(), &*form);
        prop_assert!(matches!(PathPrefix::canonical(&form), Ok(Cow::Borrowed(_))));
        for prefix in prefixes.iter().filter_map(|prefix| prefix.parse::<PathPrefix>().ok()) {
            prop_assert_eq!(prefix.covers(&path), prefix.covers(&form), "{} {}", path, form);
        }
        if let Ok(prefix) = path.parse::<PathPrefix>() {
            prop_assert_eq!(prefix.as_str(), &*form);
            prop_assert!(prefix.covers(&form));
        }
        if let Ok(prefix) = form.parse::<PathPrefix>() {
            prop_assert!(prefix.covers(&path));
        }
    }

    #[test]
    fn two_paths_have_one_form_exactly_when_each_covers_the_other(one in path(), other in path()) {
        let forms = [&one, &other].map(|path| PathPrefix::canonical(path).ok());
        let prefixes = [&one, &other].map(|path| path.parse::<PathPrefix>().ok());
        if let ([Some(form), Some(another)], [Some(prefix), Some(second)]) = (forms, prefixes) {
            prop_assert_eq!(form == another, prefix.covers(&other) && second.covers(&one));
        }
    }
}
