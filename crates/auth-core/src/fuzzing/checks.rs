//! What must hold of everything that was read.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Uri};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{DAY, NOW, SECRET};
use crate::clock::{BootTime, Now, Timestamp};
use crate::error::Error;
use crate::failure::{Failure, FailureKind};
use crate::fingerprint::Fingerprint;
use crate::hold::Identity;
use crate::lifetime::Lifetime;
use crate::quota::said::{LONGEST_WORD, Said};
use crate::quota::spend::Spend;
use crate::quota::{Cause, Quota, Window};
use crate::record::{Record, Terms};
use crate::token::{AccessToken, Generation, LONGEST_TOKEN, Provenance, Scheme, Snapshot};
use crate::wire::challenge::Challenge;
use crate::wire::dpop;
use crate::wire::response::Reading;

/// Two quotes of 256 characters with an ellipsis, and own words.
pub(super) const LONGEST_MESSAGE: usize = 1000;

/// Two lists of eight values, each of 64 characters that take up to ten when they are escaped, and own words.
pub(super) const LONGEST_NOTICE: usize = 2 * 8 * (64 * 10 + 8) + 400;

/// So much of a secret is as secret as the whole.
const SECRET_PART: usize = 12;

/// No nonce is longer (RFC 9449 §8.1 has no bound).
const LONGEST_NONCE: usize = 1024;

pub(super) fn check_reading(reading: &Reading, headers: &HeaderMap) {
    for nonce in [reading.nonce.as_deref(), dpop::nonce(headers)].into_iter().flatten() {
        let legal = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'\\';
        assert!(!nonce.is_empty() && nonce.len() <= LONGEST_NONCE && nonce.bytes().all(legal));
    }
    for bucket in &reading.said.buckets {
        let plain = |char: char| char.is_ascii_alphanumeric() || "_-.:".contains(char);
        assert!(bucket.name.chars().all(plain) && bucket.name.len() <= 50, "{}", bucket.name);
        assert!(!bucket.resets_in.is_zero() && bucket.resets_in.as_secs() <= u64::from(u32::MAX));
    }
    if let Some(date) = reading.said.date {
        assert!(headers.contains_key(DATE) && date >= Timestamp::from_secs(0), "{date:?}");
    }
    let Err(failure) = &reading.token else { return };
    assert!(headers.contains_key(RETRY_AFTER) || failure.retry_after.is_none());
    let error = Error::failed("fuzzing".into(), failure, Some(NOW));
    for text in [&failure.detail, &error.to_string()] {
        check_text(text, LONGEST_MESSAGE);
    }
    for text in [&failure.detail, &error.to_string(), &format!("{error:?} {failure:?}")] {
        let shows = |part: &[u8]| text.as_bytes().windows(part.len()).any(|shown| shown == part);
        assert!(!SECRET.as_bytes().windows(SECRET_PART).any(shows), "the secret: {text}");
        assert!(!shows(STANDARD_NO_PAD.encode(SECRET).as_bytes()), "the secret: {text}");
    }
}

/// The token is the one in the body, which is no error, by a reader of another kind. That reader knows fewer numbers.
pub(super) fn check_members(body: &[u8], token: &str, scheme: Scheme) {
    let Ok(members) = serde_json::from_slice::<Value>(body) else { return };
    let kind = match scheme {
        Scheme::Bearer => "bearer",
        Scheme::Dpop => "dpop",
    };
    assert!(members["access_token"] == token && members["error"].is_null(), "{members}");
    let is_kind = |name: &str| name.eq_ignore_ascii_case(kind);
    assert!(members["token_type"].as_str().is_some_and(is_kind), "{members}");
    let Names(mut names) = serde_json::from_slice(body).expect("an object, as above");
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a member stands twice: {members}");
}

/// The names of an object's members, also those that stand twice.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

pub(super) fn check_header(token: &AccessToken, scheme: Scheme, lifetime: Lifetime) {
    let id = "1".parse().expect("a number");
    let from = Provenance { id, cause: Cause::Start, sent: NOW, lifetime };
    let snapshot = Snapshot::new(token, scheme, Generation::NONE.next(), &from, 0.5, 1, now());
    let scheme = match scheme {
        Scheme::Bearer => "Bearer ",
        Scheme::Dpop => "DPoP ",
    };
    let text = token.expose();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    assert!(!text.is_empty() && text.len() <= LONGEST_TOKEN && text.bytes().all(legal));
    let header = snapshot.header();
    assert!(header.is_sensitive() && *header == format!("{scheme}{text}"));
    assert!(!format!("{token:?} {header:?}").contains(text) || text.len() < 24);
}

pub(super) fn check_lifetime(lifetime: Result<Lifetime, String>) -> Option<Lifetime> {
    match lifetime {
        Ok(lifetime) => {
            let whole = lifetime.whole();
            assert!(
                !whole.is_zero() && whole <= 366 * DAY && lifetime.as_millis() > 0,
                "{whole:?}"
            );
            let (renew_at, expires_at) = (lifetime.renew_at(NOW, 0.5), lifetime.expires_at(NOW));
            assert!(NOW <= renew_at && renew_at <= expires_at && expires_at <= NOW + whole);
            Some(lifetime)
        }
        Err(problem) => {
            check_text(&problem, LONGEST_MESSAGE);
            None
        }
    }
}

/// A failure holds the next request back for as long as may be believed, and the record that says so can be read.
pub(super) fn check_record(failure: &Failure, said: &Said) {
    let fingerprint = Fingerprint::new(&[0; 32], [b"fuzzing".as_slice()]);
    let identity = Identity { request: fingerprint, credential: fingerprint };
    let id = "1".parse().expect("a number");
    let quota = Quota::per_day(10);
    let mut record = Record::new();
    let spend = Spend::new(id, Cause::Start, fingerprint, now());
    record.begin(spend, Duration::from_secs(12), &quota);
    let terms = Terms { identity, quota: &quota, expires_at: None, now: now() };
    record.heed(id, said, failure.kind == FailureKind::OverQuota, &terms);
    let until = record.settle_failure(id, failure, &terms).expect("the flight is under way");
    let longest = quota.windows().iter().map(Window::span).fold(LONGEST_WORD, Duration::max);
    assert!(NOW < until && until <= NOW + longest, "{until}");
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}

pub(super) fn check_challenges(challenges: &[Challenge]) {
    let token = |text: &str| {
        let legal = |byte: u8| {
            byte.is_ascii_digit() || byte.is_ascii_lowercase() || b"!#$%&'*+-.^_`|~".contains(&byte)
        };
        !text.is_empty() && text.bytes().all(legal)
    };
    assert!(challenges.len() <= 32, "{} challenges", challenges.len());
    for Challenge { scheme, params } in challenges {
        assert!(token(scheme), "{scheme:?}");
        for (name, value) in params {
            assert!(token(name), "{name:?}");
            assert!(
                !value.chars().any(|char| char.is_ascii_control() && char != '\t'),
                "{value:?}"
            );
        }
    }
}

/// Only quoted strings: they can hold every value.
pub(super) fn written(challenge: &Challenge) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let params =
        challenge.params.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value)));
    format!("{} {}", challenge.scheme, params.collect::<Vec<_>>().join(", "))
}

/// A secret goes to nobody but the host that is named, and over plain http to nobody but this machine.
pub(super) fn check_endpoint(uri: &Uri, insecure_loopback: bool) {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse::<std::net::IpAddr>();
    let is_loopback = host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => assert!(!host.is_empty(), "{uri}"),
        scheme => assert!(scheme == Some("http") && insecure_loopback && is_loopback, "{uri}"),
    }
    let text = uri.to_string();
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#'), "{text}");
    assert!(uri.authority().is_some_and(|authority| !authority.as_str().contains('@')), "{text}");
}

/// A text that is shown moves no cursor, turns no line around, and is no longer than it may be.
pub(super) fn check_text(text: &str, longest: usize) {
    let turns = |char| matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.chars().any(|char| char.is_control() || turns(char)), "{text:?}");
    assert!(text.chars().count() <= longest, "{} characters: {text}", text.chars().count());
}

pub(super) fn now() -> Now {
    Now { wall: NOW, boot: BootTime { id: "1".parse().expect("a number"), millis: 3_600_000 } }
}
