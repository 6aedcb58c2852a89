//! The secret and the token are shown nowhere.

use std::sync::{Arc, Mutex};

use auth_core::{Authenticator, ClientAuth, MemoryStore, Store};

use crate::log::Log;
use crate::support::*;

/// A JWT by its looks: one that this process has never seen cannot be known otherwise.
const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.canary-token-0815";

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}");
    if let Some(source) = error.source() {
        text.push_str(&chain(source));
    }
    text
}

// torture: E43
#[tokio::test(start_paused = true)]
async fn no_secret_and_no_token_in_logs_errors_or_debug() {
    let log = Log::listen();
    let echo =
        format!(r#"{{"error":"{SECRET}","error_description":"{SECRET} {TOKEN}\u001b[31m"}}"#);
    // Before the token is known it is a word like any other.
    let early = format!(r#"{{"error":"{SECRET}","error_description":"{SECRET}\u001b[31m"}}"#);
    let token = format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":600}}"#);
    let unusable = format!(r#"{{"access_token":"{TOKEN}","token_type":"{TOKEN}"}}"#);
    let mut shown = String::new();
    for auth in [ClientAuth::Post, ClientAuth::PostJson, ClientAuth::Basic, ClientAuth::BasicRaw] {
        let issuer = Issuer::new([
            Step::Answer(answer(400, "application/json", &early)),
            Step::Answer(answer(200, "application/json", &unusable)),
            Step::Answer(answer(200, "application/json", &token)),
            Step::Answer(answer(503, "text/html", &echo)),
        ]);
        let clock = SharedClock::new();
        let credentials = credentials().client_auth(auth).parameter("extra", SECRET);
        shown.push_str(&format!("{credentials:?}"));
        let builder =
            Authenticator::builder(credentials).clock(clock.clone()).transport(issuer.clone());
        let builder = builder.store(Store::new(MemoryStore::new()));
        shown.push_str(&format!("{builder:?}"));
        let auth = builder.build().unwrap();
        for _ in 0..2 {
            let error = auth.authorization().await.unwrap_err();
            shown.push_str(&chain(&error));
            tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
        }
        let authorization = auth.authorization().await.unwrap();
        let error = auth.replacement(authorization.generation()).await.unwrap_err();
        shown.push_str(&chain(&error));
        shown.push_str(&format!("{auth:?} {authorization:?} {:?}", authorization.header()));
        let status = auth.status().await;
        shown.push_str(&format!("{status} {status:?}"));
        assert_eq!(issuer.requests(), 4);
    }
    let log = log.text();
    assert!(
        log.contains("a token is in use") && log.contains("no token"),
        "the log was heard: {log}"
    );
    for text in [&shown, &log] {
        assert!(
            !text.contains("canary-") && !text.contains(TOKEN) && !text.contains("\u{1b}[31m"),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_record_holds_no_token_in_the_clear() {
    let issuer = Issuer::new([]);
    let store = Recording::default();
    let (builder, _) = builder(&issuer);
    let auth = builder.store(Store::new(store.clone())).build().unwrap();
    auth.authorization().await.unwrap();
    let records = store.0.lock().unwrap();
    assert_eq!(records.len(), 2);
    for record in &*records {
        assert!(!record.contains("token-1") && !record.contains(SECRET), "{record}");
    }
    assert!(records[1].contains("sealed"));
}

#[derive(Clone, Default, Debug)]
struct Recording(Arc<Mutex<Vec<String>>>, Arc<MemoryStore>);

impl auth_core::VersionedCell for Recording {
    fn read<'a>(
        &'a self,
        key: &'a auth_core::LedgerKey,
    ) -> auth_core::BoxFuture<'a, Result<Option<auth_core::Stored>, auth_core::StoreError>> {
        self.1.read(key)
    }

    fn write<'a>(
        &'a self,
        key: &'a auth_core::LedgerKey,
        expected: Option<auth_core::Version>,
        record: Vec<u8>,
    ) -> auth_core::BoxFuture<'a, Result<auth_core::Written, auth_core::StoreError>> {
        self.0.lock().unwrap().push(String::from_utf8(record.clone()).unwrap());
        self.1.write(key, expected, record)
    }

    fn is_durable(&self) -> bool {
        false
    }
}

/// Everything secret in a request: the client's own secret, its assertion, its proof, its Basic pair.
fn secrets(request: &http::Request<bytes::Bytes>) -> Vec<String> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
    let basic = header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let body = std::str::from_utf8(request.body()).unwrap();
    let fields = body.split('&').filter_map(|pair| pair.split_once('='));
    let assertion = fields.filter(|(name, _)| *name == "client_assertion").map(|(_, value)| value);
    let all = basic.into_iter().chain(header("dpop")).chain(assertion).chain([SECRET]);
    // A part of a signature is as secret as the whole of it.
    let all = all.chain(["canary-parameter-815"]);
    all.flat_map(|text| text.split('.')).map(str::to_owned).collect()
}

// torture: E43, E44
#[tokio::test(start_paused = true)]
async fn an_issuer_that_repeats_the_request_gets_none_of_its_secrets_into_an_error_or_the_store() {
    let key = || auth_core::SigningKey::generate_es256();
    let with_key = || {
        auth_core::ClientCredentials::with_key("client", key())
            .token_endpoint("https://issuer.example/oauth/token")
            .audience("https://api.example")
    };
    let clients = [
        credentials().parameter("api_key", "canary-parameter-815"),
        credentials().client_auth(ClientAuth::Basic),
        credentials().client_auth(ClientAuth::SecretJwt).issuer("https://issuer.example"),
        with_key().issuer("https://issuer.example"),
        credentials().client_auth(ClientAuth::Basic).dpop(key()),
    ];
    for client in clients {
        let log = Log::listen();
        let issuer = Issuer::new([Step::Echo]);
        let store = Recording::default();
        let shown = format!("{client:?}");
        let auth = Authenticator::builder(client)
            .store(Store::new(store.clone()))
            .transport(issuer.clone())
            .clock(SharedClock::new())
            .build()
            .unwrap();
        let error = auth.authorization().await.unwrap_err();
        assert!(error.is_rejected(), "{error}");
        let text = error.to_string();
        assert!(text.contains("[redacted]"), "it was repeated: {text}");
        assert!(!text.chars().any(char::is_control) && text.len() < 1000, "{text:?}");
        let status = auth.status().await;
        let written = store.0.lock().unwrap().join("\n");
        assert!(written.contains("[redacted]"), "the hold has its words: {written}");
        let log = log.text();
        assert!(log.contains("no token"), "the log was heard: {log}");
        let shown =
            format!("{shown} {} {status} {status:?} {auth:?} {written} {log}", chain(&error));
        let sent = issuer.sent().pop().unwrap();
        for secret in secrets(&sent).iter().filter(|secret| secret.len() > 8) {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
