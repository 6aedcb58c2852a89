//! The token endpoint.

use std::time::{Duration, UNIX_EPOCH};

use auth_issuer::{Cause, ClientAuth, Issuer, ManualClock};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::http::{Call, good, shipments, token};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// The part of a JWT, decoded.
fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn json_and_form_bodies_get_a_token() {
    let issuer = Issuer::start().await.unwrap();
    let body = form(&[
        ("client_id", issuer.client_id()),
        ("client_secret", issuer.client_secret()),
        ("audience", issuer.audience()),
        ("grant_type", "client_credentials"),
    ]);
    for call in [
        Call::good_token(&issuer),
        Call::token("Application/JSON; charset=utf-8", good(&issuer).to_string()),
        Call::token(FORM, body),
    ] {
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 86_400);
        assert_eq!(body.get("scope"), None);
        assert_eq!(shipments(&issuer, body["access_token"].as_str().unwrap()).await, 200);
    }
    assert_eq!(issuer.counters().issued, 3);
}

#[tokio::test]
async fn basic_credentials_are_percent_decoded() {
    let issuer = Issuer::builder().client("an:id", "s+c%r t").start().await.unwrap();
    let body = form(&[("audience", issuer.audience()), ("grant_type", "client_credentials")]);
    for authorization in [basic("an%3Aid", "s%2Bc%25r+t"), basic("an%3aid", "s%2bc%25r%20t")] {
        let call = Call::token(FORM, body.clone()).header("Authorization", &authorization);
        assert_eq!(call.send(&issuer).await.unwrap().status, 200);
    }
    let call = Call::token(FORM, body).header("Authorization", &basic("an%3Aid", "s+c%25r+t"));
    let answer = call.send(&issuer).await.unwrap();
    assert_eq!(answer.error(), (401, "invalid_client".into()));
    assert_eq!(answer.header("www-authenticate"), Some(r#"Basic realm="oauth""#));
}

#[tokio::test]
async fn the_token_is_a_signed_jwt_with_the_vendors_claims() {
    let clock = ManualClock::at(UNIX_EPOCH + Duration::from_millis(1_700_000_000_900));
    let issuer = Issuer::builder()
        .client("app", "secret")
        .audience("https://api.example")
        .lifetime(Duration::from_secs(600))
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    let (first, second) = (token(&issuer).await, token(&issuer).await);
    let header = part(&first, 0);
    assert_eq!(header["alg"], "RS256");
    assert!(!header["kid"].as_str().unwrap().is_empty());
    let mut claims = part(&first, 1);
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_ne!(jti, part(&second, 1)["jti"]);
    let expected = json!({
        "iss": issuer.url(),
        "sub": "app@clients",
        "aud": "https://api.example",
        "iat": 1_700_000_000,
        "exp": 1_700_000_600,
        "azp": "app",
        "gty": "client-credentials",
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn a_scope_that_was_asked_is_answered() {
    let issuer = Issuer::start().await.unwrap();
    let mut body = good(&issuer);
    body["scope"] = "read:shipments".into();
    let answer = Call::token(JSON, body.to_string()).send(&issuer).await.unwrap().json();
    assert_eq!(answer["scope"], "read:shipments");
    assert_eq!(part(answer["access_token"].as_str().unwrap(), 1)["scope"], "read:shipments");
}

#[tokio::test]
async fn every_audience_of_the_builder_is_served() {
    let issuer = Issuer::builder().audience("one").audience("two").start().await.unwrap();
    assert_eq!(issuer.audience(), "one");
    let mut body = good(&issuer);
    body["audience"] = "two".into();
    let answer = Call::token(JSON, body.to_string()).send(&issuer).await.unwrap().json();
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(part(token, 1)["aud"], "two");
    assert_eq!(shipments(&issuer, token).await, 200);
}

#[tokio::test]
async fn refusals_are_those_of_the_rfc() {
    let issuer = Issuer::builder().client("app", "secret").start().await.unwrap();
    let cases = [
        ("client_id", json!("other"), 401, "invalid_client"),
        ("client_id", json!(null), 401, "invalid_client"),
        ("client_secret", json!("wrong"), 401, "invalid_client"),
        ("client_secret", json!(""), 401, "invalid_client"),
        ("grant_type", json!("password"), 400, "unsupported_grant_type"),
        ("grant_type", json!(""), 400, "invalid_request"),
        ("grant_type", json!(7), 400, "invalid_request"),
        ("audience", json!("https://elsewhere"), 403, "access_denied"),
        ("audience", json!(null), 400, "invalid_request"),
        ("audience", json!(["a"]), 400, "invalid_request"),
    ];
    for (name, value, status, error) in cases {
        let mut body = good(&issuer);
        body[name] = value.clone();
        let answer = Call::token(JSON, body.to_string()).send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (status, error.into()), "{name}: {value}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("www-authenticate"), None);
        assert!(answer.json()["error_description"].is_string());
    }
    let counters = issuer.counters();
    assert_eq!(counters.token_requests, 10);
    assert_eq!(counters.invalid_client, 4);
    assert_eq!(counters.unsupported_grant, 1);
    assert_eq!(counters.access_denied, 1);
    assert_eq!(counters.bad_request, 4);
    assert_eq!(counters.issued + counters.over_quota + counters.faulted + counters.failed, 0);
}

#[tokio::test]
async fn malformed_requests_get_an_oauth_error() {
    let issuer = Issuer::builder().unlimited_quota().start().await.unwrap();
    let deep = "[".repeat(10_000);
    let long = format!(r#"{{"client_id":"{}"}}"#, "x".repeat(100_000));
    for body in ["", "{", "null", "[]", "\"text\"", r#"{"client_id":{}}"#, &deep, &long] {
        let answer = Call::token(JSON, body).send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (400, "invalid_request".into()));
    }
    let answer = Call::token(JSON, [0xff, 0xfe]).send(&issuer).await.unwrap();
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    for body in ["", "&&&", "%", "client_id=%ff&client_secret=%zz"] {
        let answer = Call::token(FORM, body).send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (401, "invalid_client".into()));
    }
    for content_type in ["text/plain", "multipart/form-data; boundary=x", ";", "application/jsonp"]
    {
        let answer = Call::token(content_type, "{}").send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (415, "invalid_request".into()));
    }
    let answer = Call::post("/oauth/token").body("{}").send(&issuer).await.unwrap();
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    for authorization in ["Basic", "Basic !", "Bearer x", "Basic aWQ="] {
        let call = Call::good_token(&issuer).header("Authorization", authorization);
        assert_eq!(call.send(&issuer).await.unwrap().error(), (401, "invalid_client".into()));
    }
}

#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let issuer = Issuer::builder().client("app", "secret").start().await.unwrap();
    let audience = ("audience", issuer.audience());
    let grant = ("grant_type", "client_credentials");
    let authorization = basic("app", "secret");

    let both = Call::good_token(&issuer).header("Authorization", &authorization);
    let other = form(&[("client_id", "other"), audience, grant]);
    let other = Call::token(FORM, other).header("Authorization", &authorization);
    let twice = form(&[("client_id", "app"), ("client_secret", "secret"), audience, grant, grant]);
    let twice = Call::token(FORM, twice);
    for call in [both, other, twice] {
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (400, "invalid_request".into()));
    }
    // Naming the same client again is no contradiction.
    let same = form(&[("client_id", "app"), audience, grant]);
    let same = Call::token(FORM, same).header("Authorization", &authorization);
    assert_eq!(same.send(&issuer).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_last_request_is_on_record_without_its_secret() {
    let issuer = Issuer::builder().client("app", "hush").start().await.unwrap();
    assert_eq!(issuer.last_token_request(), None);

    Call::good_token(&issuer).send(&issuer).await.unwrap();
    let record = issuer.last_token_request().unwrap();
    assert_eq!(record.content_type.as_deref(), Some(JSON));
    assert_eq!(record.client_auth, ClientAuth::Post);
    assert_eq!(record.parameters, ["audience", "client_id", "client_secret", "grant_type"]);
    assert_eq!(record.client_id.as_deref(), Some("app"));
    assert_eq!(record.audience.as_deref(), Some(issuer.audience()));
    assert_eq!(record.grant_type.as_deref(), Some("client_credentials"));
    assert_eq!(record.scope, None);
    assert!(!format!("{record:?}").contains("hush"));

    let call = Call::token(FORM, "scope=a").header("Authorization", &basic("app", "hush"));
    call.send(&issuer).await.unwrap();
    let record = issuer.last_token_request().unwrap();
    assert_eq!(record.content_type.as_deref(), Some(FORM));
    assert_eq!(record.client_auth, ClientAuth::Basic);
    assert_eq!(record.parameters, ["scope"]);
    assert_eq!(record.client_id.as_deref(), Some("app"));
    assert_eq!(record.scope.as_deref(), Some("a"));
}

#[tokio::test]
async fn a_body_under_the_wrong_content_type_is_not_told_with_its_secret() {
    let issuer = Issuer::builder().client("app", "hush").start().await.unwrap();
    for body in [good(&issuer).to_string(), format!("{}=", good(&issuer)), "hush%20hush=1".into()] {
        Call::token(FORM, body).send(&issuer).await.unwrap();
        let record = issuer.last_token_request().unwrap();
        assert!(!format!("{record:?}").contains("hush"), "{record:?}");
        assert_eq!(record.parameters, ["?"]);
    }
}

#[tokio::test]
async fn a_member_that_is_there_twice_is_refused_in_json_as_in_a_form() {
    let issuer = Issuer::builder().client("app", "hush").start().await.unwrap();
    let twice = good(&issuer).to_string().replacen('{', r#"{"client_secret":"no","#, 1);
    let answer = Call::token("application/json", twice).send(&issuer).await.unwrap();
    assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn the_page_of_another_site_spends_and_revokes_nothing() {
    let issuer = Issuer::builder().client("app", "hush").quota(20).start().await.unwrap();
    let (own, live) = (issuer.url().to_owned(), token(&issuer).await);
    let (host, port) = (issuer.address().to_string(), issuer.address().port());
    let call = |path: &str, host: &str| {
        let mut body = good(&issuer);
        body["token"] = live.as_str().into();
        Call::to("POST", path, host).header("Content-Type", JSON).body(body.to_string())
    };
    let localhost = format!("localhost:{port}");
    let (same, cross) = (Some("same-origin"), Some("cross-site"));
    let evil = format!("http://evil.example:{port}");
    for (host, origin, site) in [
        (&*host, None, cross),
        // Another port of this host.
        (&*host, None, Some("same-site")),
        (&*host, Some("http://127.0.0.1:1"), None),
        (&*host, Some("https://evil.example"), None),
        (&*host, Some("null"), None),
        (&*host, Some("null"), same),
        (&*host, Some(&*own), cross),
        (&*host, Some(&*format!("http://{localhost}")), same),
        // Its name was pointed here.
        (&evil["http://".len()..], Some(&*evil), same),
    ] {
        for path in ["/oauth/token", "/oauth/revoke"] {
            let mut call = call(path, host);
            for (name, value) in [("Origin", origin), ("Sec-Fetch-Site", site)] {
                if let Some(value) = value {
                    call = call.header(name, value);
                }
            }
            let answer = call.send(&issuer).await.unwrap();
            assert_eq!(answer.error(), (403, "access_denied".to_owned()), "{origin:?} {site:?}");
        }
    }
    assert_eq!((issuer.spent(), issuer.token_requests()), (1, 1));
    assert_eq!(shipments(&issuer, &live).await, 200);
    for (host, origin, site) in [
        (&*host, &*own, "same-origin"),
        (&*localhost, &*format!("http://{localhost}"), "same-origin"),
        // Behind a name that a proxy has changed.
        ("issuer", &*own, "none"),
    ] {
        let call = call("/oauth/token", host);
        let call = call.header("Origin", origin).header("Sec-Fetch-Site", site);
        assert_eq!(call.send(&issuer).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn what_is_no_scope_is_refused_though_the_client_may_have_everything() {
    let issuer = Issuer::start().await.unwrap();
    for scope in ["a  b", " ", "a\"b", "a\\b", "a\nb", "é", "<script>\u{1b}"] {
        let mut request = good(&issuer);
        request["scope"] = scope.into();
        let answer = Call::token(JSON, request.to_string()).send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (400, "invalid_scope".to_owned()), "{scope:?}");
    }
}

#[tokio::test]
async fn a_token_that_never_seems_to_end_is_a_fresh_one() {
    let issuer = Issuer::builder().lifetime(Duration::MAX).start().await.unwrap();
    assert_eq!(shipments(&issuer, &token(&issuer).await).await, 200);
    token(&issuer).await;
    assert_eq!(issuer.credentials()[0].requests[0].cause, Cause::Fresh);
}

#[tokio::test]
async fn a_client_of_everything_has_what_it_asks_for_alone() {
    let issuer = Issuer::start().await.unwrap();
    for (scope, invoices) in [("shipments", 403), ("shipments invoices", 200), ("read:x", 200)] {
        let mut request = good(&issuer);
        request["scope"] = scope.into();
        let answer = Call::token("application/json", request.to_string()).send(&issuer).await;
        let answer = answer.unwrap().json();
        let token = answer["access_token"].as_str().unwrap();
        assert_eq!(shipments(&issuer, token).await, 200);
        let answer = Call::get("/v2/invoices").bearer(token).send(&issuer).await.unwrap();
        assert_eq!(answer.status, invoices, "{scope}");
    }
}

#[tokio::test]
async fn two_authorization_fields_are_ambiguous_and_a_long_name_is_not_told() {
    let issuer = Issuer::builder().client("app", "secret").start().await.unwrap();
    let long = "a".repeat(41);
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("audience", issuer.audience()),
        (&long, "x"),
    ]);
    let call = Call::token("application/x-www-form-urlencoded", body);
    // app:secret
    let call = call
        .header("Authorization", "Basic YXBwOnNlY3JldA==")
        .header("Authorization", "Basic YXBwOnNlY3JldA==");
    assert_eq!(call.send(&issuer).await.unwrap().error(), (400, "invalid_request".to_owned()));
    assert_eq!(issuer.last_token_request().unwrap().parameters, ["grant_type", "audience", "?"]);
}
