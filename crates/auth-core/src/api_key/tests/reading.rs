//! The source of a key, read again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::{JoinSet, yield_now};
use tokio::time::advance;

use super::*;
use crate::clock::fake::TokioClock;

#[path = "../../../tests/it/log.rs"]
mod log;

use self::log::Log;

/// A key in a file.
struct Place(TempDir);

impl Place {
    fn with(key: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write(key);
        place
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("key")
    }

    fn write(&self, key: &str) {
        fs::write(self.path(), key).unwrap();
    }

    fn key(&self) -> ApiKey {
        of(SecretSource::file(self.path()))
    }

    /// The key by way of a command, which writes down that it was asked.
    #[cfg(unix)]
    fn counting_key(&self) -> ApiKey {
        let script = "echo >> \"$0/reads\"; cat \"$0/key\"";
        let directory = self.0.path().as_os_str().to_owned();
        of(SecretSource::command("sh", ["-c".into(), script.into(), directory]))
    }

    /// How often the command was run since the key was built.
    fn reads(&self) -> usize {
        fs::read_to_string(self.0.path().join("reads")).unwrap().lines().count() - 1
    }
}

fn of(source: SecretSource) -> ApiKey {
    ApiKey::builder("orders", source).clock(TokioClock::new()).build().unwrap()
}

/// How many requests with this generation get another key, if they are all refused at a time.
async fn storm(key: &ApiKey, refused: Generation) -> usize {
    let mut requests = JoinSet::new();
    for _ in 0..10_000 {
        let key = key.clone();
        requests.spawn(async move { key.replacement(refused).await.is_some() });
    }
    requests.join_all().await.into_iter().filter(|replaced| *replaced).count()
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_replaced_by_what_the_file_has_now() {
    let place = Place::with("k-0123\n");
    let key = place.key();
    let first = key.generation();
    place.write("k-4567\n");
    assert_eq!(text(&key), "Bearer k-0123", "nobody looks before it is refused");
    let replacement = key.replacement(first).await.unwrap();
    assert_eq!(replacement.header(), "Bearer k-4567");
    assert!(replacement.header().is_sensitive());
    assert_eq!((replacement.generation(), key.generation().get()), (key.generation(), 2));
    // torture: B12
    // A late refusal of the old one has its answer without a look.
    fs::remove_file(place.path()).unwrap();
    assert_eq!(key.replacement(first).await.unwrap().generation().get(), 2);
    assert!(key.replacement(key.generation()).await.is_none());
    assert_eq!(text(&key), "Bearer k-4567");
}

#[tokio::test(start_paused = true)]
async fn a_literal_is_replaced_by_what_is_set_and_by_nothing_else() {
    let key = of("k-0123".into());
    let first = key.generation();
    assert!(key.replacement(first).await.is_none());
    assert!(!key.reload().await.unwrap());
    key.set("k-4567").unwrap();
    assert_eq!(key.replacement(first).await.unwrap().header(), "Bearer k-4567");
}

// torture: B11
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn ten_thousand_refusals_cost_one_read_a_second_at_most() {
    let place = Place::with("k-0123");
    let key = place.counting_key();
    let first = key.generation();
    assert_eq!((storm(&key, first).await, place.reads()), (0, 1));
    assert_eq!((storm(&key, first).await, place.reads()), (0, 1));
    advance(Duration::from_millis(999)).await;
    assert_eq!((storm(&key, first).await, place.reads()), (0, 1));
    advance(Duration::from_millis(1)).await;
    assert_eq!((storm(&key, first).await, place.reads()), (0, 2));
    place.write("k-4567");
    advance(Duration::from_secs(1)).await;
    assert_eq!((storm(&key, first).await, place.reads()), (10_000, 3));
    assert_eq!((storm(&key, first).await, place.reads()), (10_000, 3));
    // The next key may be refused at once, as long as looks find something.
    place.write("k-8901");
    assert_eq!((storm(&key, key.generation()).await, place.reads()), (10_000, 4));
    assert_eq!(key.generation().get(), 3);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_read_goes_on_when_its_caller_is_gone() {
    let place = Place::with("k-0123");
    let key = place.counting_key();
    let first = key.generation();
    place.write("k-4567");
    let mut caller = tokio_test::task::spawn(key.replacement(first));
    assert!(caller.poll().is_pending());
    drop(caller);
    while key.generation() == first {
        yield_now().await;
    }
    assert_eq!((text(&key).as_str(), place.reads()), ("Bearer k-4567", 1));
    // So does one that nobody waits for.
    place.write("k-8901");
    key.refuse(key.generation());
    while key.generation().get() == 2 {
        yield_now().await;
    }
    assert_eq!((text(&key).as_str(), place.reads()), ("Bearer k-8901", 2));
}

#[tokio::test(start_paused = true)]
async fn a_source_without_a_key_leaves_the_old_one_in_use_with_one_warning() {
    let log = Log::listen();
    let place = Place::with("k-0123");
    let key = place.key();
    for (bad, problem) in [("", "is empty"), ("changeme", "placeholder"), ("k 4567", "space")] {
        place.write(bad);
        for _ in 0..3 {
            advance(Duration::from_secs(1)).await;
            assert!(key.replacement(key.generation()).await.is_none());
        }
        let error = key.reload().await.unwrap_err();
        assert!(error.is_tool() && error.to_string().contains(problem), "{error}");
        assert!(error.to_string().starts_with("credential `orders`: the file "), "{error}");
    }
    fs::remove_file(place.path()).unwrap();
    assert!(key.reload().await.unwrap_err().to_string().contains("cannot be read"));
    assert_eq!((text(&key).as_str(), key.generation().get()), ("Bearer k-0123", 1));
    assert_eq!(log.text().matches("WARN").count(), 4, "{}", log.text());
    place.write("k-4567");
    assert!(key.reload().await.unwrap());
    assert!(!key.reload().await.unwrap());
    assert_eq!((text(&key).as_str(), key.generation().get()), ("Bearer k-4567", 2));
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_volume_of_kubernetes_is_replaced_as_a_whole() {
    let place = Place(tempfile::tempdir().unwrap());
    let volume = place.0.path();
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, volume.join(name)).unwrap();
    };
    let version = |name: &str, key: &str| {
        fs::create_dir(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("key"), key).unwrap();
    };
    version("..2026_01", "k-0123");
    link("..2026_01", "..data");
    link("..data/key", "key");
    let key = place.key();
    version("..2026_02", "k-4567");
    link("..2026_02", "..data_tmp");
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    fs::remove_dir_all(volume.join("..2026_01")).unwrap();
    let replacement = key.replacement(key.generation()).await.unwrap();
    assert_eq!(replacement.header(), "Bearer k-4567");
}

/// A pipe that nobody writes to: whoever opens it waits.
#[cfg(unix)]
fn make_pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_keeps_one_thread_and_no_request() {
    let log = Log::listen();
    let place = Place::with("k-0123");
    let key = place.key();
    let first = key.generation();
    fs::remove_file(place.path()).unwrap();
    make_pipe(&place.path());
    let mut request = tokio_test::task::spawn(key.replacement(first));
    assert!(request.poll().is_pending());
    while Arc::strong_count(&key.0.at_work) == 1 {
        yield_now().await;
    }
    // Opened by the reader as well, from here on, and never written to.
    let pipe = fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    advance(Duration::from_secs(6)).await;
    assert!(request.await.is_none());
    assert!(log.text().contains("cannot be read in time"), "{}", log.text());
    // There is a key again, but the thread has not come back.
    fs::remove_file(place.path()).unwrap();
    place.write("k-4567");
    advance(Duration::from_secs(1)).await;
    assert!(key.replacement(first).await.is_none());
    assert!(log.text().contains("the read before has not ended"), "{}", log.text());
    drop(pipe);
    while Arc::strong_count(&key.0.at_work) > 1 {
        std::thread::yield_now();
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(key.replacement(first).await.unwrap().header(), "Bearer k-4567");
}

#[test]
fn a_read_that_ends_with_its_runtime_or_is_not_driven_holds_nobody_up() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let place = Place::with("k-0123");
    let here = runtime();
    let key = here.block_on(async { place.key() });
    let first = key.generation();
    let read_on = |other: &tokio::runtime::Runtime| {
        let _entered = other.enter();
        key.refuse(key.generation());
    };
    // Shut down: those who wait start another.
    let there = runtime();
    read_on(&there);
    drop(there);
    place.write("k-4567");
    let replaced = here.block_on(key.replacement(first)).unwrap();
    assert_eq!(replaced.header(), "Bearer k-4567");
    // Kept, and not run: it is waited for once.
    let there = runtime();
    read_on(&there);
    place.write("k-8901");
    assert!(here.block_on(key.replacement(replaced.generation())).is_none());
    // Each runtime has a paused clock of its own, and the two are some milliseconds apart.
    here.block_on(advance(Duration::from_secs(1)));
    let replaced = here.block_on(key.replacement(replaced.generation())).unwrap();
    assert_eq!(replaced.header(), "Bearer k-8901");
    // When it is run after all, what it reads is too late to count.
    place.write("k-late");
    there.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    drop(there);
    assert_eq!((text(&key).as_str(), key.generation().get()), ("Bearer k-8901", 3));
}

/// One API that is broken must not take the others down: it would have the old key read again.
#[tokio::test(start_paused = true)]
async fn a_key_that_was_set_by_code_is_not_replaced_by_what_the_source_had_before() {
    let place = Place::with("k-0123");
    let key = place.key();
    let set = key.set("k-4567").unwrap();
    assert!(key.replacement(set).await.is_none());
    assert_eq!(text(&key), "Bearer k-4567");
    // What is new there counts, and so does what the user asks for.
    advance(Duration::from_secs(1)).await;
    place.write("k-8901");
    assert_eq!(key.replacement(set).await.unwrap().header(), "Bearer k-8901");
    let set = key.set("k-4567").unwrap();
    assert!(key.reload().await.unwrap() && key.generation() > set);
    assert_eq!(text(&key), "Bearer k-8901");
}

#[test]
fn outside_of_a_runtime_nothing_is_read_and_nothing_panics() {
    let place = Place::with("k-0123");
    let key = place.key();
    let first = key.generation();
    place.write("k-4567");
    key.refuse(first);
    let replacement = tokio_test::task::spawn(key.replacement(first)).poll();
    assert!(matches!(replacement, std::task::Poll::Ready(None)));
    let std::task::Poll::Ready(Err(error)) = tokio_test::task::spawn(key.reload()).poll() else {
        panic!("it waits")
    };
    assert!(error.is_tool() && error.to_string().contains("tokio runtime"), "{error}");
    // What is set is served without one.
    key.set("k-8901").unwrap();
    let replacement = tokio_test::task::spawn(key.replacement(first)).poll();
    assert!(matches!(replacement, std::task::Poll::Ready(Some(_))));
}

/// A key that is set while the source is read is newer than what the read brings.
#[tokio::test(start_paused = true)]
async fn a_read_does_not_take_the_place_of_a_key_that_was_set_meanwhile() {
    let place = Place::with("k-0123");
    let key = place.key();
    let first = key.generation();
    place.write("k-4567");
    let mut request = tokio_test::task::spawn(key.replacement(first));
    assert!(request.poll().is_pending());
    key.set("k-8901").unwrap();
    assert_eq!(request.await.unwrap().header(), "Bearer k-8901");
    assert_eq!(key.generation().get(), 2);
    // Once that is refused, what the source has is worth a try.
    let replacement = key.replacement(key.generation()).await.unwrap();
    assert_eq!(replacement.header(), "Bearer k-4567");
}

/// The read under way may have seen what was there before the call.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_reload_reads_after_it_was_asked_for() {
    let place = Place::with("k-0123");
    let key = place.counting_key();
    let mut request = tokio_test::task::spawn(key.replacement(key.generation()));
    assert!(request.poll().is_pending());
    key.reload().await.unwrap();
    assert_eq!(place.reads(), 2);
    // The pause after refusals is none for an operator.
    place.write("k-4567");
    assert!(key.reload().await.unwrap());
    assert_eq!((text(&key).as_str(), place.reads()), ("Bearer k-4567", 3));
}

// torture: E43
#[tokio::test(start_paused = true)]
async fn no_key_is_shown_or_logged() {
    let log = Log::listen();
    let place = Place::with("canary-1");
    let builder =
        ApiKey::builder("orders", SecretSource::file(place.path())).clock(TokioClock::new());
    let mut shown = format!("{builder:?} {:?}", ApiKey::builder("orders", "canary-0"));
    let key = builder.in_header("X-Api-Key").build().unwrap();
    shown += &format!("{key:?} {:?}", key.authorization());
    place.write("canary-2");
    assert!(key.replacement(key.generation()).await.is_some());
    place.write("canary-3");
    assert!(key.reload().await.unwrap());
    key.set("canary-4").unwrap();
    for bad in ["canary\n5", "canary-é6", "<your canary-7>", &"canary-8".repeat(4096)] {
        let error = key.set(bad).unwrap_err();
        let unbuilt = ApiKey::new("orders", bad).unwrap_err();
        place.write(bad);
        let unread = key.reload().await.unwrap_err();
        shown += &format!("{error} {error:?} {unbuilt} {unbuilt:?} {unread} {unread:?}");
    }
    let mut headers = HeaderMap::new();
    key.insert(&mut headers);
    shown += &format!("{headers:?} {key:?}");
    let logged = log.text();
    for cause in ["cause=\"refused\"", "cause=\"reload\"", "cause=\"set\""] {
        assert!(logged.contains(cause), "{logged}");
    }
    assert!(logged.contains("the API key was replaced credential=\"orders\" generation=4"));
    assert!(
        shown.contains("ApiKey { name: \"orders\", header: \"x-api-key\", generation: 4, .. }")
    );
    for text in [shown, logged] {
        assert!(!text.contains("canary"), "{text}");
    }
}
