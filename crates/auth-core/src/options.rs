//! What one request wants otherwise.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::credential::Credential;
use crate::token::Generation;

/// What one request wants otherwise, in its extensions: those of [`http::Request`] for a tower stack, and those that
/// reqwest-middleware's `with_extension` sets.
///
/// ```
/// use std::time::Duration;
///
/// use auth_core::RequestOptions;
///
/// # fn main() -> Result<(), http::Error> {
/// let mut request = http::Request::get("https://api.example/v2/shipments").body(())?;
/// request
///     .extensions_mut()
///     .insert(RequestOptions::new().wait_at_most(Duration::from_secs(2)).report());
/// # Ok(())
/// # }
/// ```
///
/// # Defaults
///
/// The credential that the routes say, for as long as it takes; replayed by the policy of the layer; nothing is reported.
#[derive(Clone, Default)]
pub struct RequestOptions {
    pub(crate) skip: bool,
    pub(crate) credential: Option<Credential>,
    replay: Replay,
    pub(crate) patience: Option<Duration>,
    pub(crate) report: bool,
}

#[derive(Clone, Default)]
enum Replay {
    #[default]
    ByPolicy,
    Never,
    With(Arc<dyn Any + Send + Sync>),
}

/// What makes a second body; `B` is how it is found again.
struct Copies<B>(Box<dyn Fn() -> B + Send + Sync>);

impl RequestOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// No credential: the request passes on as it is, wherever it goes. What it carries of its own is its own.
    #[must_use]
    pub fn skip(mut self) -> Self {
        self.skip = true;
        self
    }

    /// This credential, whatever the routes say of others. One that is in the table of routes goes to the places that the table has it for,
    /// rules for no credential counting as well, and any other to the origins that it is bound to
    /// ([`Builder::origin`](crate::Builder::origin)). To any other place the request fails, unless the table lets such requests pass bare
    /// ([`Unmatched::PassBare`](crate::Unmatched::PassBare)).
    ///
    /// For programs that have a credential for each of their tenants.
    #[must_use]
    pub fn credential(mut self, credential: impl Into<Credential>) -> Self {
        self.credential = Some(credential.into());
        self
    }

    /// The request is not sent a second time. Its 401 goes back to the caller, and counts all the same.
    #[must_use]
    pub fn never_replay(mut self) -> Self {
        self.replay = Replay::Never;
        self
    }

    /// What makes the body once more, for a body that the layer's policy cannot copy. `B` is the type of the request's body; a copy of
    /// another type is none.
    ///
    /// ```
    /// use auth_core::RequestOptions;
    ///
    /// let options = RequestOptions::new().replay_with(|| String::from("a small document"));
    /// ```
    #[must_use]
    pub fn replay_with<B: 'static>(mut self, make: impl Fn() -> B + Send + Sync + 'static) -> Self {
        self.replay = Replay::With(Arc::new(Copies(Box::new(make))));
        self
    }

    /// How long the request waits for a token that is not at hand, before it fails with [`Error::is_wait_over`](crate::Error::is_wait_over);
    /// after a 401, before that is given back. The token request goes on for others.
    #[must_use]
    pub fn wait_at_most(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The response's extensions are to have a [`CredentialUsed`].
    #[must_use]
    pub fn report(mut self) -> Self {
        self.report = true;
        self
    }

    /// For adapters: whether the request is to pass on as it is.
    pub fn skips(&self) -> bool {
        self.skip
    }

    /// For adapters: whether the response is to say what it was asked with.
    pub fn reports(&self) -> bool {
        self.report
    }

    /// For adapters: how long a token is waited for.
    pub fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// For adapters: whether the request must not be sent twice.
    pub fn replays_never(&self) -> bool {
        matches!(self.replay, Replay::Never)
    }

    /// For adapters: the body once more, if the request says how.
    pub fn copy<B: 'static>(&self) -> Option<B> {
        let Replay::With(copies) = &self.replay else { return None };
        copies.downcast_ref::<Copies<B>>().map(|copies| (copies.0)())
    }
}

impl fmt::Debug for RequestOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replay = match self.replay {
            Replay::ByPolicy => "by policy",
            Replay::Never => "never",
            Replay::With(_) => "with a copy",
        };
        f.debug_struct("RequestOptions")
            .field("skip", &self.skip)
            .field("credential", &self.credential.as_ref().map(Credential::name))
            .field("replay", &replay)
            .field("patience", &self.patience)
            .field("report", &self.report)
            .finish()
    }
}

/// Which credential a response was asked with: in its extensions, where the request's [`RequestOptions`] say so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialUsed {
    /// The credential's name.
    pub credential: Arc<str>,
    /// Which of its tokens or keys: of the last attempt, if there were several.
    pub generation: Generation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_of_the_bodys_type_or_none() {
        let options = RequestOptions::new().replay_with(|| "body");
        assert_eq!(options.copy::<&str>(), Some("body"));
        assert_eq!(options.copy::<String>(), None);
        assert_eq!(RequestOptions::new().copy::<&str>(), None);
        let options = options.never_replay();
        assert!(options.replays_never());
        assert_eq!(options.copy::<&str>(), None);
    }
}
