//! Secrets are in no log and in no `Debug`.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use auth_issuer::{Issuer, Resource};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::http::{Call, token};

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

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
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

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
    issuer.shutdown().await;

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
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
