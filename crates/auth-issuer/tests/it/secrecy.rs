//! Secrets are in no log and in no `Debug`.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use auth_issuer::{Issuer, Resource};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::http::{Call, token};

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes everything down that this thread logs while the guard lives.
    fn listen(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(self.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

// torture: E43, E44
#[tokio::test]
async fn no_secret_is_logged_or_shown_whatever_comes() {
    let log = Log::default();
    let _guard = log.listen();

    let builder = Issuer::builder().client("app", "canary-of-the-builder");
    let mut shown = format!("{builder:?}");
    let issuer = builder.start().await.unwrap();
    let key = issuer.create_api_key().unwrap();
    let reverted = issuer.revert_api_key().unwrap();
    let credentials = issuer.create_credentials("reports", Resource::ALL).unwrap();
    let rotated = issuer.rotate_secret(credentials.client_id()).unwrap();
    let access_token = token(&issuer).await;
    shown.push_str(&format!("{issuer:?} {credentials:?} {:?}", issuer.credentials()));

    let hostile = "canary-hostile\u{1b}[2J\"'\\";
    for body in [
        json!({ "client_id": hostile, "client_secret": hostile }),
        json!({ "client_id": "app", "client_secret": "canary-wrong", "grant_type": hostile }),
        json!({ "client_id": "app", "client_assertion": "canary.wrong.x", "token": hostile }),
        json!({ "client_id": credentials.client_id(), "client_secret": rotated,
            "audience": hostile, "scope": hostile, "grant_type": "client_credentials" }),
    ] {
        for path in ["/oauth/token", "/oauth/revoke"] {
            let call = Call::post(path).header("Content-Type", "application/json");
            let answer = call.body(body.to_string()).send(&issuer).await.unwrap();
            assert!(answer.status >= 400);
            let text = String::from_utf8(answer.body).unwrap();
            assert!(!text.contains("canary") && !text.contains('\u{1b}'), "{text}");
        }
    }
    for bearer in [&access_token, &key, &reverted, &rotated, "canary-bearer"] {
        for path in ["/v1/shipments", "/v2/shipments", "/admin/credentials"] {
            let answer = Call::get(path).bearer(bearer).send(&issuer).await.unwrap();
            assert!(!String::from_utf8(answer.body).unwrap().contains(bearer));
        }
    }
    Call::get("/admin/credentials").bearer(issuer.admin_token()).send(&issuer).await.unwrap();
    let entrance = issuer.settings_url();
    Call::get(entrance.strip_prefix(issuer.url()).unwrap()).send(&issuer).await.unwrap();
    shown.push_str(&format!("{:?} {:?}", issuer.last_token_request(), issuer.counters()));
    let admin_token = issuer.admin_token().to_owned();
    issuer.shutdown().await.unwrap();

    let logged = log.text();
    assert!(logged.contains("token request refused"), "nothing was logged");
    let secrets = [
        "canary-of-the-builder",
        "canary-wrong",
        "canary.wrong",
        "canary-bearer",
        credentials.client_secret(),
        &rotated,
        &key,
        &reverted,
        &access_token,
        &admin_token,
    ];
    for secret in secrets {
        assert!(!logged.contains(secret), "logged: {secret}");
        assert!(!shown.contains(secret), "shown: {secret}");
    }
    // What is logged of a request is escaped.
    assert!(!logged.contains('\u{1b}'));
}

/// Requests with a secret in every place that can have one, right or wrong: each is another canary.
fn canaries(issuer: &Issuer) -> Vec<(&'static str, Call)> {
    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";
    let host = issuer.address().to_string();
    let page = |method: &str, path: &str| {
        Call::to(method, path, &host).header("Origin", issuer.url()).header("Content-Type", FORM)
    };
    let ask = |body: serde_json::Value| Call::token(JSON, body.to_string());
    let basic = format!("Basic {}", STANDARD.encode("app:canary-02-"));
    let swapped = format!("Basic {}", STANDARD.encode("canary-20-:app"));
    vec![
        ("canary-00-", ask(json!({ "client_id": "app", "client_secret": "canary-00-" }))),
        ("canary-01-", Call::token(FORM, "client_id=app&client_secret=canary-01-")),
        ("canary-02-", Call::token(FORM, "").header("Authorization", &basic)),
        ("canary-03-", Call::token(FORM, json!({ "client_secret": "canary-03-" }).to_string())),
        ("canary-04-", ask(json!({ "client_id": "app", "client_assertion": "canary-04-.a.b" }))),
        ("canary-05-", ask(json!({ "client_id": "app" })).header("DPoP", "canary-05-")),
        ("canary-06-", ask(json!({ "client_id": "app", "password": "canary-06-" }))),
        ("canary-07-", Call::token("text/plain", "client_secret=canary-07-")),
        ("canary-08-", Call::token(JSON, r#"{"client_secret":"canary-08-""#)),
        (
            "canary-09-",
            Call::post("/oauth/revoke").header("Content-Type", FORM).body("token=canary-09-"),
        ),
        ("canary-10-", Call::get("/v1/shipments").bearer("canary-10-")),
        ("canary-11-", Call::get("/v2/shipments").bearer("canary-11-")),
        (
            "canary-12-",
            Call::get("/v1/shipments").header("Authorization", "Token token=\"canary-12-\""),
        ),
        ("canary-13-", Call::get("/v2/shipments").header("Authorization", "DPoP canary-13-")),
        ("canary-14-", Call::to("GET", "/admin/credentials", &host).bearer("canary-14-")),
        ("canary-15-", page("GET", "/settings/api").header("Cookie", "issuer_admin=canary-15-")),
        ("canary-16-", page("GET", "/settings/api/enter?token=canary-16-")),
        ("canary-17-", page("POST", "/settings/api/key").body("csrf=canary-17-")),
        ("canary-18-", Call::get("/oauth/token?client_secret=canary-18-")),
        // Whoever confuses the two sends the secret as the id.
        ("canary-19-", ask(json!({ "client_id": "canary-19-", "client_secret": "app" }))),
        ("canary-20-", Call::token(FORM, "").header("Authorization", &swapped)),
        (
            "canary-21-",
            Call::post("/oauth/revoke").header("Content-Type", FORM).body("client_id=canary-21-"),
        ),
        (
            "canary-22-",
            ask(json!({ "client_id": "canary-22-", "client_assertion": "a.b.c",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" })),
        ),
    ]
}

// torture: E43, E44
#[tokio::test]
async fn what_is_sent_in_secret_comes_back_nowhere() {
    let log = Log::default();
    let _guard = log.listen();
    let scratch = tempfile::tempdir().unwrap();
    let builder = Issuer::builder().directory(scratch.path()).client("app", "secret-of-the-app");
    let issuer = builder.unlimited_quota().start().await.unwrap();
    let access_token = token(&issuer).await;
    let mut shown = String::new();
    for (canary, call) in canaries(&issuer) {
        let answer = call.send(&issuer).await.unwrap();
        assert!(answer.status >= 400, "{canary}: {}", answer.status);
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        shown.push_str(&format!("{answer:?} {body} {:?}", issuer.last_token_request()));
    }
    shown.push_str(&format!("{issuer:?} {:?}", issuer.credentials()));
    // As it is while the issuer runs, and what is left of it.
    let mut places = vec![("shown", shown), ("written", files(scratch.path()))];
    let run_secrets = [
        issuer.admin_token().to_owned(),
        issuer.settings_url().split_once("token=").unwrap().1.to_owned(),
    ];
    issuer.shutdown().await.unwrap();
    places.extend([("left", files(scratch.path())), ("logged", log.text())]);
    let canaries = (0..23).map(|number| format!("canary-{number:02}-"));
    let secrets = canaries.chain(run_secrets).chain([access_token, "secret-of-the-app".to_owned()]);
    for secret in secrets {
        for (place, text) in &places {
            assert!(!text.contains(&secret), "{place}: {secret}");
        }
    }
}

/// All that is written in a directory.
fn files(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).unwrap();
    let read = |entry: io::Result<std::fs::DirEntry>| std::fs::read(entry.unwrap().path()).unwrap();
    entries.map(|entry| String::from_utf8_lossy(&read(entry)).into_owned()).collect()
}
