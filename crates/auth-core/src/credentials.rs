//! What a user was given by the issuer, and wants to ask it for.

use std::fmt;

use crate::error::ConfigError;
use crate::secret::ClientSecret;
use crate::wire::ClientAuth;
use crate::wire::endpoint::HttpUrl;
use crate::wire::request::TokenRequest;

/// An OAuth client's id and secret, and which token to ask for with them (RFC 6749 §4.4).
///
/// Nothing is checked here; [`Builder::build`](crate::Builder::build) checks it all, and names what is wrong.
///
/// ```
/// use auth_core::{ClientAuth, ClientCredentials};
///
/// let credentials = ClientCredentials::new("client-id", "client-secret")
///     .token_endpoint("https://api.flexport.com/oauth/token")
///     .audience("https://api.flexport.com")
///     .client_auth(ClientAuth::PostJson);
/// ```
///
/// # Defaults
///
/// No audience, no scopes, no extra parameters; [`ClientAuth::Post`]. The token endpoint must be set.
#[derive(Clone)]
pub struct ClientCredentials {
    client_id: String,
    secret: ClientSecret,
    token_endpoint: Option<String>,
    audience: Option<String>,
    scopes: Vec<String>,
    parameters: Vec<(String, String)>,
    client_auth: ClientAuth,
}

impl ClientCredentials {
    /// The pair that the issuer made.
    pub fn new(client_id: impl Into<String>, secret: impl Into<ClientSecret>) -> Self {
        Self {
            client_id: client_id.into(),
            secret: secret.into(),
            token_endpoint: None,
            audience: None,
            scopes: Vec::new(),
            parameters: Vec::new(),
            client_auth: ClientAuth::default(),
        }
    }

    /// Where tokens are given: an absolute https URL (RFC 6749 §3.2), without a secret in it. What the issuer counts is the pair of this URL and
    /// the client id, so all authenticators of one client should spell it alike.
    #[must_use]
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.token_endpoint = Some(url.into());
        self
    }

    /// Which API the token is for, as the issuer knows it. If it is an absolute URL, its origin is where the token goes by
    /// default.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// One more scope (RFC 6749 §3.3).
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// One more parameter of the token request.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// How the id and the secret are sent. It is never tried out which way an issuer takes: a wrong one costs a token
    /// request.
    #[must_use]
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Checks everything, and keeps nothing unchecked.
    pub(crate) fn check(self, insecure_loopback: bool) -> Result<TokenRequest, ConfigError> {
        let text = |field, text: &str| -> Result<(), ConfigError> {
            if text.trim().is_empty() {
                return Err(ConfigError::new(field, "is empty"));
            }
            if text.trim() != text {
                return Err(ConfigError::new(
                    field,
                    "begins or ends with white space, as after a careless copy",
                ));
            }
            if text.chars().any(char::is_control) {
                return Err(ConfigError::new(field, "has control characters in it"));
            }
            Ok(())
        };
        text("client_id", &self.client_id)?;
        text("client_secret", self.secret.expose())?;
        let Some(endpoint) = &self.token_endpoint else {
            return Err(ConfigError::new("token_endpoint", "is missing"));
        };
        let endpoint = HttpUrl::parse("token_endpoint", endpoint, insecure_loopback)?;
        if self.client_auth == ClientAuth::BasicRaw && self.client_id.contains(':') {
            return Err(ConfigError::new(
                "client_id",
                "has a colon, which `BasicRaw` cannot send (RFC 7617 section 2)",
            ));
        }
        if let Some(audience) = &self.audience {
            text("audience", audience)?;
            if audience.contains(char::is_whitespace) {
                return Err(ConfigError::new("audience", "has white space in it"));
            }
            // An audience is a name, and many are URLs; what makes a URL unsafe or ambiguous makes the name so too.
            if let Some((_, rest)) = audience.split_once("://") {
                if rest.contains('#') {
                    return Err(ConfigError::new("audience", "is a URL with a fragment (`#…`)"));
                }
                if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
                    return Err(ConfigError::new("audience", "is a URL with user info (`user@`)"));
                }
            }
        }
        for scope in &self.scopes {
            // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
            let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            if scope.is_empty() || !scope.bytes().all(legal) {
                return Err(ConfigError::new(
                    "scope",
                    "is not one scope token (RFC 6749 section 3.3); set each with its own call",
                ));
            }
        }
        for (i, (name, value)) in self.parameters.iter().enumerate() {
            text("parameter", name)?;
            if value.is_empty() {
                return Err(ConfigError::new(
                    "parameter",
                    "has an empty value (RFC 6749 section 3.2 forbids it)",
                ));
            }
            if TokenRequest::is_reserved(name) {
                return Err(ConfigError::new(
                    "parameter",
                    "repeats one that has a setter of its own",
                ));
            }
            if self.parameters[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(ConfigError::new(
                    "parameter",
                    "stands twice (RFC 6749 section 3.2 forbids it)",
                ));
            }
        }
        Ok(TokenRequest {
            endpoint,
            client_id: self.client_id,
            secret: self.secret,
            auth: self.client_auth,
            audience: self.audience,
            scopes: self.scopes,
            parameters: self.parameters,
        })
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Extra parameters may be secrets too.
        f.debug_struct("ClientCredentials")
            .field("client_id", &self.client_id)
            .field(
                "token_endpoint",
                &self.token_endpoint.as_deref().and_then(|url| url.split('?').next()),
            )
            .field("audience", &self.audience)
            .field("scopes", &self.scopes)
            .field("client_auth", &self.client_auth)
            .finish_non_exhaustive()
    }
}
