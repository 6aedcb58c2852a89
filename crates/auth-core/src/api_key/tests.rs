//! An API key as requests meet it; `tests/reading.rs` has what happens to its source.

mod reading;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderValue};

use super::*;

fn text(key: &ApiKey) -> String {
    key.authorization().header().to_str().unwrap().to_owned()
}

#[test]
fn a_key_goes_into_its_header_in_its_form() {
    let of = |builder: ApiKeyBuilder| {
        let key = builder.build().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(key.header_name().clone(), HeaderValue::from_static("somebody else's"));
        assert_eq!(key.insert(&mut headers), key.generation());
        assert_eq!(headers.len(), 1);
        let (name, value) = headers.iter().next().unwrap();
        assert!(value.is_sensitive() && key.authorization().header() == value);
        format!("{name}: {}", value.to_str().unwrap())
    };
    let key = || ApiKey::builder("orders", "k-0123");
    assert_eq!(of(key()), "authorization: Bearer k-0123");
    assert_eq!(of(key().in_header("X-Api-Key")), "x-api-key: k-0123");
    assert_eq!(of(key().token()), "authorization: Token token=\"k-0123\"");
    assert_eq!(of(key().prefixed("ApiKey ")), "authorization: ApiKey k-0123");
    // The order in which they are said does not matter.
    assert_eq!(of(key().bearer().in_header("X-Auth")), "x-auth: Bearer k-0123");
    assert_eq!(of(key().in_header("X-Auth").bearer()), "x-auth: Bearer k-0123");
    assert_eq!(ApiKey::new("orders", "k-0123").unwrap().name(), "orders");
}

#[test]
fn what_is_wrong_is_found_when_it_is_built_and_named() {
    let field = |builder: ApiKeyBuilder| builder.build().unwrap_err().field();
    for name in ["", " ", "or\nders"] {
        assert_eq!(field(ApiKey::builder(name, "k-0123")), "name");
    }
    let key = |text: &str| ApiKey::builder("orders", text);
    assert_eq!(field(key("k-0123").in_header("Host")), "in_header");
    assert_eq!(field(key("k-0123").prefixed("Api\nKey ")), "prefixed");
    assert_eq!(field(key("YOUR_API_KEY")), "key");
    assert_eq!(field(key("")), "key");
    let missing = ApiKey::new("orders", SecretSource::file("/no/such/file")).unwrap_err();
    assert_eq!(missing.field(), "key");
    assert!(missing.to_string().contains("/no/such/file"), "{missing}");
}

#[test]
fn a_key_that_is_set_is_there_for_all_clones_and_a_bad_one_is_not() {
    let key = ApiKey::new("orders", "k-0123").unwrap();
    let clone = key.clone();
    let other = ApiKey::new("orders", "k-0123").unwrap();
    assert!(key.address() == clone.address() && key.address() != other.address());
    let first = key.generation();
    assert_eq!((first.get(), key.set("k-0123").unwrap()), (1, first));
    let second = key.set("k-4567").unwrap();
    assert_eq!(
        (clone.generation(), second.get(), text(&clone)),
        (second, 2, "Bearer k-4567".into())
    );
    for bad in ["", "k\n", "changeme", "k k", "Bearer k-8901"] {
        let error = key.set(bad).unwrap_err();
        assert_eq!((error.field(), key.generation()), ("key", second), "{bad:?}");
        assert_eq!(text(&key), "Bearer k-4567");
    }
}

#[test]
fn a_request_allocates_nothing_for_the_key() {
    for builder in [
        ApiKey::builder("orders", "k-0123"),
        ApiKey::builder("orders", "k-0123").in_header("X-Api-Key"),
    ] {
        let key = builder.build().unwrap();
        let mut headers = HeaderMap::with_capacity(8);
        // A thread's first load makes room for its loads.
        key.generation();
        let counted = allocation_counter::measure(|| {
            key.insert(&mut headers);
            drop(key.authorization());
        });
        assert_eq!((counted.count_total, headers.len()), (0, 1), "{key:?}");
    }
}

/// The text is in a `Zeroizing` buffer, which is dropped with the last header that shares it.
#[test]
fn a_replaced_key_is_wiped_when_the_last_request_with_it_is_gone() {
    let key = ApiKey::new("orders", "k-0123").unwrap();
    let text = || key.with(|snapshot| Arc::downgrade(&snapshot.text));
    let first = text();
    let mut request = HeaderMap::new();
    key.insert(&mut request);
    let other = key.authorization();
    key.set("k-4567").unwrap();
    assert!(first.upgrade().is_some());
    drop(other);
    assert!(first.upgrade().is_some());
    drop(request);
    assert!(first.upgrade().is_none());
    // Without a request it is gone at once. A literal source keeps none either.
    let second = text();
    key.set("k-8901").unwrap();
    assert!(second.upgrade().is_none() && key.0.source.is_none());
    let third = text();
    drop(key);
    assert!(third.upgrade().is_none());
}

/// Each key says its number twice, so a value that is put together from two shows.
#[test]
fn no_reader_sees_half_a_key_or_a_generation_that_runs_backwards() {
    const SETS: usize = 2_000;
    let key = ApiKey::new("orders", "k-0-0").unwrap();
    let is_over = AtomicBool::new(false);
    let seen = Mutex::new(HashMap::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut mine = HashMap::new();
                let mut last = Generation::NONE;
                let mut headers = HeaderMap::new();
                while !is_over.load(Ordering::Relaxed) {
                    let generation = key.insert(&mut headers);
                    let value = headers["authorization"].to_str().unwrap().to_owned();
                    let mut halves = value.rsplit('-');
                    assert_eq!(halves.next(), halves.next(), "{value}");
                    assert!(generation >= last);
                    last = generation;
                    assert_eq!(*mine.entry(generation).or_insert(value.clone()), value);
                }
                // Nor has a generation another key for another reader.
                let mut seen = seen.lock().unwrap();
                for (generation, value) in mine {
                    assert_eq!(*seen.entry(generation).or_insert(value.clone()), value);
                }
            });
        }
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let key = key.clone();
                scope.spawn(move || {
                    let mut last = Generation::NONE;
                    for number in 0..SETS {
                        let number = 2 * number + writer + 1;
                        let generation = key.set(format!("k-{number}-{number}")).unwrap();
                        assert!(generation > last && key.generation() >= generation);
                        last = generation;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(key.generation().get(), 1 + 2 * SETS as u64);
}
