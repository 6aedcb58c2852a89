//! The secret and the token are shown nowhere.

use std::io;
use std::sync::{Arc, Mutex};

use auth_core::{Authenticator, ClientAuth, MemoryStore, Store};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::*;

const TOKEN: &str = "canary-token-0815";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

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
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    // For the whole process: what the other tests log is searched as well.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let echo =
        format!(r#"{{"error":"{SECRET}","error_description":"{SECRET} {TOKEN}\u001b[31m"}}"#);
    let token = format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":600}}"#);
    let unusable = format!(r#"{{"access_token":"{TOKEN}","token_type":"{TOKEN}"}}"#);
    let mut shown = String::new();
    for auth in [ClientAuth::Post, ClientAuth::PostJson, ClientAuth::Basic, ClientAuth::BasicRaw] {
        let issuer = Issuer::new([
            Step::Answer(answer(400, "application/json", &echo)),
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
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("a token is in use") && log.contains("no token"),
        "the log was heard: {log}"
    );
    for text in [&shown, &log] {
        assert!(
            !text.contains(SECRET) && !text.contains(TOKEN) && !text.contains("\u{1b}[31m"),
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
