//! What the settings page shows, as plain values: no registry, no clock, nothing to decide.

use secrecy::SecretString;

/// The page "Settings → API".
pub(crate) struct SettingsView {
    pub(crate) credentials: Vec<CredentialView>,
    /// Shown on the first page after it was made, and on no other.
    pub(crate) created: Option<ShownOnce>,
    /// A key that was just generated, shown once as well.
    pub(crate) new_key: Option<SecretString>,
    pub(crate) has_key: bool,
    pub(crate) key_created: Option<String>,
    /// The value that every form must carry.
    pub(crate) csrf: String,
    pub(crate) notice: Option<String>,
    /// What the form for new credentials holds, if it was refused.
    pub(crate) draft: Draft,
    /// Name and title of each resource that can be ticked.
    pub(crate) resources: Vec<(&'static str, &'static str)>,
    pub(crate) token_endpoint: String,
    pub(crate) audience: String,
}

/// An id and its secret, which nobody can look up later.
pub(crate) struct ShownOnce {
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretString,
}

/// The form for new credentials, given back as it was filled in, with what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) name: String,
    /// The names of the ticked resources.
    pub(crate) resources: Vec<String>,
    pub(crate) problem: Option<String>,
}

/// One row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CredentialView {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The titles of the resources that are enabled.
    pub(crate) resources: Vec<&'static str>,
    pub(crate) status: Status,
    pub(crate) created: String,
    pub(crate) quota: QuotaView,
    /// The latest first.
    pub(crate) requests: Vec<RequestView>,
}

/// Whether the credential can get tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    Disabled,
}

/// The token requests of the running window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuotaView {
    /// `None` is without limit.
    pub(crate) limit: Option<u32>,
    /// How many units are spent now.
    pub(crate) spent: u32,
    /// What is remembered of them: the latest ones, the oldest first.
    pub(crate) spends: Vec<SpentView>,
    /// When the next unit is back, if one is spent.
    pub(crate) next_opens: Option<String>,
}

/// A unit that is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpentView {
    pub(crate) at: String,
    /// Why the client asked, as far as it said.
    pub(crate) cause: Option<String>,
    pub(crate) outcome: String,
}

/// A unit as the page draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dot<'a> {
    /// With what is remembered of it.
    Spent(Option<&'a SpentView>),
    Left,
}

/// A token request of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestView {
    pub(crate) at: String,
    pub(crate) cause: Option<String>,
    pub(crate) outcome: String,
    pub(crate) spent: bool,
}

/// A question before something that cannot be undone.
pub(crate) struct ConfirmView {
    pub(crate) action: Confirmed,
    pub(crate) client_id: String,
    pub(crate) name: String,
    pub(crate) csrf: String,
}

/// What a page of its own asks about first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmed {
    Rotate,
    Delete,
}

/// More units than this are a bar: nobody counts so many dots.
const MOST_DOTS: u32 = 50;

impl QuotaView {
    /// How many units are left, if there is a limit.
    pub(crate) fn left(&self) -> Option<u32> {
        self.limit.map(|limit| limit.saturating_sub(self.spent))
    }

    /// One dot for each unit, the spent ones first; `None` if there are none to draw, or too many.
    pub(crate) fn dots(&self) -> Option<Vec<Dot<'_>>> {
        let limit = self.limit.filter(|limit| (1..=MOST_DOTS).contains(limit))?;
        // A quota that counts late can let more through than it has.
        let spent = self.spent.min(limit) as usize;
        let known = self.spends.len().min(spent);
        let forgotten = std::iter::repeat_n(Dot::Spent(None), spent - known);
        let known =
            self.spends[self.spends.len() - known..].iter().map(|spend| Dot::Spent(Some(spend)));
        let left = std::iter::repeat_n(Dot::Left, self.left()? as usize);
        Some(forgotten.chain(known).chain(left).collect())
    }
}

impl SpentView {
    /// What a dot says: `spent 10:31, expired, issued`.
    pub(crate) fn label(&self) -> String {
        match &self.cause {
            Some(cause) => format!("spent {}, {cause}, {}", self.at, self.outcome),
            None => format!("spent {}, {}", self.at, self.outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(limit: Option<u32>, spent: u32, known: usize) -> QuotaView {
        let spend = SpentView { at: "10:31".into(), cause: None, outcome: "issued".into() };
        QuotaView { limit, spent, spends: vec![spend; known], next_opens: None }
    }

    #[test]
    fn there_is_a_dot_for_each_unit_up_to_fifty() {
        let view = quota(Some(10), 3, 2);
        let dots = view.dots().unwrap();
        assert_eq!(dots.len(), 10);
        assert_eq!(dots[0], Dot::Spent(None));
        assert!(dots[1..3].iter().all(|dot| matches!(dot, Dot::Spent(Some(_)))));
        assert!(dots[3..].iter().all(|dot| *dot == Dot::Left));
        assert_eq!(quota(Some(50), 0, 0).dots().unwrap().len(), 50);
        for view in [quota(Some(51), 0, 0), quota(Some(0), 0, 0), quota(None, 2, 2)] {
            assert_eq!(view.dots(), None);
        }
    }

    #[test]
    fn there_are_no_more_dots_than_units_whatever_is_remembered() {
        for (spent, known) in [(3, 0), (3, 3), (3, 9), (u32::MAX, 2)] {
            let view = quota(Some(2), spent, known);
            let dots = view.dots().unwrap();
            assert_eq!(dots.len(), 2);
            assert!(dots.iter().all(|dot| *dot != Dot::Left));
            assert_eq!(view.left(), Some(0));
        }
        let dots = quota(Some(10), 0, 9);
        assert!(dots.dots().unwrap().iter().all(|dot| *dot == Dot::Left));
    }

    #[test]
    fn a_dot_says_when_why_and_what_came_of_it() {
        let mut spend = quota(None, 1, 1).spends.remove(0);
        assert_eq!(spend.label(), "spent 10:31, issued");
        spend.cause = Some("expired".into());
        assert_eq!(spend.label(), "spent 10:31, expired, issued");
    }
}
