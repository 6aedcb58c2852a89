//! One credential: an id, the hash of its secret, what it opens, and what it has asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::hash::SecretHash;
use crate::moment;
use crate::past::{Cause, Held, Outcome, PastRequest};
use crate::quota::Spends;
use crate::resource::Resource;

/// How many token requests are remembered of a credential.
const REMEMBERED: usize = 50;

/// How many of the last are, whether they spent a unit or not.
const RECENT: usize = 20;

/// Of how many audiences the last token is remembered, to tell why the next one is asked for.
const AUDIENCES: usize = 16;

/// What a credential opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grant {
    /// Everything, and any scope that it asks for: a client that the builder was given without more.
    All,
    /// The resources that were ticked.
    Only(BTreeSet<Resource>),
}

/// A credential, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Credential {
    pub(crate) client_id: String,
    pub(crate) name: String,
    pub(crate) grant: Grant,
    pub(crate) is_enabled: bool,
    #[serde(with = "moment::stored")]
    pub(crate) created: SystemTime,
    /// The order of the list. No other credential ever has it, not even one with the same id.
    pub(crate) number: u64,
    pub(crate) secret: SecretHash,
    pub(crate) spends: Spends,
    /// How many units it has ever spent.
    pub(crate) spent: u64,
    held: BTreeMap<String, Held>,
    requests: VecDeque<(u64, PastRequest)>,
    next_request: u64,
}

/// The credential that a token was issued to, by its number: a later one with the same id is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Serial(pub(crate) u64);

/// Whether somebody is who they say.
pub(crate) enum Known {
    Yes(Serial, Grant),
    Disabled,
    No,
}

/// What was asked for is not within the grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BeyondGrant;

impl Grant {
    /// The scope of a token, if `asked` was asked for (RFC 6749 §3.3).
    ///
    /// # Errors
    ///
    /// When something is asked for that was not ticked, or that is no scope.
    pub(crate) fn scope(&self, asked: Option<&str>) -> Result<Option<String>, BeyondGrant> {
        if !asked.is_none_or(is_scope) {
            return Err(BeyondGrant);
        }
        match (self, asked) {
            (Self::All, asked) => Ok(asked.map(str::to_owned)),
            (Self::Only(ticked), None) => Ok(Some(names(ticked))),
            (Self::Only(ticked), Some(asked)) => {
                let wanted: Result<BTreeSet<Resource>, _> =
                    asked.split(' ').map(str::parse).collect();
                match wanted {
                    Ok(wanted) if wanted.is_subset(ticked) => Ok(Some(names(&wanted))),
                    _ => Err(BeyondGrant),
                }
            }
        }
    }

    /// Whether a token with this `scope` opens `resource`.
    ///
    /// What was taken from the grant since is closed to tokens that name it, and to those that name nothing. One that may have
    /// everything has what it asked for, if it asked for resources at all.
    pub(crate) fn opens(&self, scope: Option<&str>, resource: Resource) -> bool {
        let mut names = scope.unwrap_or_default().split(' ');
        let is_named = names.clone().any(|name| name == resource.name());
        match self {
            Self::Only(ticked) => ticked.contains(&resource) && (scope.is_none() || is_named),
            Self::All => is_named || !names.any(|name| name.parse::<Resource>().is_ok()),
        }
    }
}

/// Names with one space between two (RFC 6749 §3.3): visible ASCII without quotation marks and backslashes.
fn is_scope(text: &str) -> bool {
    text.split(' ').all(|name| {
        let is_good = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        !name.is_empty() && name.bytes().all(is_good)
    })
}

fn names(resources: &BTreeSet<Resource>) -> String {
    resources.iter().map(|resource| resource.name()).collect::<Vec<_>>().join(" ")
}

impl Credential {
    pub(crate) fn new(
        client_id: String,
        name: String,
        secret: SecretHash,
        grant: Grant,
        number: u64,
        created: SystemTime,
    ) -> Self {
        Self {
            client_id,
            name,
            grant,
            is_enabled: true,
            created,
            number,
            secret,
            spends: Spends::default(),
            spent: 0,
            held: BTreeMap::new(),
            requests: VecDeque::new(),
            next_request: 0,
        }
    }

    /// How it stands with whoever has shown its secret.
    pub(crate) fn known(&self) -> Known {
        match self.is_enabled {
            true => Known::Yes(Serial(self.number), self.grant.clone()),
            false => Known::Disabled,
        }
    }

    /// Why a token for `audience` is asked for at `now`.
    pub(crate) fn cause(
        &self,
        audience: &str,
        is_revoked: impl FnOnce(u64) -> bool,
        now: SystemTime,
    ) -> Cause {
        Cause::of(self.held.get(audience).copied(), is_revoked, now)
    }

    /// Remembers a token request; the number by which to say how it ended.
    pub(crate) fn begun(&mut self, request: PastRequest) -> u64 {
        let number = self.next_request;
        self.next_request += 1;
        self.spent += u64::from(request.spent);
        if self.requests.len() == REMEMBERED {
            // Of those before the last few, the ones that cost something are worth more: they say what became of the quota.
            let mut older = self.requests.range(..REMEMBERED - RECENT);
            let free = older.position(|(_, past)| !past.spent);
            self.requests.remove(free.unwrap_or(0));
        }
        self.requests.push_back((number, request));
        number
    }

    /// How it ended, if it is still remembered.
    pub(crate) fn ended(&mut self, number: u64, outcome: Outcome) {
        let mut requests = self.requests.iter_mut();
        if let Some((_, request)) = requests.find(|(known, _)| *known == number) {
            request.outcome = Some(outcome);
        }
    }

    /// Remembers the token that it was given.
    pub(crate) fn holds(&mut self, audience: &str, held: Held) {
        if self.held.len() >= AUDIENCES && !self.held.contains_key(audience) {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.issued_at);
            if let Some(oldest) = oldest.map(|(audience, _)| audience.clone()) {
                self.held.remove(&oldest);
            }
        }
        self.held.insert(audience.to_owned(), held);
    }

    /// The token requests that are remembered, the last one first.
    pub(crate) fn requests(&self) -> Vec<PastRequest> {
        self.requests.iter().rev().map(|(_, request)| *request).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn only(resources: impl IntoIterator<Item = Resource>) -> Grant {
        Grant::Only(resources.into_iter().collect())
    }

    #[test]
    fn a_scope_is_what_was_ticked_or_less() {
        let grant = only([Resource::Invoices, Resource::Shipments]);
        assert_eq!(grant.scope(None), Ok(Some("shipments invoices".to_owned())));
        assert_eq!(grant.scope(Some("invoices")), Ok(Some("invoices".to_owned())));
        assert_eq!(grant.scope(Some("invoices documents")), Err(BeyondGrant));
        assert_eq!(grant.scope(Some("read:invoices")), Err(BeyondGrant));
        assert_eq!(only([]).scope(None), Ok(Some(String::new())));
        assert_eq!(Grant::All.scope(Some("read:x")), Ok(Some("read:x".to_owned())));
        assert_eq!(Grant::All.scope(None), Ok(None));
        for bad in ["a  b", " a", "a ", " ", "a\"b", "a\\b", "a\nb", "a\tb", "é", "\u{7f}"] {
            assert_eq!(Grant::All.scope(Some(bad)), Err(BeyondGrant), "{bad:?}");
        }
        assert_eq!(grant.scope(Some("invoices  shipments")), Err(BeyondGrant));
        assert_eq!(Grant::All.scope(Some("!#[]~ x")), Ok(Some("!#[]~ x".to_owned())));
    }

    #[test]
    fn a_token_opens_no_more_than_its_grant_does_now() {
        let grant = only([Resource::Invoices, Resource::Shipments]);
        let opens = |grant: &Grant, scope| {
            Resource::ALL.into_iter().filter(|resource| grant.opens(scope, *resource)).count()
        };
        // The scope is of a time when documents were ticked, or everything was granted.
        assert_eq!(opens(&grant, Some("invoices documents")), 1);
        assert!(!grant.opens(Some("invoices documents"), Resource::Documents));
        assert_eq!(opens(&grant, None), 2);
        assert_eq!(opens(&grant, Some("read:x")), 0);
        assert_eq!(opens(&only([]), None), 0);
        assert_eq!(opens(&Grant::All, None), Resource::ALL.len());
        assert_eq!(opens(&Grant::All, Some("invoices read:x")), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let secret = SecretHash::of("x");
        let mut credential =
            Credential::new("id".into(), "name".into(), secret, Grant::All, 0, UNIX_EPOCH);
        let request =
            PastRequest { at: UNIX_EPOCH, cause: Cause::Start, outcome: None, spent: true };
        let first = credential.begun(request);
        for index in 0..1000 {
            let number = credential.begun(request);
            credential.ended(number, Outcome::Issued);
            let issued_at = UNIX_EPOCH + Duration::from_secs(index);
            let held = Held { number: index, issued_at, expires_at: issued_at };
            credential.holds(&format!("audience {index}"), held);
        }
        credential.ended(first, Outcome::Failed);
        assert_eq!(credential.requests().len(), REMEMBERED);
        assert!(credential.requests().iter().all(|past| past.outcome == Some(Outcome::Issued)));
        for _ in 0..1000 {
            credential.begun(PastRequest { spent: false, ..request });
        }
        assert_eq!(credential.requests().len(), REMEMBERED);
        let free = credential.requests().iter().filter(|past| !past.spent).count();
        assert_eq!(free, RECENT + 1, "refusals do not push out what was spent");
        assert_eq!(credential.held.len(), AUDIENCES);
        assert!(credential.held.contains_key("audience 999"));
        assert_eq!(credential.spent, 1001);
    }
}
