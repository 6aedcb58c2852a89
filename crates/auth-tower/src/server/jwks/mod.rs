//! Where the public keys of an issuer come from, and how they are kept (RFC 7517 §5).

mod document;
mod pace;
mod source;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use auth_core::{Clock, Transport};

use self::source::Remote;
pub(crate) use self::source::{Others, Source};
use super::error::ConfigError;
use super::keys;

/// Where the public keys of an issuer come from.
///
/// Keys of an unknown type or for another use are left out, as are symmetric keys (`oct`) and RSA keys under 2048 bits.
///
/// # From a URL
///
/// The set is fetched when the first token comes, and kept. When it is old it is fetched anew in the background, while requests go
/// on with the keys at hand; while the endpoint is down they do so for a day. If nobody has come for more than a minute after it got old, the
/// next ones wait for that fetch. A token that names an unknown key has the set fetched at once, since issuers rotate their keys, and so has
/// one whose key did not make its signature; but never more often than once in an interval, however many such tokens come and however many
/// wait. A key that has left the set opens nothing any more.
///
/// Fetches are tasks of the tokio runtime that the request is served on, which must have its timers enabled.
///
/// # Defaults
///
/// Fresh for 10 minutes, or as `Cache-Control: max-age` says, within 1 minute and 24 hours; used for 24 hours more while no other can be had; one fetch in
/// 10 seconds, after failures less and less up to one a minute; 5 seconds for the answer; https only.
#[derive(Clone)]
pub struct Jwks(Place);

#[derive(Clone)]
enum Place {
    /// The JSON text of a set.
    Text(Vec<u8>),
    Url(Url),
}

#[derive(Clone)]
struct Url {
    url: String,
    transport: Arc<dyn Transport>,
    fresh_for: Duration,
    fetch_interval: Duration,
    timeout: Duration,
    fresh_at_most: Duration,
    stale_for: Duration,
    insecure_loopback: bool,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Jwks {
    /// The keys in the JSON text of a set (RFC 7517 §5), and no others.
    pub fn from_json(text: &str) -> Self {
        Self(Place::Text(text.as_bytes().to_vec()))
    }

    /// Whatever keys the issuer publishes at `url` (`jwks_uri` in its metadata, RFC 8414 §2).
    pub fn url(url: impl Into<String>, transport: impl Transport) -> Self {
        Self(Place::Url(Url {
            url: url.into(),
            transport: Arc::new(transport),
            fresh_for: Duration::from_secs(10 * 60),
            fetch_interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            fresh_at_most: DAY,
            stale_for: DAY,
            insecure_loopback: false,
        }))
    }

    /// How long a set counts as fresh whose answer does not say so. No matter for keys that are not fetched.
    #[must_use]
    pub fn fresh_for(self, lifetime: Duration) -> Self {
        self.with(|url| url.fresh_for = lifetime)
    }

    /// How long a set counts as fresh at most, whatever its answer says: so long, a minute more, and the [time](Self::timeout) of a
    /// fetch, a key that was stolen, and has left the set, can be used here; while no other set can be had, for
    /// [`stale_for`](Self::stale_for). No matter for keys that are not fetched.
    #[must_use]
    pub fn fresh_at_most(self, lifetime: Duration) -> Self {
        self.with(|url| url.fresh_at_most = lifetime)
    }

    /// How long a set is used after it got old, while no other can be had: the endpoint is down, or has no key that can be used.
    /// After that every token is answered with 503. No matter for keys that are not fetched.
    #[must_use]
    pub fn stale_for(self, time: Duration) -> Self {
        self.with(|url| url.stale_for = time)
    }

    /// How far apart fetches are at least. No matter for keys that are not fetched.
    #[must_use]
    pub fn fetch_interval(self, interval: Duration) -> Self {
        self.with(|url| url.fetch_interval = interval)
    }

    /// How long a fetch may take. A request waits for as long, and for two fetches at most, or three if the set was old. No matter for keys that are not fetched.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|url| url.timeout = timeout)
    }

    /// Allows plain http for a server on loopback.
    #[must_use]
    pub fn insecure_loopback(self, allowed: bool) -> Self {
        self.with(|url| url.insecure_loopback = allowed)
    }

    fn with(mut self, change: impl FnOnce(&mut Url)) -> Self {
        if let Place::Url(url) = &mut self.0 {
            change(url);
        }
        self
    }

    /// Checked, and ready to be asked.
    pub(crate) fn source(self, clock: Arc<dyn Clock>) -> Result<Source, ConfigError> {
        let fail = |problem| Err(ConfigError::new("jwks", problem));
        match self.0 {
            Place::Text(text) => match keys::parse(&text) {
                None => fail("is no key set (RFC 7517 §5)"),
                Some(keys) if keys.is_empty() => fail("has no key that can be used"),
                Some(keys) => Ok(Source::fixed(keys)),
            },
            Place::Url(url) => {
                let uri = document::check(&url.url, url.insecure_loopback)?;
                if url.fetch_interval < Duration::from_secs(1) {
                    return fail(
                        "has a fetch interval below 1 s: a flood of forged tokens would reach the issuer",
                    );
                }
                if url.timeout.is_zero() {
                    return fail("has a timeout of 0, in which no answer can come");
                }
                // The shortest life that a set can have, and how long the next one may take.
                let fresh = url.fresh_for.min(url.fresh_at_most).min(Duration::from_secs(60));
                let next = url.fetch_interval.saturating_add(url.timeout);
                if fresh.saturating_add(url.stale_for) < next {
                    return fail(
                        "would at times have no keys, and refuse good tokens: let sets be used for longer than the fetch \
                         interval and the timeout together, with `stale_for`",
                    );
                }
                Ok(Source::remote(Remote {
                    uri,
                    transport: url.transport,
                    clock,
                    fresh_for: url.fresh_for,
                    interval: url.fetch_interval,
                    timeout: url.timeout,
                    fresh_at_most: url.fresh_at_most,
                    stale_for: url.stale_for,
                }))
            }
        }
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Text(_) => f.write_str("Jwks(fixed)"),
            Place::Url(url) => f
                .debug_struct("Jwks")
                .field("url", &url.url.split(['?', '#']).next())
                .field("fresh_for", &url.fresh_for)
                .field("fetch_interval", &url.fetch_interval)
                .field("timeout", &url.timeout)
                .field("fresh_at_most", &url.fresh_at_most)
                .field("stale_for", &url.stale_for)
                .finish_non_exhaustive(),
        }
    }
}
