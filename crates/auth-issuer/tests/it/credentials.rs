//! Credentials and keys: made, used, changed, and kept over restarts.

use std::time::Duration;

use auth_issuer::{Cause, Issuer, ManualClock, NewCredentials, Outcome, Resource};
use serde_json::{Value, json};

use crate::http::{Answer, Call, shipments, token};

async fn ask(issuer: &Issuer, id: &str, secret: &str) -> Answer {
    ask_for(issuer, json!({ "client_id": id, "client_secret": secret })).await
}

async fn ask_for(issuer: &Issuer, mut body: Value) -> Answer {
    body["audience"] = issuer.audience().into();
    body["grant_type"] = "client_credentials".into();
    Call::token("application/json", body.to_string()).send(issuer).await.unwrap()
}

async fn token_of(issuer: &Issuer, credentials: &NewCredentials) -> String {
    let answer = ask(issuer, credentials.client_id(), credentials.client_secret()).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

async fn get(issuer: &Issuer, path: &str, token: &str) -> Answer {
    Call::get(path).bearer(token).send(issuer).await.unwrap()
}

#[tokio::test]
async fn a_token_opens_what_was_ticked_and_no_more() {
    let issuer = Issuer::start().await.unwrap();
    let ticked = [Resource::Invoices, Resource::PurchaseOrders];
    let credentials = issuer.create_credentials("books", ticked).unwrap();
    let token = token_of(&issuer, &credentials).await;
    for resource in Resource::ALL {
        for path in [format!("/v2/{resource}"), format!("/v2/{resource}/1")] {
            let answer = get(&issuer, &path, &token).await;
            if ticked.contains(&resource) {
                assert!([200, 404].contains(&answer.status), "{path}");
            } else {
                let challenge = format!(r#"Bearer error="insufficient_scope", scope="{resource}""#);
                let seen = answer.header("www-authenticate");
                assert_eq!((answer.status, seen), (403, Some(challenge.as_str())), "{path}");
            }
        }
    }
    // Nor does asking for more bring more.
    let (id, secret) = (credentials.client_id(), credentials.client_secret());
    let wanted = |scope: &str| json!({ "client_id": id, "client_secret": secret, "scope": scope });
    let answer = ask_for(&issuer, wanted("invoices shipments")).await;
    assert_eq!(answer.error(), (400, "invalid_scope".to_owned()));
    let answer = ask_for(&issuer, wanted("invoices")).await;
    assert_eq!(answer.json()["scope"], "invoices");
    let less = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get(&issuer, "/v2/invoices", &less).await.status, 200);
    assert_eq!(get(&issuer, "/v2/purchase_orders", &less).await.status, 403);
}

#[tokio::test]
async fn every_resource_is_listed_and_shown_the_same_every_time() {
    let issuer = Issuer::start().await.unwrap();
    let (token, key) = (token(&issuer).await, issuer.create_api_key().unwrap());
    for resource in Resource::ALL {
        let list = get(&issuer, &format!("/v2/{resource}"), &token).await;
        let first = list.json()["data"]["data"][0].clone();
        let path = format!("/v2/{resource}/{}", first["id"]);
        assert_eq!(get(&issuer, &path, &token).await.json()["data"], first);
        assert_eq!(get(&issuer, &format!("/v2/{resource}"), &token).await.body, list.body);
        let old = get(&issuer, &format!("/v1/{resource}"), &key).await;
        assert_eq!(old.json()[resource.name()][0], first);
        let path = format!("/v1/{resource}/{}", first["id"]);
        assert_eq!(get(&issuer, &path, &key).await.json(), first);
        for missing in ["0", "x", "18446744073709551616"] {
            let path = format!("/v2/{resource}/{missing}");
            assert_eq!(get(&issuer, &path, &token).await.status, 404);
        }
    }
}

#[tokio::test]
async fn v1_takes_keys_only_and_v2_takes_both() {
    let issuer = Issuer::start().await.unwrap();
    let key = issuer.create_api_key().unwrap();
    assert!(issuer.create_api_key().unwrap_err().is_conflict());
    let token = token(&issuer).await;
    let quoted = |key: &str| {
        Call::get("/v1/shipments").header("Authorization", &format!("Token token=\"{key}\""))
    };
    assert_eq!(quoted(&key).send(&issuer).await.unwrap().status, 200);
    assert_eq!(get(&issuer, "/v1/shipments", &key).await.status, 200);
    assert_eq!(get(&issuer, "/v2/shipments", &key).await.status, 200);
    assert_eq!(get(&issuer, "/v2/shipments", &token).await.status, 200);

    for answer in [
        get(&issuer, "/v1/shipments", &token).await,
        get(&issuer, "/v1/shipments", "wrong").await,
        quoted("wrong").send(&issuer).await.unwrap(),
        Call::get("/v1/shipments").send(&issuer).await.unwrap(),
        Call::get("/v1/shipments").bearer(&key).bearer(&key).send(&issuer).await.unwrap(),
    ] {
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json(), json!({ "errors": [{ "code": "bad_token" }] }));
    }
    // A token is no key.
    let call = Call::get("/v2/shipments").header("Authorization", &format!("Token token={token}"));
    assert_eq!(call.send(&issuer).await.unwrap().status, 401);
}

#[tokio::test]
async fn a_key_that_was_reverted_is_a_bad_token_from_then_on() {
    let clock = ManualClock::new();
    let issuer = Issuer::builder().clock(clock.clone()).start().await.unwrap();
    assert!(issuer.revert_api_key().unwrap_err().is_unknown());
    let old = issuer.create_api_key().unwrap();
    clock.advance(Duration::from_secs(100 * 365 * 86_400));
    assert_eq!(get(&issuer, "/v1/invoices", &old).await.status, 200);
    let new = issuer.revert_api_key().unwrap();
    let refused = get(&issuer, "/v1/invoices", &old).await;
    assert_eq!(refused.json()["errors"][0]["code"], "bad_token");
    let refused = get(&issuer, "/v2/invoices", &old).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (401, &json!("bad_token")));
    assert_eq!(refused.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
    assert_eq!(get(&issuer, "/v1/invoices", &new).await.status, 200);
}

#[tokio::test]
async fn a_disabled_credential_gets_and_opens_nothing_until_it_is_enabled() {
    let issuer = Issuer::start().await.unwrap();
    let credentials = issuer.create_credentials("app", Resource::ALL).unwrap();
    let (id, secret) = (credentials.client_id(), credentials.client_secret());
    let token = token_of(&issuer, &credentials).await;
    issuer.set_enabled(id, false).unwrap();
    let refused = ask(&issuer, id, secret).await;
    assert_eq!(refused.error(), (400, "unauthorized_client".to_owned()));
    // Whoever does not know the secret does not learn that either.
    assert_eq!(ask(&issuer, id, "wrong").await.error(), (401, "invalid_client".to_owned()));
    assert_eq!(shipments(&issuer, &token).await, 401);
    assert!(!issuer.is_valid(&token));
    issuer.set_enabled(id, true).unwrap();
    assert_eq!(shipments(&issuer, &token).await, 200);

    issuer.delete_credentials(id).unwrap();
    assert_eq!(shipments(&issuer, &token).await, 401);
    assert_eq!(ask(&issuer, id, secret).await.error(), (401, "invalid_client".to_owned()));
    for error in [
        issuer.delete_credentials(id).unwrap_err(),
        issuer.set_enabled(id, true).unwrap_err(),
        issuer.rotate_secret(id).map(drop).unwrap_err(),
    ] {
        assert!(error.is_unknown());
    }
}

#[tokio::test]
async fn a_rotated_secret_leaves_the_tokens_alone() {
    let issuer = Issuer::start().await.unwrap();
    let credentials = issuer.create_credentials("app", Resource::ALL).unwrap();
    let token = token_of(&issuer, &credentials).await;
    let id = credentials.client_id();
    let secret = issuer.rotate_secret(id).unwrap();
    assert_eq!(ask(&issuer, id, credentials.client_secret()).await.status, 401);
    assert_eq!(ask(&issuer, id, &secret).await.status, 200);
    assert_eq!(shipments(&issuer, &token).await, 200);
}

#[tokio::test]
async fn names_are_checked() {
    let issuer = Issuer::start().await.unwrap();
    issuer.create_credentials("  app ", []).unwrap();
    issuer.create_credentials("Night\u{a0} export", []).unwrap();
    let kept: Vec<_> = issuer.credentials().into_iter().map(|known| known.name).collect();
    assert_eq!(kept[1..], ["app", "Night export"]);
    for name in ["app", "app\u{fe0f}", "a\u{200d}pp", "Night export", "Night  export"] {
        assert!(issuer.create_credentials(name, []).unwrap_err().is_conflict(), "{name:?}");
    }
    for name in ["✈\u{fe0f} Export", "👩\u{200d}💻 dev", "گزارش\u{200c}ها"] {
        issuer.create_credentials(name, []).unwrap();
    }
    let long = "x".repeat(101);
    for name in [
        "",
        "  ",
        "a\nb",
        "a\u{0}",
        "a\u{202e}b",
        "app\u{200b}",
        "app\u{feff}",
        "a\u{2028}b",
        "a\u{61c}b",
        "\u{ad}",
        "\u{2060}",
        "\u{3164}",
        "ap\u{e0041}p",
        "\u{fe0f}app",
        &long,
    ] {
        assert!(issuer.create_credentials(name, []).unwrap_err().is_name(), "{name:?}");
    }
    issuer.create_credentials(&"é".repeat(100), []).unwrap();
}

#[tokio::test]
async fn nobody_is_registered_without_an_id() {
    let error = Issuer::builder().client("", "x").start().await.unwrap_err();
    assert_eq!(error.to_string(), "the client \"\" could not be registered");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "a client's id must not be empty");
}

#[tokio::test]
async fn what_a_credential_asked_for_is_told_with_its_cause() {
    let clock = ManualClock::new();
    let issuer = Issuer::builder().clock(clock.clone()).start().await.unwrap();
    let credentials = issuer.create_credentials("app", Resource::ALL).unwrap();
    let token = token_of(&issuer, &credentials).await;
    token_of(&issuer, &credentials).await;
    assert!(issuer.revoke(&token));
    issuer.revoke_all();
    token_of(&issuer, &credentials).await;
    clock.advance(Duration::from_secs(80_000));
    token_of(&issuer, &credentials).await;
    clock.advance(Duration::from_secs(90_000));
    token_of(&issuer, &credentials).await;
    ask(&issuer, credentials.client_id(), "wrong").await;
    // Anybody's: it is malformed before anybody is asked who it is.
    let body = format!("client_id={}&client_id=x", credentials.client_id());
    Call::token("application/x-www-form-urlencoded", body).send(&issuer).await.unwrap();

    let all = issuer.credentials();
    assert_eq!(all.len(), 2);
    let seen: Vec<_> =
        all[1].requests.iter().rev().map(|past| (past.cause, past.outcome.unwrap())).collect();
    assert_eq!(
        seen,
        [
            (Cause::Start, Outcome::Issued),
            (Cause::Fresh, Outcome::Issued),
            (Cause::Revoked, Outcome::Issued),
            (Cause::Expiring, Outcome::Issued),
            (Cause::Expired, Outcome::Issued),
            (Cause::Unknown, Outcome::InvalidClient),
            (Cause::Unknown, Outcome::BadRequest),
        ]
    );
    assert_eq!((issuer.spent(), all[1].spent), (7, 7));
    issuer.assert_spent_at_most(7);
}

#[tokio::test]
#[should_panic(expected = "2 token requests were spent, not at most 1:\nwasteful")]
async fn an_application_that_wastes_tokens_is_told_what_it_asked_for() {
    let issuer = Issuer::builder().client("wasteful", "x").start().await.unwrap();
    token(&issuer).await;
    token(&issuer).await;
    issuer.assert_spent_at_most(1);
}

#[tokio::test]
#[should_panic(expected = "deleted since: 2 spent")]
async fn what_deleted_credentials_have_spent_is_not_forgotten() {
    let issuer = Issuer::builder().client("app", "x").start().await.unwrap();
    token(&issuer).await;
    token(&issuer).await;
    issuer.delete_credentials("app").unwrap();
    assert_eq!(issuer.spent(), 2);
    issuer.assert_spent_at_most(1);
}

#[tokio::test]
async fn a_directory_keeps_everything_over_restarts_and_no_secret() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("state");
    let start = || Issuer::builder().directory(&directory).quota(3).start();
    let issuer = start().await.unwrap();
    let (first, address) = (issuer.client_id().to_owned(), issuer.address());
    let secret = issuer.client_secret().to_owned();
    let credentials = issuer.create_credentials("app", [Resource::Invoices]).unwrap();
    let gone = issuer.create_credentials("gone", []).unwrap();
    issuer.delete_credentials(gone.client_id()).unwrap();
    let key = issuer.create_api_key().unwrap();
    let old = token_of(&issuer, &credentials).await;
    ask(&issuer, credentials.client_id(), "wrong").await;
    let revoked = token(&issuer).await;
    assert!(issuer.revoke(&revoked));
    issuer.rotate_keys().await.unwrap();
    let rotated = token(&issuer).await;
    assert!(start().await.is_err(), "two issuers have one directory");
    issuer.shutdown().await.unwrap();

    for file in std::fs::read_dir(&directory).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for canary in [&*secret, credentials.client_secret(), &key] {
            assert!(!text.contains(canary));
        }
    }

    let issuer =
        Issuer::builder().directory(&directory).quota(3).bind(address).start().await.unwrap();
    // The tokens of yesterday are what they were, whichever key has signed them, and those of today are others.
    assert_eq!(get(&issuer, "/v2/invoices", &old).await.status, 200);
    assert_eq!(shipments(&issuer, &rotated).await, 200);
    assert_eq!(shipments(&issuer, &revoked).await, 401);
    assert_eq!((issuer.client_id(), issuer.client_secret()), (first.as_str(), ""));
    let all = issuer.credentials();
    let names: Vec<&str> = all.iter().map(|known| known.name.as_str()).collect();
    assert_eq!(names, [first.as_str(), "app"]);
    assert_eq!(all[1].resources, [Resource::Invoices]);
    let outcomes: Vec<_> = all[1].requests.iter().map(|past| past.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::InvalidClient), Some(Outcome::Issued)]);
    assert_eq!(issuer.spent(), 4);
    assert_eq!(get(&issuer, "/v1/invoices", &key).await.status, 200);
    assert_eq!(ask(&issuer, &first, &secret).await.status, 200);
    token_of(&issuer, &credentials).await;
    let refused = ask(&issuer, credentials.client_id(), credentials.client_secret()).await;
    assert_eq!(refused.error(), (429, "too_many_requests".to_owned()));
}

#[tokio::test]
async fn a_storm_of_refused_requests_spends_little_and_is_found_out_all_the_same() {
    let issuer = Issuer::builder().quota(1).start().await.unwrap();
    for _ in 0..20 {
        Call::good_token(&issuer).send(&issuer).await.unwrap();
    }
    issuer.assert_spent_at_most(1);
    issuer.assert_requests_at_most(20);
    let check = std::panic::AssertUnwindSafe(|| issuer.assert_requests_at_most(19));
    let message = std::panic::catch_unwind(check).unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.starts_with("20 token requests arrived, not at most 19: "), "{message}");
    for part in ["over_quota: 19", issuer.client_id(), "over quota, free"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}
