//! What a directory keeps from one run to the next, also when it cannot be written to for a while.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use auth_issuer::{
    Cause, Event, Issuer, IssuerBuilder, ManualClock, Outcome, Quota, Resource, SigningKey, Window,
};
use serde_json::json;
use tempfile::TempDir;

use crate::http::{Call, good, shipments, token};

fn kept_in(directory: &Path) -> IssuerBuilder {
    Issuer::builder().directory(directory).client("app", "secret")
}

/// Stops `issuer`, and starts the next one in its place.
async fn restart(issuer: Issuer, directory: &Path) -> Issuer {
    let address: SocketAddr = issuer.address();
    issuer.shutdown().await.unwrap();
    kept_in(directory).bind(address).start().await.unwrap()
}

/// What a process would leave behind that is killed at this moment.
fn killed(directory: &Path) -> TempDir {
    let left = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
    }
    left
}

#[tokio::test]
async fn revocations_of_several_threads_are_all_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..8 {
        tokens.push(token(&issuer).await);
    }
    std::thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(|| assert!(issuer.revoke(token)));
        }
    });
    let (left, address) = (killed(scratch.path()), issuer.address());
    issuer.shutdown().await.unwrap();
    let issuer = kept_in(left.path()).bind(address).start().await.unwrap();
    assert!(tokens.iter().all(|token| !issuer.is_valid(token)));
}

#[tokio::test]
async fn keys_that_cannot_be_written_down_are_no_success_and_are_kept_by_the_shutdown() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    let revoked = token(&issuer).await;
    // In the way of every snapshot.
    let obstacle = scratch.path().join("state.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    let body = json!({ "client_id": "app", "client_secret": "secret", "token": revoked });
    let call = Call::post("/oauth/revoke").header("Content-Type", "application/json");
    let answer = call.body(body.to_string()).send(&issuer).await.unwrap();
    assert_eq!(answer.status, 200, "it takes a line, and no snapshot");
    assert_eq!(shipments(&issuer, &revoked).await, 401);
    let error = issuer.rotate_keys().await.unwrap_err();
    assert_eq!(error.to_string(), "the keys could not be written down");
    assert!(issuer.retire_keys().is_err());
    std::fs::remove_dir(&obstacle).unwrap();
    let live = token(&issuer).await;
    let issuer = restart(issuer, scratch.path()).await;
    assert_eq!(shipments(&issuer, &revoked).await, 401);
    assert_eq!(shipments(&issuer, &live).await, 200, "the key that signed it was kept too");
}

#[tokio::test]
async fn a_revocation_holds_in_later_runs_whatever_audience_and_address_the_run_that_took_it_had() {
    let scratch = tempfile::tempdir().unwrap();
    let start =
        |audience, address| kept_in(scratch.path()).audience(audience).bind(address).start();
    let issuer = start("https://api.one", ([127, 0, 0, 1], 0).into()).await.unwrap();
    let (address, live) = (issuer.address(), token(&issuer).await);
    let (by_client, by_handle) = (token(&issuer).await, token(&issuer).await);
    issuer.shutdown().await.unwrap();

    let issuer = start("https://api.two", ([127, 0, 0, 1], 0).into()).await.unwrap();
    assert_eq!(shipments(&issuer, &live).await, 401, "it is for another audience");
    let body = json!({ "client_id": "app", "client_secret": "secret", "token": by_client });
    let call = Call::post("/oauth/revoke").header("Content-Type", "application/json");
    assert_eq!(call.body(body.to_string()).send(&issuer).await.unwrap().status, 200);
    assert!(issuer.revoke(&by_handle));
    issuer.shutdown().await.unwrap();

    let issuer = start("https://api.one", address).await.unwrap();
    assert_eq!(shipments(&issuer, &by_client).await, 401);
    assert_eq!(shipments(&issuer, &by_handle).await, 401);
    assert_eq!(shipments(&issuer, &live).await, 200);
}

#[tokio::test]
async fn a_shutdown_tells_that_it_could_not_keep_what_it_should_and_leaves_the_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    let obstacle = scratch.path().join("state.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    assert!(issuer.shutdown().await.is_err());
    std::fs::remove_dir(&obstacle).unwrap();
    kept_in(scratch.path()).start().await.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_or_has_keys_that_cannot_be_read_starts_no_issuer() {
    let scratch = tempfile::tempdir().unwrap();
    let obstacle = scratch.path().join("state.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    let error = kept_in(scratch.path()).start().await.unwrap_err();
    assert!(error.to_string().ends_with("cannot be used"), "{error}");
    std::fs::remove_dir(&obstacle).unwrap();
    kept_in(scratch.path()).start().await.unwrap().shutdown().await.unwrap();

    let snapshot = scratch.path().join("state.json");
    let state = std::fs::read_to_string(&snapshot).unwrap();
    std::fs::write(&snapshot, state.replacen(r#""pkcs8":""#, r#""pkcs8":"!"#, 1)).unwrap();
    let error = kept_in(scratch.path()).start().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().ends_with("cannot be used"), "{error}");
    assert_eq!(source, "the keys that were kept in it cannot be read");
}

#[tokio::test]
async fn a_token_of_deleted_credentials_opens_nothing_for_others_of_the_same_id() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    let stale = token(&issuer).await;
    issuer.delete_credentials("app").unwrap();
    assert_eq!(shipments(&issuer, &stale).await, 401);
    let issuer = restart(issuer, scratch.path()).await;
    assert_eq!(shipments(&issuer, &stale).await, 401);
    assert!(!issuer.is_valid(&stale));
    let fresh = token(&issuer).await;
    let issuer = restart(issuer, scratch.path()).await;
    assert_eq!(shipments(&issuer, &fresh).await, 200);
    assert_eq!(issuer.spent(), 2, "one of them by the deleted credentials");
}

#[tokio::test]
async fn units_that_were_spent_stay_spent_when_the_quota_changes_in_between() {
    let others = [
        Quota::unlimited(),
        Quota::unlimited().and(Window::rolling(10, Duration::from_secs(3600))),
        Quota::per_day(1),
        Quota::per_day(10).lag(Duration::from_secs(60)),
    ];
    for other in others {
        let scratch = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let start = |quota| kept_in(scratch.path()).clock(clock.clone()).quotas(quota).start();
        let issuer = start(Quota::per_day(10)).await.unwrap();
        for _ in 0..8 {
            token(&issuer).await;
        }
        issuer.shutdown().await.unwrap();
        clock.advance(Duration::from_secs(2 * 3600));
        let issuer = start(other.clone()).await.unwrap();
        let is_granted = Call::good_token(&issuer).send(&issuer).await.unwrap().status == 200;
        issuer.shutdown().await.unwrap();
        let issuer = start(Quota::per_day(10)).await.unwrap();
        let left = issuer.quota_left("app").unwrap()[0].left;
        assert_eq!(left, 2 - u32::from(is_granted), "after {other:?}");
    }
}

#[tokio::test]
async fn the_journal_is_read_by_a_stricter_rule_without_loss() {
    let scratch = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let start = |path, quota| kept_in(path).clock(clock.clone()).quotas(quota).start();
    let issuer = start(scratch.path(), Quota::per_day(10)).await.unwrap();
    for _ in 0..10 {
        token(&issuer).await;
        clock.advance(Duration::from_secs(300));
    }
    // A shutdown would leave a snapshot.
    let left = killed(scratch.path());
    let hourly = Quota::unlimited().and(Window::rolling(1, Duration::from_secs(3600)));
    let issuer = start(left.path(), hourly).await.unwrap();
    let over = Call::good_token(&issuer).send(&issuer).await.unwrap();
    // The last of them was 300 seconds ago.
    assert_eq!((over.status, over.header("retry-after")), (429, Some("3300")));
}

#[tokio::test]
async fn a_client_that_is_registered_again_gets_what_it_is_given_and_keeps_the_rest() {
    let scratch = tempfile::tempdir().unwrap();
    let start = |builder: IssuerBuilder| builder.directory(scratch.path()).start();
    let issuer = start(Issuer::builder().client_id("app")).await.unwrap();
    let secret = issuer.client_secret().to_owned();
    issuer.shutdown().await.unwrap();

    let given = Issuer::builder().client_for("app", "", [Resource::Shipments]);
    let issuer = start(given).await.unwrap();
    assert_eq!(issuer.credentials()[0].resources, [Resource::Shipments]);
    issuer.shutdown().await.unwrap();

    let issuer = start(Issuer::builder().client_id("app")).await.unwrap();
    assert_eq!(issuer.credentials()[0].resources, [Resource::Shipments]);
    assert_eq!(issuer.client_secret(), "", "it was told in the first run");
    let mut request = good(&issuer);
    request["client_secret"] = secret.into();
    let call = Call::token("application/json", request.to_string());
    assert_eq!(call.send(&issuer).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_key_stays_published_for_tokens_that_it_signed_after_the_last_save() {
    let scratch = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let issuer = kept_in(scratch.path()).clock(clock.clone()).start().await.unwrap();
    let live = token(&issuer).await;
    let (left, address) = (killed(scratch.path()), issuer.address());
    issuer.shutdown().await.unwrap();
    let next = kept_in(left.path()).clock(clock.clone()).bind(address);
    let issuer = next.lifetime(Duration::from_secs(60)).start().await.unwrap();
    issuer.rotate_keys().await.unwrap();
    clock.advance(Duration::from_secs(3600));
    issuer.rotate_keys().await.unwrap();
    let keys = Call::get("/.well-known/jwks.json").send(&issuer).await.unwrap().json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
    assert!(issuer.is_valid(&live));
}

#[tokio::test]
async fn a_clock_before_the_epoch_costs_no_state() {
    let scratch = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(UNIX_EPOCH - Duration::from_millis(5_500));
    let issuer = kept_in(scratch.path()).clock(clock.clone()).start().await.unwrap();
    assert_eq!(Call::good_token(&issuer).send(&issuer).await.unwrap().status, 200);
    issuer.happen(Event::ClockBehind(Duration::from_secs(100 * 365 * 86_400)));
    assert_eq!(Call::good_token(&issuer).send(&issuer).await.unwrap().status, 200);
    issuer.create_api_key().unwrap();
    issuer.shutdown().await.unwrap();
    let issuer = kept_in(scratch.path()).clock(clock).start().await.unwrap();
    assert_eq!(issuer.spent(), 2);
    let at = issuer.credentials()[0].requests[1].at;
    assert_eq!(at, UNIX_EPOCH - Duration::from_millis(5_500));
}

async fn published(issuer: &Issuer) -> Vec<String> {
    let keys = Call::get("/.well-known/jwks.json").send(issuer).await.unwrap().json();
    keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn no_token_of_a_later_run_shares_the_fate_of_one_that_was_revoked() {
    let scratch = tempfile::tempdir().unwrap();
    let mut issuer = kept_in(scratch.path()).start().await.unwrap();
    for _ in 0..3 {
        let revoked = token(&issuer).await;
        assert_eq!(shipments(&issuer, &revoked).await, 200);
        assert!(issuer.revoke(&revoked));
        issuer = restart(issuer, scratch.path()).await;
        assert_eq!(shipments(&issuer, &revoked).await, 401);
    }
}

#[tokio::test]
async fn a_rotation_after_a_restart_brings_a_key_that_there_was_not() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    issuer.rotate_keys().await.unwrap();
    let before = published(&issuer).await;
    let issuer = restart(issuer, scratch.path()).await;
    assert_eq!(published(&issuer).await, before);
    issuer.rotate_keys().await.unwrap();
    let after = published(&issuer).await;
    assert_eq!(after.len(), 3);
    assert_eq!(after.iter().filter(|kid| before.contains(kid)).count(), 2);
}

#[tokio::test]
async fn a_key_stays_published_for_its_tokens_over_runs_whose_own_live_shorter() {
    let scratch = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let start = |lifetime| {
        kept_in(scratch.path()).clock(clock.clone()).lifetime(Duration::from_secs(lifetime)).start()
    };
    let issuer = start(86_400).await.unwrap();
    token(&issuer).await;
    issuer.shutdown().await.unwrap();
    // In the second of these runs nothing but the file knows of the first token.
    for _ in 0..2 {
        start(60).await.unwrap().shutdown().await.unwrap();
    }
    let issuer = start(60).await.unwrap();
    issuer.rotate_keys().await.unwrap();
    clock.advance(Duration::from_secs(3600));
    assert_eq!(published(&issuer).await.len(), 2);
}

#[tokio::test]
async fn a_key_that_is_given_signs_from_then_on_and_the_kept_ones_stay() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    let (old, address) = (token(&issuer).await, issuer.address());
    let known = published(&issuer).await;
    issuer.shutdown().await.unwrap();
    let key = tokio::task::spawn_blocking(SigningKey::generate).await.unwrap().unwrap();
    let kid = key.kid().to_owned();
    let issuer = kept_in(scratch.path()).bind(address).signing_key(key).start().await.unwrap();
    assert_eq!(published(&issuer).await, [&[kid][..], &known].concat());
    assert_eq!(shipments(&issuer, &old).await, 200);
}

#[tokio::test]
async fn what_became_of_a_request_is_known_after_a_kill() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    token(&issuer).await;
    let left = killed(scratch.path());
    issuer.shutdown().await.unwrap();
    let issuer = kept_in(left.path()).start().await.unwrap();
    token(&issuer).await;
    let past = &issuer.credentials()[0].requests;
    assert_eq!(past[1].outcome, Some(Outcome::Issued));
    // The audience is another, since the port is.
    assert_eq!((past.len(), past[1].cause), (2, Cause::Start));
}

#[tokio::test]
async fn what_cannot_be_written_down_has_not_happened() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    let made = issuer.create_credentials("reports", [Resource::Shipments]).unwrap();
    let (id, key) = (made.client_id(), issuer.create_api_key().unwrap());
    let ask = async || {
        let mut body = good(&issuer);
        (body["client_id"], body["client_secret"]) = (id.into(), made.client_secret().into());
        Call::token("application/json", body.to_string()).send(&issuer).await.unwrap().status
    };
    assert_eq!(ask().await, 200);
    // In the way of every snapshot.
    let obstacle = scratch.path().join("state.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    assert!(issuer.create_credentials("others", [Resource::Invoices]).is_err());
    assert!(issuer.set_enabled(id, false).is_err());
    assert!(issuer.rotate_secret(id).is_err());
    assert!(issuer.delete_credentials(id).is_err());
    assert!(issuer.revert_api_key().is_err());
    let names: Vec<_> = issuer.credentials().into_iter().map(|known| known.name).collect();
    assert_eq!(names, ["app", "reports"]);
    assert_eq!(issuer.spent(), 1);
    assert_eq!(ask().await, 200, "the secret is the old one, and it is enabled");
    assert_eq!(shipments(&issuer, &key).await, 200, "the key is the old one");
    std::fs::remove_dir(&obstacle).unwrap();
    assert!(issuer.create_credentials("others", [Resource::Invoices]).is_ok());
}

#[tokio::test]
async fn a_revocation_of_all_outlives_a_kill() {
    let scratch = tempfile::tempdir().unwrap();
    let issuer = kept_in(scratch.path()).start().await.unwrap();
    let (revoked, address) = (token(&issuer).await, issuer.address());
    issuer.revoke_all();
    let left = killed(scratch.path());
    issuer.shutdown().await.unwrap();
    let issuer = kept_in(left.path()).bind(address).start().await.unwrap();
    assert_eq!(shipments(&issuer, &revoked).await, 401);
}

#[tokio::test]
async fn a_secret_that_the_builder_gives_replaces_the_one_that_was_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let start =
        |secret: &str| Issuer::builder().directory(scratch.path()).client("app", secret).start();
    start("one").await.unwrap().shutdown().await.unwrap();
    let issuer = start("two").await.unwrap();
    let mut body = good(&issuer);
    for (secret, status) in [("two", 200), ("one", 401)] {
        body["client_secret"] = secret.into();
        let call = Call::token("application/json", body.to_string());
        assert_eq!(call.send(&issuer).await.unwrap().status, status, "{secret}");
    }
}
