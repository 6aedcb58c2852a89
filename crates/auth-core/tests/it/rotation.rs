//! A secret that is rotated is picked up without a restart, and one that is refused is not sent twice.

use std::time::Duration;

use auth_core::{Authenticator, ClientCredentials, MemoryStore, SecretSource, Store};

use crate::support::*;

struct Rotating {
    auth: Authenticator,
    issuer: Issuer,
    directory: tempfile::TempDir,
}

impl Rotating {
    fn new(script: impl IntoIterator<Item = Step>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), "the-first-secret\n").unwrap();
        let issuer = Issuer::new(script);
        let source = SecretSource::file(directory.path().join("secret"));
        let auth = builder_for(&issuer, credentials_of(source)).0.build().unwrap();
        Self { auth, issuer, directory }
    }

    /// Atomically, as Kubernetes and careful people do it.
    fn rotate(&self, secret: &str) {
        let next = self.directory.path().join("next");
        std::fs::write(&next, secret).unwrap();
        std::fs::rename(next, self.directory.path().join("secret")).unwrap();
    }

    fn sent(&self) -> Vec<String> {
        let body = |sent: &http::Request<bytes::Bytes>| String::from_utf8(sent.body().to_vec());
        let secret = |body: String| {
            let (_, rest) = body.split_once("client_secret=").unwrap();
            rest.split('&').next().unwrap().to_owned()
        };
        self.issuer.sent().iter().map(|sent| secret(body(sent).unwrap())).collect()
    }

    async fn spent(&self) -> u32 {
        self.auth.status().await.windows[0].spent
    }
}

// torture: C22
#[tokio::test(start_paused = true)]
async fn a_file_that_changed_is_read_before_the_next_token_request_and_the_old_token_is_not_reused()
{
    let rotating = Rotating::new([]);
    let first = rotating.auth.authorization().await.unwrap();
    rotating.rotate("the-second-secret");
    tokio::time::advance(DAY).await;
    let second = rotating.auth.authorization().await.unwrap();
    assert_ne!(text(&first), text(&second));
    assert_eq!(rotating.sent(), ["the-first-secret", "the-second-secret"]);
    // By hand, while the old token is still good: a new secret gets a token of its own.
    rotating.rotate("the-third-secret");
    let third = rotating.auth.renew().await.unwrap();
    assert_ne!(text(&second), text(&third));
    assert_eq!(rotating.sent().last().unwrap(), "the-third-secret");
}

// torture: B16
#[tokio::test(start_paused = true)]
async fn a_refused_secret_is_read_again_once_and_one_that_changed_is_a_new_attempt() {
    // The file changes while the request is under way: only the look after the refusal can see it.
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let rotating = Rotating::new([Step::Gate(gate.clone()), refusal(401, "invalid_client")]);
    let waiting = caller(&rotating.auth);
    rotating.issuer.arrivals(1).await;
    rotating.rotate("the-second-secret");
    gate.notify_one();
    waiting.await.unwrap().unwrap();
    assert_eq!(rotating.sent(), ["the-first-secret", "the-second-secret"]);
    assert_eq!(rotating.spent().await, 2);
}

// torture: B16
#[tokio::test(start_paused = true)]
async fn a_refused_secret_that_did_not_change_is_held_and_a_rotated_one_is_not() {
    let rotating = Rotating::new([refusal(401, "invalid_client")]);
    let error = rotating.auth.authorization().await.unwrap_err();
    assert!(error.is_invalid_client(), "{error}");
    for _ in 0..20 {
        tokio::time::advance(HOUR).await;
        assert!(rotating.auth.authorization().await.unwrap_err().is_invalid_client());
    }
    assert_eq!((rotating.issuer.requests(), rotating.spent().await), (1, 1));
    rotating.rotate("the-second-secret");
    tokio::time::advance(Duration::from_secs(2)).await;
    rotating.auth.authorization().await.unwrap();
    assert_eq!(rotating.sent(), ["the-first-secret", "the-second-secret"]);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_that_is_refused_too_costs_one_attempt_and_no_more() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let rotating = Rotating::new([
        Step::Gate(gate.clone()),
        refusal(401, "invalid_client"),
        refusal(401, "invalid_client"),
    ]);
    let waiting = caller(&rotating.auth);
    rotating.issuer.arrivals(1).await;
    rotating.rotate("the-second-secret");
    gate.notify_one();
    assert!(waiting.await.unwrap().unwrap_err().is_invalid_client());
    assert_eq!(rotating.issuer.requests(), 2);
    tokio::time::advance(HOUR).await;
    assert!(rotating.auth.authorization().await.unwrap_err().is_invalid_client());
    assert_eq!(rotating.issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_or_empty_leaves_the_secret_at_hand_in_use() {
    let rotating = Rotating::new([]);
    rotating.auth.authorization().await.unwrap();
    for broken in ["", " ", "${SECRET}"] {
        rotating.rotate(broken);
        rotating.auth.renew().await.unwrap();
    }
    std::fs::remove_file(rotating.directory.path().join("secret")).unwrap();
    rotating.auth.renew().await.unwrap();
    assert_eq!(rotating.sent(), ["the-first-secret"; 5]);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_command_is_run_again_only_when_its_secret_is_refused_and_not_often() {
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    // Prints the same secret each time, and writes down that it ran.
    let script = format!("echo run >> {0}; echo the-commands-secret", runs.display());
    let issuer = Issuer::new([refusal(401, "invalid_client")]);
    let source = SecretSource::command("sh", ["-c", &script]);
    let auth = builder_for(&issuer, credentials_of(source)).0.build().unwrap();
    let ran = || std::fs::read_to_string(&runs).unwrap().lines().count();
    assert_eq!(ran(), 1);
    auth.authorization().await.unwrap_err();
    assert_eq!(ran(), 2, "once at the refusal");
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(5)).await;
        auth.authorization().await.unwrap_err();
    }
    assert_eq!(ran(), 3, "once in a minute while it is held");
    assert_eq!(issuer.requests(), 1);
}

#[test]
fn a_source_that_has_nothing_is_an_error_when_it_is_built() {
    let build = |source: SecretSource| {
        builder_for(&Issuer::new([]), credentials_of(source)).0.build().unwrap_err()
    };
    for source in [
        SecretSource::env("AUTH_CORE_NO_SUCH_VARIABLE"),
        SecretSource::file("/no/such/file"),
        SecretSource::command("/no/such/program", ["a"]),
    ] {
        let named = format!("{source:?}").rsplit(' ').next().unwrap().to_owned();
        let error = build(source);
        assert_eq!(error.field(), "client_secret");
        assert!(error.to_string().contains(&named), "{error}");
    }
}

// torture: B16
#[tokio::test(start_paused = true)]
async fn a_source_that_has_another_secret_at_every_look_does_not_burn_the_budget() {
    let refusals = (0..50).map(|_| refusal(401, "invalid_client"));
    let rotating = Rotating::new(refusals);
    for minute in 0..24 * 60 {
        rotating.rotate(&format!("the-secret-of-minute-{minute}"));
        assert!(rotating.auth.authorization().await.unwrap_err().is_invalid_client());
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    let spent = rotating.spent().await;
    assert!((2..=7).contains(&spent), "{spent} in a day");
    // The user's word counts at once.
    let asked = rotating.issuer.requests();
    rotating.rotate("the-next-secret");
    let _ = rotating.auth.renew().await;
    assert_eq!(rotating.issuer.requests(), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_read_again_at_a_401_of_another_name_as_well() {
    for body in [r#"{"error":"access_denied"}"#, ""] {
        let gate = std::sync::Arc::new(tokio::sync::Notify::new());
        let step = Step::Answer(answer(401, "application/json", body));
        let rotating = Rotating::new([Step::Gate(gate.clone()), step]);
        let waiting = caller(&rotating.auth);
        rotating.issuer.arrivals(1).await;
        rotating.rotate("the-second-secret");
        gate.notify_one();
        waiting.await.unwrap().unwrap();
        assert_eq!(rotating.sent(), ["the-first-secret", "the-second-secret"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_mended_is_not_held_for_a_day() {
    let store = Store::new(MemoryStore::new());
    let clock = SharedClock::new();
    let issuer = Issuer::new([refusal(401, "invalid_client"), refusal(401, "invalid_client")]);
    let build = |credentials: ClientCredentials| {
        Authenticator::builder(credentials)
            .store(store.clone())
            .transport(issuer.clone())
            .clock(clock.clone())
            .build()
            .unwrap()
    };
    let asserting = || {
        credentials().client_auth(auth_core::ClientAuth::SecretJwt).issuer("https://issuer.example")
    };
    assert!(build(asserting()).authorization().await.unwrap_err().is_invalid_client());
    assert!(build(asserting()).authorization().await.is_err(), "the same is held");
    assert_eq!(issuer.requests(), 1);
    let other = asserting().assertion_audience(auth_core::AssertionAudience::TokenEndpoint);
    assert!(build(other).authorization().await.unwrap_err().is_invalid_client());
    assert_eq!(issuer.requests(), 2, "another audience is another credential");

    // Another certificate does not show here, so it is tried at the pace.
    let issuer = Issuer::new([refusal(401, "invalid_client")]);
    let certificate = ClientCredentials::with_certificate("client")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example");
    let (builder, clock) = builder_for(&issuer, certificate);
    let auth = builder.build().unwrap();
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_invalid_client());
    let wait = clock.until(error.retry_at().unwrap());
    assert!(wait < HOUR, "{wait:?}");
    tokio::time::advance(wait).await;
    auth.authorization().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_signer_that_panics_costs_nothing() {
    struct Broken;
    impl auth_core::Signer for Broken {
        fn algorithm(&self) -> &str {
            "ES256"
        }
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, auth_core::SignError> {
            panic!("a planted panic")
        }
    }
    let issuer = Issuer::new([]);
    let credentials = ClientCredentials::with_key("client", Broken)
        .token_endpoint("https://issuer.example/oauth/token")
        .issuer("https://issuer.example")
        .audience("https://api.example");
    let auth = builder_for(&issuer, credentials).0.build().unwrap();
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_not_sent() && error.to_string().contains("signer"), "{error}");
    assert_eq!((issuer.requests(), auth.status().await.windows[0].spent), (0, 0));
}
