//! What is odd about a token is said once, and costs nothing: the token is used all the same.

use auth_core::{ClientCredentials, MemoryStore, Profile, Store};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::log::Log;
use crate::support::*;

fn jwt(claims: &serde_json::Value) -> String {
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = encode(r#"{"alg":"RS256"}"#.to_owned());
    format!("{header}.{}.{}", encode(claims.to_string()), encode("signature".to_owned()))
}

fn token(token: &str, more: &str) -> Step {
    let body =
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":86400{more}}}"#);
    Step::Answer(answer(200, "application/json", &body))
}

#[tokio::test(start_paused = true)]
async fn every_check_is_said_once_and_the_token_is_used() {
    let log = Log::listen();
    let now = 1_767_225_600;
    let odd = jwt(&json!({
        "aud": "https://other.example", "azp": "somebody-else", "iat": now, "exp": now + 600,
    }));
    let step = || match token(&odd, r#","scope":"read admin""#) {
        Step::Answer(mut response) => {
            let date = "Thu, 01 Jan 2026 03:00:00 GMT".parse().unwrap();
            response.headers_mut().insert("date", date);
            Step::Answer(response)
        }
        step => step,
    };
    let issuer = Issuer::new([step(), step()]);
    let credentials = credentials().scope("read").scope("write");
    let auth = builder_for(&issuer, credentials).0.build().unwrap();
    let authorization = auth.authorization().await.unwrap();
    assert_eq!(text(&authorization), format!("Bearer {odd}"));
    auth.renew().await.unwrap();
    assert_eq!(auth.status().await.windows[0].spent, 2);
    let log = log.text();
    let checks: Vec<_> =
        log.lines().filter_map(|line| Some(line.split_once("check=")?.1)).collect();
    let mut names: Vec<_> = checks.iter().filter_map(|line| line.split('"').nth(1)).collect();
    names.sort_unstable();
    let mut once = names.clone();
    once.dedup();
    assert_eq!(names, once, "each once: {log}");
    assert_eq!(names.len(), 5, "{log}");
    assert!(log.contains("write") && log.contains("admin"), "the difference is named: {log}");
    assert!(!log.contains(&odd));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_no_jwt_is_odd_where_the_issuer_gives_jwts_and_nowhere_else() {
    for (profile, odd) in [(Profile::generic(), false), (Profile::auth0("a.example"), true)] {
        let log = Log::listen();
        let issuer = Issuer::new([token("opaque", "")]);
        let auth = builder_for(&issuer, credentials()).0.profile(profile).build().unwrap();
        auth.authorization().await.unwrap();
        assert_eq!(log.text().contains("check="), odd, "{}", log.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_as_it_was_asked_for_is_not_spoken_of() {
    let log = Log::listen();
    let now = 1_767_225_600;
    let good = jwt(&json!({
        "aud": ["https://api.example"], "azp": "client", "iat": now, "exp": now + 86_400,
    }));
    let issuer = Issuer::new([token(&good, r#","scope":"read""#)]);
    let auth = builder_for(&issuer, credentials().scope("read")).0.build().unwrap();
    auth.authorization().await.unwrap();
    assert!(!log.text().contains("check="), "{}", log.text());
    assert!(log.text().contains("a token is in use"));
}

#[test]
fn what_looks_wrong_before_anything_is_spent_is_said_when_it_is_built() {
    let log = Log::listen();
    let issuer = Issuer::new([]);
    let slash = credentials().issuer("https://api.example/");
    builder_for(&issuer, slash).0.build().unwrap();
    assert!(log.text().contains("trailing slash"), "{}", log.text());

    let short =
        credentials().client_auth(auth_core::ClientAuth::SecretJwt).issuer("https://a.example");
    builder_for(&issuer, short).0.build().unwrap();
    assert!(log.text().contains("HS256"), "{}", log.text());
    assert!(!log.text().contains(SECRET));
    for placeholder in ["${API_SECRET}", "<client_secret>", "changeme", "YOUR_SECRET", "****"] {
        let credentials = ClientCredentials::new("client", placeholder)
            .token_endpoint("https://issuer.example/oauth/token")
            .audience("https://api.example");
        let error = builder_for(&issuer, credentials).0.build().unwrap_err();
        assert_eq!(error.field(), "client_secret", "{placeholder}");
    }
    assert_eq!(issuer.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_profile_fills_in_what_nobody_has_said() {
    let issuer = Issuer::new([]);
    let bare = || ClientCredentials::new("client", SECRET);
    let auth = builder_for(&issuer, bare()).0.profile(Profile::flexport()).build().unwrap();
    auth.authorization().await.unwrap();
    let sent = issuer.sent().pop().unwrap();
    assert_eq!(sent.uri(), "https://api.flexport.com/oauth/token");
    assert_eq!(sent.headers()["content-type"], "application/json");
    assert_eq!(auth.origins()[0].to_string(), "https://api.flexport.com:443");
    assert_eq!(auth.status().await.windows[0].window.limit(), 10);

    let mut mine = Profile::flexport();
    mine.headers.push(("x-tenant".parse().unwrap(), "a".parse().unwrap()));
    mine.quota_refusals.push((400, "daily limit".to_owned()));
    // What the request is made of is not a profile's to replace.
    let mut greedy = Profile::generic();
    greedy.headers.push(("authorization".parse().unwrap(), "Bearer gateway".parse().unwrap()));
    let error = builder_for(&issuer, credentials()).0.profile(greedy).build().unwrap_err();
    assert_eq!(error.field(), "profile");

    let own =
        bare().token_endpoint("https://staging.example/t").client_auth(auth_core::ClientAuth::Post);
    let refused = r#"{"error":"invalid_request","error_description":"Daily limit reached"}"#;
    let issuer = Issuer::new([Step::Answer(answer(400, "application/json", refused))]);
    let auth = builder_for(&issuer, own).0.profile(mine).build().unwrap();
    assert!(auth.authorization().await.unwrap_err().is_quota_exhausted());
    let sent = issuer.sent().pop().unwrap();
    assert_eq!(sent.uri(), "https://staging.example/t");
    assert_eq!(sent.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(sent.headers()["x-tenant"], "a");
}

// torture: C21
#[tokio::test(start_paused = true)]
async fn clients_with_different_headers_do_not_share_a_token() {
    let issuer = Issuer::new([]);
    let store = Store::new(MemoryStore::new());
    let of = |tenant: &str| {
        let mut profile = Profile::generic();
        profile.headers.push(("x-tenant".parse().unwrap(), tenant.parse().unwrap()));
        let builder = builder_for(&issuer, credentials()).0.store(store.clone());
        builder.profile(profile).build().unwrap()
    };
    let first = of("a").authorization().await.unwrap();
    assert_eq!(text(&of("a").authorization().await.unwrap()), text(&first));
    assert_ne!(text(&of("b").authorization().await.unwrap()), text(&first));
}
