//! The page "Settings → API", as a browser meets it, and as a foreign site would use it.

use auth_issuer::{Issuer, Resource};

use crate::http::{Answer, Call, shipments, token};

const PAGE: &str = "/settings/api";

/// A browser that has entered.
struct Browser<'a> {
    issuer: &'a Issuer,
    cookie: String,
    csrf: String,
}

impl<'a> Browser<'a> {
    async fn enter(issuer: &'a Issuer) -> Self {
        let url = issuer.settings_url();
        let path = url.strip_prefix(issuer.url()).unwrap();
        let answer = from(issuer, "GET", path).send(issuer).await.unwrap();
        assert_eq!((answer.status, answer.header("location")), (303, Some(PAGE)));
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.ends_with("; Path=/settings; HttpOnly; SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut browser = Self { issuer, cookie, csrf: String::new() };
        let page = browser.get(PAGE).await;
        let page = text(&page);
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
        browser.csrf = csrf.split('"').next().unwrap().to_owned();
        browser
    }

    async fn get(&self, path: &str) -> Answer {
        let call = from(self.issuer, "GET", path).header("Cookie", &self.cookie);
        call.send(self.issuer).await.unwrap()
    }

    /// Sends a form of the page.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let call = from(self.issuer, "POST", path)
            .header("Cookie", &self.cookie)
            .header("Origin", self.issuer.url());
        form(call, &self.csrf, fields).send(self.issuer).await.unwrap()
    }

    /// The page that a form led to.
    async fn follow(&self, answer: &Answer) -> String {
        assert_eq!(answer.status, 303);
        let page = self.get(answer.header("location").unwrap()).await;
        assert_eq!(page.status, 200);
        text(&page)
    }
}

fn from(issuer: &Issuer, method: &str, path: &str) -> Call {
    Call::to(method, path, &issuer.address().to_string())
}

fn form(call: Call, csrf: &str, fields: &[(&str, &str)]) -> Call {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("csrf", csrf).extend_pairs(fields);
    call.header("Content-Type", "application/x-www-form-urlencoded").body(body.finish())
}

fn text(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    String::from_utf8(answer.body.clone()).unwrap()
}

/// The text of the element with this id.
fn element<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\">")).unwrap();
    rest.split_once('<').unwrap().0
}

#[tokio::test]
async fn credentials_are_made_shown_once_used_and_taken_away() {
    let issuer = Issuer::start().await.unwrap();
    let browser = Browser::enter(&issuer).await;
    let fields =
        [("name", " Nightly <export> "), ("resource", "shipments"), ("resource", "invoices")];
    let made = browser.post("/settings/api/credentials", &fields).await;
    let page = browser.follow(&made).await;
    assert!(page.contains("The secret is not shown again."));
    let (id, secret) = (element(&page, "created-id"), element(&page, "created-secret"));
    let again = browser.follow(&made).await;
    assert!(
        !again.contains(secret) && again.contains(id) && again.contains("Nightly &lt;export&gt;")
    );
    let known = issuer.credentials().pop().unwrap();
    assert_eq!((known.name.as_str(), known.client_id.as_str()), ("Nightly <export>", id));
    assert_eq!(known.resources, [Resource::Shipments, Resource::Invoices]);

    let ask = async |secret: &str| {
        let body = serde_json::json!({ "client_id": id, "client_secret": secret,
            "audience": issuer.audience(), "grant_type": "client_credentials" });
        Call::token("application/json", body.to_string()).send(&issuer).await.unwrap()
    };
    let answer = ask(secret).await;
    let access_token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(shipments(&issuer, &access_token).await, 200);
    let page = text(&browser.get(PAGE).await);
    assert!(page.contains("1 of 10 spent") && page.contains("start, issued"));

    let one = [("client_id", id)];
    let page = browser.follow(&browser.post("/settings/api/credentials/disable", &one).await).await;
    assert!(page.contains("Disabled: Nightly"));
    assert_eq!(shipments(&issuer, &access_token).await, 401);
    browser.follow(&browser.post("/settings/api/credentials/enable", &one).await).await;
    assert_eq!(shipments(&issuer, &access_token).await, 200);

    let path = format!("/settings/api/credentials/rotate?client_id={id}");
    assert!(text(&browser.get(&path).await).contains("Nightly &lt;export&gt;"));
    let page = browser.follow(&browser.post("/settings/api/credentials/rotate", &one).await).await;
    let rotated = element(&page, "created-secret");
    assert_ne!(rotated, secret);
    assert_eq!(ask(secret).await.status, 401);
    assert_eq!(ask(rotated).await.status, 200);

    browser.follow(&browser.post("/settings/api/credentials/delete", &one).await).await;
    assert_eq!(issuer.credentials().len(), 1);
    assert_eq!(browser.post("/settings/api/credentials/delete", &one).await.status, 404);
    assert_eq!(browser.get(&path).await.status, 404);
}

#[tokio::test]
async fn the_legacy_key_is_generated_and_reverted_only_knowingly() {
    let issuer = Issuer::start().await.unwrap();
    let browser = Browser::enter(&issuer).await;
    let page = browser.follow(&browser.post("/settings/api/key", &[]).await).await;
    let first = element(&page, "created-key").to_owned();
    assert_eq!(shipments(&issuer, &first).await, 200);
    assert_eq!(browser.post("/settings/api/key", &[]).await.status, 409);
    assert_eq!(browser.post("/settings/api/key/revert", &[]).await.status, 400);
    assert_eq!(shipments(&issuer, &first).await, 200);
    let answer = browser.post("/settings/api/key/revert", &[("sure", "yes")]).await;
    let page = browser.follow(&answer).await;
    assert_eq!(shipments(&issuer, &first).await, 401);
    assert_eq!(shipments(&issuer, element(&page, "created-key")).await, 200);
}

#[tokio::test]
async fn a_form_that_is_wrong_comes_back_as_it_was_filled_in() {
    let issuer = Issuer::start().await.unwrap();
    issuer.create_credentials("taken", [Resource::Bookings]).unwrap();
    let browser = Browser::enter(&issuer).await;
    let long = "x".repeat(101);
    for (name, resource, status) in [
        ("", "bookings", 400),
        (long.as_str(), "bookings", 400),
        ("a\u{7}b", "bookings", 400),
        ("taken", "bookings", 409),
        ("new", "everything", 400),
        ("new", "", 400),
    ] {
        let mut fields = vec![("name", name)];
        fields.extend((!resource.is_empty()).then_some(("resource", resource)));
        let answer = browser.post("/settings/api/credentials", &fields).await;
        assert_eq!(answer.status, status, "{name} {resource}");
        let page = text(&answer);
        assert!(page.contains(&format!("value=\"{name}\"")) && page.contains("role=\"alert\""));
        assert_eq!(page.contains("value=\"bookings\" checked"), resource == "bookings");
    }
    assert_eq!(issuer.credentials().len(), 2);
}

#[tokio::test]
async fn a_change_that_is_not_the_pages_own_is_refused_and_changes_nothing() {
    let issuer = Issuer::start().await.unwrap();
    let browser = Browser::enter(&issuer).await;
    let id = issuer.client_id();
    let own = issuer.address().to_string();
    let own = own.as_str();
    let (cookie, csrf, url) = (browser.cookie.as_str(), browser.csrf.as_str(), issuer.url());
    let near = "http://127.0.0.1:1";
    // Host, cookie, origin, what the browser calls the site, and the form's value; and the answer.
    let matrix = [
        (own, Some(cookie), Some(url), None, "", 403),
        (own, Some(cookie), Some(url), Some("same-origin"), &csrf[1..], 403),
        (own, Some(cookie), Some(url), None, issuer.admin_token(), 403),
        (own, Some(cookie), Some("http://evil.example"), None, csrf, 403),
        (own, Some(cookie), Some("http://evil.example"), Some("same-origin"), csrf, 403),
        (own, Some(cookie), Some(near), Some("same-site"), csrf, 403),
        (own, Some(cookie), Some("null"), None, csrf, 403),
        (own, Some(cookie), Some(url), Some("cross-site"), csrf, 403),
        (own, Some(cookie), None, Some("none"), csrf, 403),
        (own, Some(cookie), None, None, csrf, 403),
        ("evil.example", Some(cookie), Some("http://evil.example"), Some("same-origin"), csrf, 421),
        ("", Some(cookie), Some(url), None, csrf, 421),
        (own, None, Some(url), Some("same-origin"), csrf, 401),
        (own, Some("issuer_admin=x"), Some(url), None, csrf, 401),
    ];
    let posts: [(&str, &[(&str, &str)]); 7] = [
        ("/settings/api/credentials", &[("name", "new"), ("resource", "shipments")]),
        ("/settings/api/credentials/disable", &[("client_id", id)]),
        ("/settings/api/credentials/enable", &[("client_id", id)]),
        ("/settings/api/credentials/rotate", &[("client_id", id)]),
        ("/settings/api/credentials/delete", &[("client_id", id)]),
        ("/settings/api/key", &[]),
        ("/settings/api/key/revert", &[("sure", "yes")]),
    ];
    let key = issuer.create_api_key().unwrap();
    for (path, fields) in posts {
        for (host, cookie, origin, site, csrf, status) in matrix {
            let mut call = Call::to("POST", path, host);
            for (name, value) in [("Cookie", cookie), ("Origin", origin), ("Sec-Fetch-Site", site)]
            {
                call = value.into_iter().fold(call, |call, value| call.header(name, value));
            }
            let answer = form(call, csrf, fields).send(&issuer).await.unwrap();
            assert_eq!(answer.status, status, "{path} {host} {cookie:?} {origin:?} {site:?}");
        }
        // What is to be posted is not to be had by a GET: not even with everything in its query.
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let answer = browser.get(&format!("{path}?csrf={csrf}&{query}")).await;
        let is_question = path.ends_with("rotate") || path.ends_with("delete");
        assert_eq!(answer.status, if is_question { 200 } else { 405 }, "{path}");
    }
    let known = issuer.credentials();
    assert!(known.len() == 1 && known[0].is_enabled);
    assert_eq!(shipments(&issuer, &key).await, 200);
    token(&issuer).await;
}

#[tokio::test]
async fn without_the_session_there_is_nothing_to_see() {
    let issuer = Issuer::start().await.unwrap();
    let own = issuer.address().to_string();
    for path in [
        PAGE,
        "/settings/api/credentials/delete",
        "/settings/api/enter",
        "/settings/api/enter?token=x",
    ] {
        let answer = Call::to("GET", path, &own).send(&issuer).await.unwrap();
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{path}");
        let page = text(&answer);
        assert!(page.contains("the program printed") && !page.contains(issuer.client_id()));
    }
    let browser = Browser::enter(&issuer).await;
    let other = Issuer::start().await.unwrap();
    let call = from(&other, "GET", PAGE).header("Cookie", &browser.cookie);
    assert_eq!(call.send(&other).await.unwrap().status, 401);
    // A name that was pointed at this machine: not even the entrance answers, nor the style sheet.
    let entrance = issuer.settings_url().strip_prefix(issuer.url()).unwrap().to_owned();
    for path in [PAGE, &entrance, "/settings/api/page.css"] {
        let call = Call::to("GET", path, "rebound.example").header("Cookie", &browser.cookie);
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!((answer.status, answer.header("set-cookie")), (421, None), "{path}");
    }
}

#[tokio::test]
async fn every_answer_bears_the_headers_that_keep_others_out() {
    let issuer = Issuer::start().await.unwrap();
    let browser = Browser::enter(&issuer).await;
    let mut answers = vec![
        browser.get(PAGE).await,
        browser.get("/settings/api/page.css").await,
        browser.get("/settings/api/page.js").await,
        browser.get("/settings/api/key").await,
        browser.post("/settings/api/key", &[]).await,
        browser.post("/settings/api/key", &[]).await,
        from(&issuer, "GET", PAGE).send(&issuer).await.unwrap(),
        Call::to("GET", PAGE, "evil.example").send(&issuer).await.unwrap(),
    ];
    let entrance = issuer.settings_url();
    let entrance = from(&issuer, "GET", entrance.strip_prefix(issuer.url()).unwrap());
    answers.push(entrance.send(&issuer).await.unwrap());
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 405, 303, 409, 401, 421, 303]);
    for answer in &answers {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"));
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
    }
    assert_eq!(answers[1].header("content-type"), Some("text/css"));
    assert_eq!(answers[2].header("content-type"), Some("text/javascript"));
}

#[tokio::test]
async fn what_is_to_be_shown_once_survives_a_head_and_needs_the_session() {
    let issuer = Issuer::start().await.unwrap();
    let browser = Browser::enter(&issuer).await;
    let made = browser.post("/settings/api/key", &[]).await;
    let path = made.header("location").unwrap().to_owned();
    let head = from(&issuer, "HEAD", &path).header("Cookie", &browser.cookie);
    let mut wire = crate::http::Wire::to(&issuer).await.unwrap();
    wire.write(&head).await.unwrap();
    assert_eq!(wire.head().await.unwrap().status, 200);
    assert_eq!(from(&issuer, "GET", &path).send(&issuer).await.unwrap().status, 401);
    assert!(browser.follow(&made).await.contains("id=\"created-key\""));
    assert!(!browser.follow(&made).await.contains("id=\"created-key\""));
}
