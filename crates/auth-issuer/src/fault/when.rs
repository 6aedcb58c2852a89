//! Which requests a fault befalls: where, and when.

use std::time::Duration;

use super::draw::Draws;

/// The part of the issuer that a [`Fault`](crate::Fault) befalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// The API that the tokens open: whatever is under `/v1` and `/v2`, be it there or not.
    Api,
    /// The issuer's public keys (RFC 7517 §5).
    Keys,
    /// All of the vendor's side: these three, revocation, the metadata documents, and paths that nobody knows. The settings
    /// page and the admin API are the test's own hands, and never meet a fault.
    Everywhere,
}

impl Place {
    pub(super) fn covers(self, place: Self) -> bool {
        self == Self::Everywhere || self == place
    }
}

/// Which of the requests at a [`Place`] meet a [`Fault`](crate::Fault).
///
/// Spans of time are on the issuer's own [`Clock`](crate::Clock), so that a test which moves it moves through them.
#[derive(Debug, Clone)]
#[must_use]
pub struct When(pub(super) Kind);

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Always,
    Next(usize),
    Sometimes {
        probability: f64,
        draws: Draws,
    },
    /// From the moment at which it is ordered.
    During(Duration),
    /// From the start of the issuer.
    Between(Duration, Duration),
}

impl When {
    /// All of them.
    pub fn always() -> Self {
        Self(Kind::Always)
    }

    /// The next `times` of those that meet no earlier fault.
    pub fn next(times: usize) -> Self {
        Self(Kind::Next(times))
    }

    /// Each with this probability. The same seed gives the same sequence of hits and misses.
    ///
    /// # Panics
    ///
    /// When `probability` is not from 0 to 1.
    #[track_caller]
    pub fn probability(probability: f64, seed: u64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "not a probability: {probability}");
        Self(Kind::Sometimes { probability, draws: Draws::seeded(seed) })
    }

    /// Those that arrive within `time` from now on; in a [`Script`](crate::Script), from the start of the issuer.
    pub fn during(time: Duration) -> Self {
        Self(Kind::During(time))
    }

    /// Those that arrive from `start` on and before `end`, both since the start of the issuer.
    pub fn between(start: Duration, end: Duration) -> Self {
        Self(Kind::Between(start, end))
    }
}
