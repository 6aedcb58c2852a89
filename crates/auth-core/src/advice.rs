//! What is odd about a token that came, in words. Nothing here rejects a token: it is paid for, and the API has the last
//! word. But an odd token is mostly a setting that is wrong, and the API's 401 does not say which.
//!
//! No text holds the token or the secret. What an issuer wrote is quoted escaped and cut.

use std::borrow::Cow;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::jwt::{self, Details, Form};
use crate::sync::atomic::{AtomicU32, Ordering};

/// Clocks, and the two ways of saying how long a token lives, may be so far apart.
const TOLERANCE: Duration = Duration::from_secs(60);

/// More characters of a value are not shown.
const LONGEST_VALUE: usize = 64;

/// More values of a list are not shown.
const MOST_VALUES: usize = 8;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Whether the token is for the API that was asked for (`aud`, RFC 7519 §4.1.3, RFC 8707 §2).
    Audience,
    /// Whether it was given to this client (`azp`, OpenID Connect Core 1.0 §2; `client_id`, RFC 9068 §2.2).
    AuthorizedParty,
    /// Whether the answer and the token agree on how long it lives (`expires_in`, RFC 6749 §5.1).
    Expiry,
    /// Whether the clock here is the issuer's (`Date`, RFC 9110 §6.6.1).
    ClockSkew,
    /// Whether it is a JWT, from an issuer that gives JWTs.
    Opaque,
    /// Whether the scope is the one that was asked for (RFC 6749 §3.3 and §5.1).
    Scope,
}

impl Check {
    /// As it stands in logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Audience => "audience",
            Self::AuthorizedParty => "authorized_party",
            Self::Expiry => "expiry",
            Self::ClockSkew => "clock_skew",
            Self::Opaque => "opaque",
            Self::Scope => "scope",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What was asked for, and what came.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) token: &'a str,
    /// Shown by no text, even if the issuer put it into a claim.
    pub(crate) secret: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) audience: Option<&'a str>,
    /// The resources that were asked for (RFC 8707).
    pub(crate) resources: &'a [String],
    pub(crate) scopes: &'a [String],
    /// The answer's own `scope` (RFC 6749 §5.1).
    pub(crate) granted_scope: Option<&'a str>,
    /// The answer's `expires_in`, in seconds.
    pub(crate) expires_in: Option<f64>,
    /// The answer's `Date`: the issuer's clock.
    pub(crate) date: Option<Timestamp>,
    /// When the answer came, by the clock here.
    pub(crate) now: Timestamp,
    /// Whether this issuer is known to give JWTs.
    pub(crate) gives_jwts: bool,
}

/// One thing that is odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) check: Check,
    /// What it is and what to do, in a sentence.
    pub(crate) text: String,
    /// What there should have been; for logs, as safe as the text.
    pub(crate) expected: String,
    /// What there is.
    pub(crate) found: String,
}

/// Everything that is odd, in the order of [`Check`].
pub(crate) fn notices(given: &Given<'_>) -> Vec<Notice> {
    let form = jwt::form(given.token);
    let details = jwt::details(given.token);
    let details = details.as_ref();
    let found = [
        details.and_then(|details| given.audience(details)),
        details.and_then(|details| given.authorized_party(details)),
        details.and_then(|details| given.expiry(details)),
        given.clock_skew(),
        given.opaque(form),
        given.scope(details),
    ];
    found.into_iter().flatten().collect()
}

impl Given<'_> {
    fn audience(&self, details: &Details) -> Option<Notice> {
        let asked = self.audience.into_iter().chain(self.resources.iter().map(String::as_str));
        let asked: Vec<_> = asked.collect();
        let named = details.audience.as_deref().unwrap_or_default();
        let missing: Vec<_> =
            asked.iter().copied().filter(|one| !named.iter().any(|name| name == one)).collect();
        let first = *missing.first()?;
        let bare = first.trim_end_matches('/');
        let advice = if named.iter().any(|name| name.trim_end_matches('/') == bare) {
            "only a slash at the end tells the two apart, so one of the two spellings is wrong"
        } else {
            "the API may refuse it: check the audience, and whether this issuer knows it and heeds the parameter"
        };
        let (expected, found) = (self.list(&asked), self.list(named));
        let text = if named.is_empty() {
            format!(
                "the token names no audience, and {} was asked for; {advice}",
                self.list(&missing)
            )
        } else {
            format!("the token is for {found}, and not for {}; {advice}", self.list(&missing))
        };
        Some(Notice { check: Check::Audience, text, expected, found })
    }

    fn authorized_party(&self, details: &Details) -> Option<Notice> {
        let claims = [("azp", &details.azp), ("client_id", &details.client_id)];
        let other = claims.into_iter().find_map(|(name, value)| {
            value.as_deref().filter(|value| *value != self.client_id).map(|value| (name, value))
        });
        let (name, value) = other?;
        let (expected, found) = (self.quote(self.client_id), self.quote(value));
        let text = format!(
            "the token was given to another client: its `{name}` is {found}, and the client id is {expected}; check that the \
             id and the secret are of one pair, and that nothing on the way caches answers"
        );
        Some(Notice { check: Check::AuthorizedParty, text, expected, found })
    }

    fn expiry(&self, details: &Details) -> Option<Notice> {
        let stated = self.expires_in.filter(|seconds| seconds.is_finite())?;
        let exp = details.exp.value()?;
        // The issuer's own clock, if it said it: how wrong the one here is has a check of its own.
        let (from, by) = match (details.iat.value(), self.date) {
            (Some(iat), _) => (iat, "`exp` less its `iat`"),
            (None, Some(date)) => {
                (date.as_millis().div_euclid(1000), "`exp` less the answer's `Date`")
            }
            (None, None) => (self.now.as_millis().div_euclid(1000), "`exp` less the time here"),
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a difference that large is reported whatever its last digits are"
        )]
        let claimed = exp.saturating_sub(from) as f64;
        if (stated - claimed).abs() <= TOLERANCE.as_secs_f64() {
            return None;
        }
        let (expected, found) = (format!("{stated:.0} s"), format!("{claimed:.0} s"));
        let text = format!(
            "the answer says that the token lives for {expected} (`expires_in`), the token says {found} ({by}); the earlier \
             end counts, unless it has passed already"
        );
        Some(Notice { check: Check::Expiry, text, expected, found })
    }

    fn clock_skew(&self) -> Option<Notice> {
        let date = self.date?;
        let apart = date.apart(self.now);
        if apart <= TOLERANCE {
            return None;
        }
        let way = if self.now > date { "ahead of" } else { "behind" };
        let text = format!(
            "the clock here is {} {way} the issuer's; set it right (NTP): an API may take a token for expired, or for not yet \
             valid, by a clock like this",
            span(apart)
        );
        let (expected, found) = (date.to_string(), self.now.to_string());
        Some(Notice { check: Check::ClockSkew, text, expected, found })
    }

    /// Only of an issuer that gives JWTs: others give opaque tokens for an audience as well (RFC 6749 §1.4).
    fn opaque(&self, form: Form) -> Option<Notice> {
        if !self.gives_jwts || form != Form::Opaque {
            return None;
        }
        let text = if self.audience.is_none() && self.resources.is_empty() {
            "the token is opaque, and this issuer gives JWTs to clients that say which API they are for: set `audience`"
        } else {
            "the token is opaque, and this issuer gives JWTs: check that the audience is an API of this issuer's, letter by \
             letter"
        };
        let (expected, found) = ("a JWT".to_owned(), "an opaque token".to_owned());
        Some(Notice { check: Check::Opaque, text: text.to_owned(), expected, found })
    }

    fn scope(&self, details: Option<&Details>) -> Option<Notice> {
        // Without a scope the issuer grants what it likes (RFC 6749 §3.3).
        if self.scopes.is_empty() {
            return None;
        }
        let asked: Vec<_> = self.scopes.iter().map(String::as_str).collect();
        let granted: Vec<_> = match (self.granted_scope, details) {
            (Some(scope), _) => scope.split_ascii_whitespace().collect(),
            (None, details) => details?.scope.as_ref()?.iter().map(String::as_str).collect(),
        };
        let without = |these: &[&str], those: &[&str]| -> Vec<String> {
            let these = these.iter().filter(|one| !those.contains(one));
            these.map(|&one| one.to_owned()).collect()
        };
        let (missing, more) = (without(&asked, &granted), without(&granted, &asked));
        let text = match (missing.is_empty(), more.is_empty()) {
            (true, true) => return None,
            (false, true) => format!(
                "the issuer did not grant {}: the API may refuse what needs it; check what the client is allowed",
                self.list(&missing)
            ),
            (true, false) => format!(
                "the issuer granted {} as well, which was not asked for: the token can do more than it needs to",
                self.list(&more)
            ),
            (false, false) => format!(
                "the issuer did not grant {}, and granted {} instead: check the spelling, and what the client is allowed",
                self.list(&missing),
                self.list(&more)
            ),
        };
        let (expected, found) = (self.list(&asked), self.list(&granted));
        Some(Notice { check: Check::Scope, text, expected, found })
    }

    /// Values as they may be shown: `"a", "b"`.
    fn list(&self, values: &[impl AsRef<str>]) -> String {
        let shown = values.iter().take(MOST_VALUES).map(|value| self.quote(value.as_ref()));
        let mut list = shown.collect::<Vec<_>>().join(", ");
        if values.len() > MOST_VALUES {
            list.push_str(&format!(" and {} more", values.len() - MOST_VALUES));
        }
        list
    }

    /// A value as it may be shown.
    fn quote(&self, value: &str) -> String {
        let hides = |hidden: &str| !hidden.is_empty() && value.contains(hidden);
        if hides(self.token) || hides(self.secret) {
            return "(redacted)".to_owned();
        }
        let shown = match value.char_indices().nth(LONGEST_VALUE) {
            Some((end, _)) => Cow::Owned(format!("{}…", &value[..end])),
            None => Cow::Borrowed(value),
        };
        format!("{shown:?}")
    }
}

/// A length of time, in the largest unit that it has at least two of.
fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    for (unit, name) in [(24 * 60 * 60, "days"), (60 * 60, "hours"), (60, "minutes")] {
        if seconds >= 2 * unit {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} seconds")
}

/// Which checks were spoken of already: each is, once for an authenticator.
#[derive(Debug)]
pub(crate) struct Once(AtomicU32);

impl Once {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Whether this is the first time that it is asked for `check`.
    pub(crate) fn first(&self, check: Check) -> bool {
        // Relaxed: nothing else is read or written by its answer.
        self.0.fetch_or(check.bit(), Ordering::Relaxed) & check.bit() == 0
    }
}

#[cfg(test)]
mod tests;
