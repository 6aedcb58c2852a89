//! What a request says is repeated nowhere: not in an answer, and not in a log.

use auth_issuer::{Fault, Place, When};
use auth_tower::server::{Algorithm, Jwks, RequireTokenLayer};
use serde_json::json;
use tower::Layer;

use crate::log::Log;

use super::rotation::garbage;
use super::support::{Handler, OwnKey, ask, get, request};
use super::world::{Guarded, KEY, SHIPMENTS, World, access, fixed, posted};

/// Stands in every part of a request, one way or another.
const CANARY: &str = "canary";

/// Colours of a terminal, a line of its own, quotes, and what looks like another parameter.
const NASTY: &str = "\u{1b}[31mcanary\r\nx-evil: canary\"\\, scope=\"canary";

// torture: E44
#[tokio::test]
async fn nothing_of_a_token_a_key_or_a_path_is_in_answers_or_logs() {
    let log = Log::listen();
    let (own, handler) = (OwnKey::new(), Handler::default());
    let guarded: Guarded = fixed(&own).build().unwrap().layer(handler.clone());
    let posts: Guarded = fixed(&own).access(posted()).build().unwrap().layer(handler.clone());
    let world = World::start().await;
    let fetched = world.guarded();
    let fetched_posts = world.behind(world.layer().access(posted()));
    let nasty = |claims| own.token(&claims);
    let mut answers = 0;
    for (path, shown) in [
        // Good tokens with claims that are not.
        (SHIPMENTS, &[format!("Bearer {}", nasty(json!({ "scope": NASTY, "sub": NASTY })))][..]),
        (SHIPMENTS, &[format!("Bearer {}", nasty(json!({ "iss": NASTY })))]),
        (SHIPMENTS, &[format!("Bearer {}", nasty(json!({ "aud": NASTY, "jti": NASTY })))]),
        (SHIPMENTS, &[format!("Bearer {}", nasty(json!({ "cnf": { NASTY: NASTY } })))]),
        (SHIPMENTS, &[format!("Bearer {}", nasty(json!({ "cnf": { "jkt": NASTY } })))]),
        (SHIPMENTS, &[format!("DPoP {}", nasty(json!({ "cnf": { "jkt": NASTY } })))]),
        (SHIPMENTS, &[format!("Bearer {}", nasty(json!({ "exp": NASTY })))]),
        // Others.
        (SHIPMENTS, &[format!("Bearer {}", garbage(NASTY))]),
        ("/v2/bookings", &[format!("Bearer {}", garbage(NASTY))]),
        (SHIPMENTS, &["Bearer canary".to_owned()]),
        (SHIPMENTS, &["Bearer canary canary".to_owned()]),
        (SHIPMENTS, &["Bearer canary".to_owned(), "Bearer canary".to_owned()]),
        (SHIPMENTS, &["canary canary".to_owned()]),
        ("/v1/shipments", &["Bearer canary-key".to_owned()]),
        ("/v1/shipments", &[r#"Token token="canary-\"key""#.to_owned()]),
        ("/v1/shipments", &[r#"Token token="canary"#.to_owned()]),
        // Paths.
        ("/canary", &[]),
        ("/canary/..", &[]),
        ("/canary%1b[31m", &[]),
        ("/canary%0d%0ax-evil:1", &[]),
        ("/v2/shipments?access_token=canary", &["Bearer x".to_owned()]),
    ] {
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        for (http, grpc) in [(&guarded, &posts), (&fetched, &fetched_posts)] {
            for (service, method, content_type) in
                [(http, "GET", "text/plain"), (grpc, "POST", "application/grpc")]
            {
                let mut request = request(method, path, &shown);
                request.headers_mut().insert("content-type", content_type.parse().unwrap());
                request.headers_mut().insert("dpop", "canary".parse().unwrap());
                let answer = ask(service, request).await;
                let text = format!("{answer:?}");
                assert_eq!(answer.status >= 400, method == "GET", "{text}");
                assert_eq!(answer.field("grpc-status").is_empty(), method == "GET", "{text}");
                for word in [CANARY, "\\u{1b}", "\\x1b", "x-evil"] {
                    assert!(!text.to_lowercase().contains(word), "{word}: {path} {text}");
                }
                answers += 1;
            }
        }
    }
    assert_eq!((answers, handler.calls(), world.handler.calls()), (84, 0, 0));

    // A served one too, with a key that works.
    let good = own.token(&json!({ "scope": "shipments", "sub": NASTY }));
    let (good, key) = (format!("Bearer {good}"), format!("Bearer {KEY}"));
    assert_eq!(ask(&guarded, request("GET", SHIPMENTS, &[&good])).await.status, 200);
    assert_eq!(ask(&guarded, request("GET", "/v1/shipments", &[&key])).await.status, 200);
    assert_eq!(ask(&guarded, request("GET", SHIPMENTS, &[&key])).await.status, 401);

    let log = log.text();
    assert!(log.contains("request refused"), "{log}");
    for word in [CANARY, "\u{1b}", "x-evil", KEY, &good["Bearer ".len()..][..40]] {
        assert!(!log.contains(word), "{word:?}: {log}");
    }
    // Whole tokens aside, none of their parts.
    let payload = good.split('.').nth(1).unwrap();
    assert!(!log.contains(payload), "{log}");
}

// torture: E44
#[tokio::test]
async fn settings_and_services_show_no_key_and_no_hash() {
    let world = World::start().await;
    let layer = world.layer().build().unwrap();
    let shown = format!("{:?} {layer:?} {:?}", world.layer(), layer.layer(world.handler.clone()));
    assert!(shown.contains(world.issuer.url()) && shown.contains("warehouse"), "{shown}");
    assert!(!shown.contains(KEY), "{shown}");
    assert!(!shown.contains(&auth_tower::server::KeyRing::hash(KEY).to_hex()), "{shown}");
}

// torture: E44
#[tokio::test]
async fn the_query_of_a_key_sets_url_is_shown_nowhere() {
    let log = Log::listen();
    let world = World::start().await;
    let token = world.shipments_token().await;
    world.issuer.fault(Place::Keys, When::always(), Fault::status(500));
    let url = format!("{}?api_key={CANARY}", world.issuer.jwks_uri());
    let jwks = Jwks::url(url, world.fetches.clone()).insecure_loopback(true);
    let shown = format!("{jwks:?}");
    let layer = RequireTokenLayer::builder(jwks)
        .issuer(world.issuer.url())
        .audience(world.issuer.audience())
        .algorithms([Algorithm::Rs256])
        .access(access())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    let shown = format!("{shown} {layer:?}");
    let answer = ask(&layer.layer(world.handler.clone()), get(SHIPMENTS, &token)).await;
    assert_eq!((answer.status, world.fetches.count()), (503, 1));
    let log = log.text();
    for text in [&shown, &log, &format!("{answer:?}")] {
        assert!(!text.contains(CANARY), "{text}");
    }
    for text in [&shown, &log] {
        assert!(text.contains("/.well-known/jwks.json"), "{text}");
    }
    assert!(log.contains("the key set cannot be fetched"), "{log}");
}
