//! The pages, read by a scanner that knows of markup just enough to find what does not belong there.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::refused::Refused;
use super::render;
use super::view::*;

/// A start tag: its name, and its attributes as they stand.
#[derive(Debug)]
struct Tag {
    name: String,
    attributes: BTreeMap<String, String>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// The start tags of a page. Panics where a browser would have to guess.
fn tags(page: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a loose `>` before {}", &rest[start..]);
        let (tag, after) = tag(&rest[start + 1..]);
        found.extend(tag);
        rest = after;
    }
    found
}

/// One tag, from behind its `<`; `None` for an end tag.
fn tag(text: &str) -> (Option<Tag>, &str) {
    if let Some(end) = text.strip_prefix('/') {
        let (name, after) = end.split_once('>').unwrap();
        assert!(is_name(name), "{name}");
        return (None, after);
    }
    let end = text.find(|c: char| !is_name_char(c)).unwrap();
    let (name, mut rest) = text.split_at(end);
    assert!(is_name(name), "{text}");
    let mut attributes = BTreeMap::new();
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            return (Some(Tag { name: name.to_owned(), attributes }), after);
        }
        rest = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{rest}"));
        let end = rest.find(|c: char| !is_name_char(c)).unwrap();
        let (key, after) = rest.split_at(end);
        assert!(is_name(key), "{rest}");
        let value = match after.strip_prefix("=\"") {
            Some(after) => {
                let (value, after) = after.split_once('"').unwrap();
                rest = after;
                value
            }
            None => {
                rest = after;
                ""
            }
        };
        assert!(!value.contains(['<', '>']), "{value}");
        assert!(attributes.insert(key.to_owned(), value.to_owned()).is_none(), "{key} twice");
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// Names of elements and of their attributes: what a page is made of, whatever it says.
fn shape(page: &str) -> Vec<(String, Vec<String>)> {
    tags(page).into_iter().map(|tag| (tag.name, tag.attributes.into_keys().collect())).collect()
}

fn spent(text: &str) -> SpentView {
    SpentView { at: text.into(), cause: Some(text.into()), outcome: text.into() }
}

/// A page with everything on it, all of which says `text`.
fn full(text: &str) -> SettingsView {
    let credential = |status, limit| CredentialView {
        // Never the name, which would then be shown once only.
        id: format!("id {text}"),
        name: text.into(),
        resources: vec!["Shipments", "Purchase orders"],
        status,
        created: text.into(),
        quota: QuotaView {
            limit,
            spent: 2,
            spends: vec![spent(text)],
            next_opens: Some(text.into()),
        },
        requests: vec![RequestView {
            at: text.into(),
            cause: None,
            outcome: text.into(),
            spent: true,
        }],
    };
    SettingsView {
        credentials: vec![
            credential(Status::Active, Some(10)),
            credential(Status::Disabled, Some(288)),
            credential(Status::Active, None),
        ],
        created: Some(ShownOnce { client_id: text.into(), client_secret: text.into() }),
        new_key: Some(text.into()),
        has_key: true,
        key_created: Some(text.into()),
        csrf: text.into(),
        notice: Some(text.into()),
        draft: Draft {
            name: text.into(),
            resources: vec![text.into(), "shipments".into()],
            problem: Some(text.into()),
        },
        resources: vec![("shipments", "Shipments"), ("purchase_orders", "Purchase orders")],
        token_endpoint: text.into(),
        audience: text.into(),
    }
}

fn question(text: &str, action: Confirmed) -> String {
    let text = || text.to_owned();
    render::confirm(&ConfirmView { action, client_id: text(), name: text(), csrf: text() })
}

fn pages(text: &str) -> Vec<String> {
    vec![
        render::settings(&full(text)),
        question(text, Confirmed::Rotate),
        question(text, Confirmed::Delete),
        render::problem(text, text),
    ]
}

fn assert_harmless(text: &str) {
    for (page, plain) in pages(text).iter().zip(pages("plain")) {
        assert_eq!(shape(page), shape(&plain), "{text}");
    }
}

#[test]
fn a_name_that_is_markup_is_shown_and_not_obeyed() {
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onfocus='alert(1)' autofocus='",
        "\" onfocus=\"alert(1)\" autofocus=\"",
        "</title><svg/onload=alert(1)>",
        "<!--",
        "&lt;script&gt; &#60;script&#62;",
        "javascript:alert(1)",
        "\u{202e}evil\u{2066}\u{2069}",
        "\0\r\n\t",
        &"🚢".repeat(100),
    ] {
        assert_harmless(text);
    }
    let page = render::settings(&full("<b>"));
    assert!(page.contains("<bdi class=\"name\">&lt;b&gt;</bdi>"));
}

proptest! {
    #[test]
    fn no_text_becomes_an_element_or_an_attribute(text in "\\PC*|[<>\"'&/=a-z \\x00-\\x1f]{0,40}") {
        assert_harmless(&text);
    }
}

#[test]
fn every_page_keeps_to_what_its_policy_allows() {
    let refused =
        [Refused::Peer, Refused::Host, Refused::NoSession, Refused::CrossSite, Refused::FormToken];
    for page in pages("plain").into_iter().chain(refused.map(render::refused)) {
        for tag in tags(&page) {
            assert!(
                !matches!(tag.name.as_str(), "style" | "iframe" | "object" | "base"),
                "{tag:?}"
            );
            for (key, value) in &tag.attributes {
                assert!(key != "style" && !key.starts_with("on"), "{tag:?}");
                if matches!(key.as_str(), "href" | "src" | "action") {
                    let is_own = value.starts_with("/settings/api") || value == "#main";
                    assert!(is_own || value == "data:,", "{tag:?}");
                }
            }
        }
        assert!(page.contains("<script src=\"/settings/api/page.js\" defer></script>"));
        assert_eq!(page.matches("<script").count(), 1);
    }
}

#[test]
fn every_control_has_a_label_and_every_reference_a_target() {
    for page in pages("plain") {
        let tags = tags(&page);
        let ids: Vec<&str> = tags.iter().filter_map(|tag| tag.get("id")).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{ids:?}");
        let labelled: BTreeSet<&str> = tags.iter().filter_map(|tag| tag.get("for")).collect();
        for tag in &tags {
            let is_control = matches!(tag.name.as_str(), "input" | "select" | "textarea");
            if is_control && tag.get("type") != Some("hidden") {
                assert!(tag.get("id").is_some_and(|id| labelled.contains(id)), "{tag:?}");
            }
            if matches!(tag.name.as_str(), "meter") || tag.get("role") == Some("img") {
                assert!(tag.get("aria-label").is_some_and(|label| !label.is_empty()), "{tag:?}");
            }
            assert!(tag.get("tabindex").is_none_or(|index| index == "-1"), "{tag:?}");
            for reference in ["for", "aria-labelledby", "aria-describedby", "data-copies"] {
                assert!(tag.get(reference).is_none_or(|id| unique.contains(id)), "{tag:?}");
            }
        }
        assert!(labelled.iter().all(|id| unique.contains(id)));
        assert!(unique.contains("main") && page.contains("<html lang=\"en\">"));
        assert_eq!(page.matches("<h1").count(), 1);
    }
}

#[test]
fn every_form_that_changes_something_carries_the_value_and_no_other_does() {
    let mut view = full("plain");
    let mut pages =
        vec![question("plain", Confirmed::Delete), question("plain", Confirmed::Rotate)];
    for has_key in [true, false] {
        view.has_key = has_key;
        pages.push(render::settings(&view));
    }
    for page in pages {
        let mut forms = 0;
        for form in page.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap();
            let is_post = form.contains("method=\"post\"");
            assert_eq!(form.contains("name=\"csrf\" value=\"plain\""), is_post, "{form}");
            forms += usize::from(is_post);
        }
        assert!(forms > 0);
    }
}

#[test]
fn what_is_shown_once_is_shown_with_a_warning_and_only_then() {
    let mut view = full("plain");
    view.created =
        Some(ShownOnce { client_id: "the-id".into(), client_secret: "the-secret".into() });
    view.new_key = Some("the-key".into());
    let page = render::settings(&view);
    for text in [
        "the-id",
        "the-secret",
        "the-key",
        "The secret is not shown again",
        "The key is not shown again",
    ] {
        assert_eq!(page.matches(text).count(), 1, "{text}");
    }
    (view.created, view.new_key) = (None, None);
    let page = render::settings(&view);
    assert!(!page.contains("not shown again"));
}

#[test]
fn a_quota_is_dots_or_a_bar_or_nothing() {
    let page = render::settings(&full("10:31"));
    // Of ten, two are spent, one of which is remembered.
    assert_eq!(page.matches("aria-label=\"spent 10:31, 10:31, 10:31\"").count(), 1);
    assert_eq!(page.matches("aria-label=\"spent\"").count(), 1);
    assert_eq!(page.matches("aria-label=\"left\"").count(), 8);
    assert!(page.contains("2 of 10 spent") && page.contains("2 of 288 spent"));
    assert_eq!(page.matches("<meter").count(), 1);
    assert!(page.contains("Unlimited"));
    assert!(page.contains("Next opens at 10:31"));
}

#[test]
fn a_page_without_credentials_says_so() {
    let mut view = full("plain");
    view.credentials.clear();
    assert!(render::settings(&view).contains("There are no credentials yet."));
}

#[test]
fn only_a_refused_form_is_open_and_keeps_what_was_ticked() {
    let page = render::settings(&full("plain"));
    assert!(page.contains("<details class=\"create\" open>"));
    assert!(page.contains("value=\"shipments\" checked"));
    assert!(!page.contains("value=\"purchase_orders\" checked"));
    let view = SettingsView { draft: Draft::default(), ..full("plain") };
    let page = render::settings(&view);
    assert!(page.contains("<details class=\"create\">") && !page.contains(" checked"));
}
