//! `ApiKeyBuilder`: everything about a key checked before the first request.

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;

use super::ApiKey;
use super::format::{KeyFormat, header_name};
use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::preflight;
use crate::source::SecretSource;

/// How an [`ApiKey`] is made, and where it stands in a request.
///
/// # Defaults
///
/// | setting | default |
/// |---|---|
/// | the header | `Authorization` |
/// | the form | `Bearer <key>`; with [`in_header`](Self::in_header) the key alone |
/// | [`clock`](Self::clock) | [`SystemClock`] |
///
/// ```
/// use auth_core::ApiKey;
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// // X-Api-Key: k-0123456789
/// let key = ApiKey::builder("orders", "k-0123456789").in_header("X-Api-Key").build()?;
/// // Authorization: Token token="k-0123456789"
/// let key = ApiKey::builder("orders", "k-0123456789").token().build()?;
/// // Authorization: ApiKey k-0123456789
/// let key = ApiKey::builder("orders", "k-0123456789").prefixed("ApiKey ").build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing before `build`"]
pub struct ApiKeyBuilder {
    name: String,
    source: SecretSource,
    header: Option<String>,
    format: Option<KeyFormat>,
    clock: Option<Arc<dyn Clock>>,
}

impl ApiKey {
    /// A key that goes as `Bearer <key>` (RFC 6750 §2.1) into the `Authorization` header. `name` is for logs and errors.
    ///
    /// # Errors
    ///
    /// As [`ApiKeyBuilder::build`].
    pub fn new(
        name: impl Into<String>,
        source: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        Self::builder(name, source).build()
    }

    /// A key in another form, or another header. `name` is for logs and errors.
    pub fn builder(name: impl Into<String>, source: impl Into<SecretSource>) -> ApiKeyBuilder {
        ApiKeyBuilder {
            name: name.into(),
            source: source.into(),
            header: None,
            format: None,
            clock: None,
        }
    }
}

impl ApiKeyBuilder {
    /// Into this header (RFC 9110 §5.1) instead of `Authorization`; the key alone, unless a form is chosen as well.
    pub fn in_header(mut self, name: impl AsRef<str>) -> Self {
        self.header = Some(name.as_ref().to_owned());
        self
    }

    /// As `Bearer <key>` (RFC 6750 §2.1).
    pub fn bearer(mut self) -> Self {
        self.format = Some(KeyFormat::Bearer);
        self
    }

    /// As `Token token="<key>"`, with `"` and `\` in the key escaped (RFC 9110 §5.6.4).
    pub fn token(mut self) -> Self {
        self.format = Some(KeyFormat::Token);
        self
    }

    /// After this text, such as `ApiKey ` with the space that separates a scheme from what follows (RFC 9110 §11.4).
    pub fn prefixed(mut self, prefix: impl Into<String>) -> Self {
        self.format = Some(KeyFormat::Prefixed(prefix.into()));
        self
    }

    /// Where time comes from.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Checks everything, and reads the key. It blocks for as long as its source does; a command has 5 s.
    ///
    /// # Errors
    ///
    /// When the name is empty or has control characters; when the header frames or routes the request, or is no field name
    /// (RFC 9110 §5.1); when the prefix cannot stand in a header; when the source cannot be read, or the key is empty,
    /// a placeholder, longer than 16 KiB, or has characters other than visible ASCII and spaces. The error names the
    /// setting, and never quotes the key.
    pub fn build(self) -> Result<ApiKey, ConfigError> {
        preflight::text("name", &self.name)?;
        let header = self.header.as_deref().map(header_name).transpose()?;
        let usual = if header.is_some() { KeyFormat::Bare } else { KeyFormat::Bearer };
        let format = self.format.unwrap_or(usual);
        format.check()?;
        let key = self.source.read().map_err(|problem| ConfigError::new("key", problem))?;
        let text = format.value(&key)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let header = header.unwrap_or(AUTHORIZATION);
        Ok(ApiKey::of(self.name.into(), &header, format, self.source, text, clock))
    }
}

impl fmt::Debug for ApiKeyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyBuilder")
            .field("name", &self.name)
            .field("source", &self.source)
            .field("header", &self.header)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
