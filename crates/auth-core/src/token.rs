//! A token, and the immutable snapshot from which requests are served.

use std::fmt;
use std::task::Poll;
use std::time::Duration;

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::clock::{BootTime, Now, Timestamp};
use crate::id::TokenId;
use crate::lifetime::Lifetime;
use crate::per_cpu::Header;
use crate::quota::Cause;

/// The longest token that is accepted. Most servers refuse header lines above 8 to 16 KiB.
pub(crate) const LONGEST_TOKEN: usize = 16 * 1024;

/// An access token that can stand in a header, by the `b64token` grammar of RFC 6750 §2.1. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Checks the grammar before anything is cached. The error says what is wrong and quotes nothing.
    pub(crate) fn parse(token: String) -> Result<Self, &'static str> {
        let token = Zeroizing::new(token);
        if token.is_empty() {
            return Err("the access token is empty");
        }
        if token.len() > LONGEST_TOKEN {
            return Err("the access token is longer than 16 KiB");
        }
        let body = token.trim_end_matches('=');
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if body.is_empty() || !body.bytes().all(legal) {
            return Err(
                "the access token has characters that a bearer token cannot have (RFC 6750 section 2.1)",
            );
        }
        Ok(Self(token))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `Bearer …` or `DPoP …`, in this many copies.
    fn header(&self, scheme: Scheme, copies: usize) -> Header {
        let scheme = scheme.prefix();
        let mut text = Zeroizing::new(Vec::with_capacity(scheme.len() + self.0.len()));
        text.extend_from_slice(scheme.as_bytes());
        text.extend_from_slice(self.0.as_bytes());
        Header::of_text(text, copies).expect("the grammar allows only visible ASCII")
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750 §2.1.
    Bearer,
    /// With a proof beside it (RFC 9449 §7.1).
    Dpop,
}

impl Scheme {
    fn prefix(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer ",
            Self::Dpop => "DPoP ",
        }
    }
}

/// Which of an authenticator's tokens this is: 1 for the first, and one more with each that follows it. It never runs
/// backwards, and means nothing in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a request carries: the value of its `Authorization` header, and which token that is.
///
/// The header is marked sensitive, so `Debug` shows no token, and HTTP/2 does not put it into a compression table.
// In this order, for the same reason as `Snapshot::authorization` is a function.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Authorization {
    pub(crate) header: HeaderValue,
    pub(crate) generation: Generation,
}

impl Authorization {
    /// The value for the `Authorization` header.
    #[inline]
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// The value for the `Authorization` header, without another clone.
    #[inline]
    pub fn into_header(self) -> HeaderValue {
        self.header
    }

    /// Which token this is; what [`Authenticator::refuse`](crate::Authenticator::refuse) asks for after a 401.
    #[inline]
    pub fn generation(&self) -> Generation {
        self.generation
    }
}

/// The coarse clock may lag behind the exact one by some milliseconds, and NTP may take back a little.
const SINCE: Duration = Duration::from_secs(60);

/// Clocks that are further apart than this did not drift.
const JUMP: Duration = Duration::from_secs(60);

/// How old a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// Valid, and due for a renewal.
    Ageing,
    Expired,
}

/// One token, ready to be sent. Never changed; replaced by a swap.
#[derive(Clone)]
pub(crate) struct Snapshot {
    header: Header,
    pub(crate) generation: Generation,
    pub(crate) id: TokenId,
    /// What it was fetched for, and when.
    pub(crate) cause: Cause,
    pub(crate) sent: Timestamp,
    pub(crate) lifetime: Lifetime,
    /// The wall clock was past this when the token was put to use: an earlier reading means that it was set back.
    since: Timestamp,
    /// When a request that comes along starts a renewal: `due`, or at once while the token is suspect.
    renew_at: Timestamp,
    due: Timestamp,
    pub(crate) expires_at: Timestamp,
    expires_boot: BootTime,
    /// The API answered 401 to it, and its renewal has not settled.
    pub(crate) suspect: bool,
}

/// What a snapshot is made of besides the token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provenance {
    pub(crate) id: TokenId,
    pub(crate) cause: Cause,
    pub(crate) sent: Timestamp,
    pub(crate) lifetime: Lifetime,
}

impl Snapshot {
    /// `jitter` in 0..=1 places the renewal between 80 and 90 % of the lifetime; `copies` of the header are made.
    pub(crate) fn new(
        token: &AccessToken,
        scheme: Scheme,
        generation: Generation,
        from: &Provenance,
        jitter: f64,
        copies: usize,
        now: Now,
    ) -> Self {
        // A token that another process dated by a clock that was ahead lives no longer for that.
        let expires_at =
            from.lifetime.expires_at(from.sent).min(from.lifetime.expires_at(now.wall));
        let due = from.lifetime.renew_at(from.sent, jitter).min(expires_at);
        Self {
            header: token.header(scheme, copies),
            generation,
            id: from.id,
            cause: from.cause,
            sent: from.sent,
            lifetime: from.lifetime,
            since: now.wall - SINCE,
            renew_at: due,
            due,
            expires_at,
            expires_boot: now.boot + expires_at.saturating_since(now.wall),
            suspect: false,
        }
    }

    /// By the wall clock alone, for the path of every request. `Ageing` is worth a second look.
    #[inline]
    pub(crate) fn freshness(&self, wall: Timestamp) -> Freshness {
        if self.since <= wall && wall < self.renew_at {
            Freshness::Fresh
        } else if wall < self.expires_at {
            Freshness::Ageing
        } else {
            Freshness::Expired
        }
    }

    /// By the wall clock alone, due for renewal or not.
    #[inline]
    pub(crate) fn is_alive(&self, wall: Timestamp) -> bool {
        self.since <= wall && wall < self.expires_at
    }

    /// By both clocks, for every path but that of a fresh token.
    pub(crate) fn freshness_at(&self, now: Now) -> Freshness {
        match self.expires_boot.since(now.boot) {
            Some(Duration::ZERO) => Freshness::Expired,
            _ => self.freshness(now.wall),
        }
    }

    /// What a request carries.
    ///
    /// A function of its own, and an `Option`, so that the clone is written to where the caller of its caller wants it, and not
    /// copied on from a temporary, for which the CPU has to wait (`cargo bench -p benches --bench hit`).
    #[inline(never)]
    pub(crate) fn authorization(&self) -> Option<Authorization> {
        Some(Authorization { header: self.header.get().clone(), generation: self.generation })
    }

    #[inline]
    pub(crate) fn header(&self) -> &HeaderValue {
        self.header.get()
    }

    /// The token itself.
    pub(crate) fn token(&self) -> Option<AccessToken> {
        AccessToken::parse(token_of(self.header.get())?.to_owned()).ok()
    }

    /// The same, for a future that is ready at once.
    #[inline(never)]
    pub(crate) fn ready<E>(&self) -> Poll<Result<Authorization, E>> {
        Poll::Ready(Ok(Authorization {
            header: self.header.get().clone(),
            generation: self.generation,
        }))
    }

    /// The same token under a wall clock that jumped away, if it lives on by the clock that does not jump.
    pub(crate) fn redated(&self, now: Now) -> Option<Self> {
        let left = self.expires_boot.since(now.boot).filter(|left| !left.is_zero())?;
        let by_wall = self.expires_at.as_millis().saturating_sub(now.wall.as_millis());
        let by_boot = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        if by_wall > 0 && by_wall.abs_diff(by_boot) < JUMP.as_millis() as u64 {
            return None;
        }
        let ahead = self.expires_at.saturating_since(self.due);
        let expires_at = now.wall + left;
        let due = expires_at - ahead;
        let renew_at = if self.suspect { now.wall } else { due };
        let jump = expires_at.as_millis().saturating_sub(self.expires_at.as_millis());
        let sent = Timestamp::from_millis(self.sent.as_millis().saturating_add(jump));
        Some(Self { sent, since: now.wall - SINCE, expires_at, due, renew_at, ..self.clone() })
    }

    /// The same token, due for renewal no sooner than `at`; a suspect one stays due at once.
    pub(crate) fn put_off_until(&self, at: Timestamp) -> Self {
        let due = self.due.max(at).min(self.expires_at);
        let renew_at = if self.suspect { self.renew_at } else { due };
        Self { due, renew_at, ..self.clone() }
    }

    /// The same token, under suspicion: it is renewed at once.
    pub(crate) fn as_suspect(&self) -> Self {
        Self { suspect: true, renew_at: self.sent.min(self.due), ..self.clone() }
    }

    /// The same token, suspected no more.
    pub(crate) fn cleared(&self) -> Self {
        Self { suspect: false, renew_at: self.due, ..self.clone() }
    }

    /// The same token, over before its time.
    pub(crate) fn ended(&self) -> Self {
        let never = Timestamp::from_secs(0);
        let expires_boot = BootTime { millis: 0, ..self.expires_boot };
        Self { expires_at: never, due: never, renew_at: never, expires_boot, ..self.clone() }
    }

    pub(crate) fn renews_in(&self, now: Timestamp) -> Duration {
        self.renew_at.saturating_since(now)
    }
}

/// The token in the value of an `Authorization` header.
pub(crate) fn token_of(header: &HeaderValue) -> Option<&str> {
    let (_, token) = header.to_str().ok()?.split_once(' ')?;
    Some(token)
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("generation", &self.generation)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // torture: D36
    #[test]
    fn a_token_that_cannot_stand_in_a_header_is_refused() {
        let bad = ["", "=", "a b", "a\tb", "a\r\nb", "a\0", "é", "a=b", "\u{7f}", "a,b", "\"a\""];
        for token in bad {
            assert!(AccessToken::parse(token.to_owned()).is_err(), "{token:?}");
        }
        assert!(AccessToken::parse("a".repeat(LONGEST_TOKEN)).is_ok());
        assert!(AccessToken::parse("a".repeat(LONGEST_TOKEN + 1)).is_err());
        assert!(AccessToken::parse("a".repeat(1 << 20)).is_err());
        assert!(AccessToken::parse("aZ09-._~+/==".to_owned()).is_ok());
    }

    proptest! {
        /// Whatever passes the grammar makes a header, and is shown nowhere.
        #[test]
        fn what_passes_makes_a_sensitive_header(token in any::<String>()) {
            if let Ok(parsed) = AccessToken::parse(token.clone()) {
                let header = parsed.header(Scheme::Bearer, 2).get().clone();
                prop_assert!(header.is_sensitive());
                prop_assert_eq!(header.to_str().unwrap(), format!("Bearer {token}"));
                prop_assert_eq!(format!("{parsed:?} {header:?}"), "AccessToken(..) Sensitive");
            }
        }
    }
}
