//! What a request must show.

/// What an endpoint wants of a request: nothing, a legacy key, or an access token that has been granted these scopes
/// (RFC 6749 §3.3).
///
/// ```
/// use auth_tower::server::Need;
///
/// let need = Need::scope("shipments").or_key();
/// assert!(need.takes_key() && need.is_met_by(|scope| scope == "shipments"));
/// assert!(!need.is_met_by(|scope| scope == "products"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    kind: Kind,
    scopes: Box<[Box<str>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Key,
    Token,
    /// With scopes or without: an empty list of them is a slip, and no other way to say `Token`.
    Scopes,
    TokenOrKey,
    ScopesOrKey,
}

impl Need {
    /// No credential. One that is sent is not looked at.
    pub fn nothing() -> Self {
        Self::of(Kind::Nothing)
    }

    /// A legacy key, and no token.
    pub fn key() -> Self {
        Self::of(Kind::Key)
    }

    /// A valid token, whatever it has been granted.
    pub fn token() -> Self {
        Self::of(Kind::Token)
    }

    /// A token that has been granted this scope.
    pub fn scope(scope: impl Into<String>) -> Self {
        Self::scopes([scope])
    }

    /// A token that has been granted all of these scopes.
    pub fn scopes<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes = scopes.into_iter().map(|scope| scope.into().into_boxed_str()).collect();
        Self { kind: Kind::Scopes, scopes }
    }

    /// A legacy key does as well: it opens every endpoint that takes one.
    #[must_use]
    pub fn or_key(mut self) -> Self {
        self.kind = match self.kind {
            Kind::Token | Kind::TokenOrKey => Kind::TokenOrKey,
            Kind::Scopes | Kind::ScopesOrKey => Kind::ScopesOrKey,
            kind @ (Kind::Nothing | Kind::Key) => kind,
        };
        self
    }

    /// Whether a request may come without a credential.
    pub fn is_nothing(&self) -> bool {
        self.kind == Kind::Nothing
    }

    /// Whether a token can be what is needed.
    pub fn takes_token(&self) -> bool {
        match self.kind {
            Kind::Token | Kind::TokenOrKey | Kind::Scopes | Kind::ScopesOrKey => true,
            Kind::Nothing | Kind::Key => false,
        }
    }

    /// Whether a legacy key is what is needed.
    pub fn takes_key(&self) -> bool {
        matches!(self.kind, Kind::Key | Kind::TokenOrKey | Kind::ScopesOrKey)
    }

    /// The scopes that a token must have been granted, all of them.
    pub fn required_scopes(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.scopes.iter().map(|scope| &**scope)
    }

    /// Whether a valid token does, of which `has` says whether it has been granted a scope.
    pub fn is_met_by(&self, mut has: impl FnMut(&str) -> bool) -> bool {
        self.takes_token() && self.scopes.iter().all(|scope| has(scope))
    }

    /// What is wrong with the scopes.
    pub(super) fn problem(&self) -> Option<String> {
        if matches!(self.kind, Kind::Scopes | Kind::ScopesOrKey) && self.scopes.is_empty() {
            return Some(
                "needs no scope of an empty list; write `Need::token()` for any token".to_owned(),
            );
        }
        let wrong = self.scopes.iter().find(|scope| !is_scope(scope))?;
        Some(if wrong.is_empty() {
            "has an empty scope; write `Need::token()` for any token".to_owned()
        } else {
            format!(
                "has the scope {wrong:?}, which is no scope (RFC 6749 §3.3): visible ASCII without quotes and backslashes; \
                 write each of several on its own in `Need::scopes`"
            )
        })
    }

    fn of(kind: Kind) -> Self {
        Self { kind, scopes: Box::default() }
    }
}

/// `scope-token` (RFC 6749 §3.3).
pub(super) fn is_scope(text: &str) -> bool {
    let is_legal = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.bytes().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_says_which_credentials_do() {
        for (need, nothing, token, key) in [
            (Need::nothing(), true, false, false),
            (Need::nothing().or_key(), true, false, false),
            (Need::key(), false, false, true),
            (Need::key().or_key(), false, false, true),
            (Need::token(), false, true, false),
            (Need::token().or_key(), false, true, true),
            (Need::scope("a"), false, true, false),
            (Need::scopes(["a", "b"]).or_key().or_key(), false, true, true),
        ] {
            let told = (need.is_nothing(), need.takes_token(), need.takes_key());
            assert_eq!(told, (nothing, token, key), "{need:?}");
        }
    }

    #[test]
    fn a_token_must_have_been_granted_every_scope() {
        let need = Need::scopes(["a", "b"]);
        assert!(need.is_met_by(|scope| ["c", "b", "a"].contains(&scope)));
        assert!(!need.is_met_by(|scope| scope == "a") && !need.is_met_by(|scope| scope == "b"));
        assert!(Need::token().is_met_by(|_| false) && Need::token().or_key().is_met_by(|_| false));
        assert!(!Need::key().is_met_by(|_| true) && !Need::nothing().is_met_by(|_| true));
    }

    #[test]
    fn what_is_no_scope_is_told() {
        for wrong in ["", "a b", "a\"", "a\\", "\u{e9}", "a\n"] {
            assert!(Need::scopes(["a", wrong]).or_key().problem().is_some(), "{wrong:?}");
        }
        assert!(Need::scopes(Vec::<String>::new()).problem().is_some());
        assert_eq!(Need::scopes(["read:x", "https://a.example/~b"]).problem(), None);
        assert_eq!(Need::token().problem(), None);
    }
}
