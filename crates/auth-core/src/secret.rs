//! Secrets that do not print, compare or serialize, and that are wiped from memory when they are dropped.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The secret half of an OAuth client's credentials.
///
/// It has no `Display`, no `Serialize` and no `PartialEq`; its `Debug` shows neither the text nor its length. The text is
/// zeroized when the last copy is dropped.
///
/// ```
/// use auth_core::ClientSecret;
///
/// let secret = ClientSecret::new("s3cr3t");
/// assert_eq!(format!("{secret:?}"), "ClientSecret(..)");
/// ```
#[derive(Clone)]
pub struct ClientSecret(SecretString);

impl ClientSecret {
    /// Takes the text over. Emptiness is refused later, when the authenticator is built.
    pub fn new(secret: impl Into<String>) -> Self {
        let text = Zeroizing::new(secret.into());
        // A copy of the exact size, since shrinking the string in place may leave its text behind.
        Self(SecretString::from(Box::<str>::from(text.as_str())))
    }

    /// Whether it is shorter than 128 random bits in base64.
    pub(crate) fn is_guessable(&self) -> bool {
        self.expose().len() < 22
    }

    /// Whether the two are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// The text itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(..)")
    }
}

impl From<String> for ClientSecret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl From<&str> for ClientSecret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}
