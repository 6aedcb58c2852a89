//! What a user was given by the issuer, and wants to ask it for.

mod check;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::check::Checked;
use crate::jose::Signer;
use crate::secret::ClientSecret;
use crate::source::SecretSource;
use crate::wire::parameters::Parameters;
use crate::wire::{ClientAuth, Discovery};

/// An OAuth client, how it shows who it is, and which token to ask for (RFC 6749 §4.4).
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
/// A private key instead of a secret, at an issuer that says in its metadata where tokens are given:
///
/// ```
/// # #[cfg(feature = "ring")]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use auth_core::{Algorithm, ClientCredentials, Discovery, SigningKey};
///
/// let key = SigningKey::from_pem(Algorithm::Es256, &std::fs::read("key.pem")?)?;
/// let credentials = ClientCredentials::with_key("client-id", key)
///     .issuer("https://issuer.example")
///     .discover(Discovery::OAuth)
///     .resource("https://api.example")
///     .scope("read");
/// # Ok(())
/// # }
/// ```
///
/// # Defaults
///
/// No audience, no scopes, no resources, no details, no extra parameters; [`ClientAuth::Post`] with a secret. The token endpoint
/// must be set, or the issuer and how to discover it.
#[derive(Clone)]
pub struct ClientCredentials {
    client_id: String,
    secret: Option<SecretSource>,
    signer: Option<Arc<dyn Signer>>,
    client_auth: Option<ClientAuth>,
    assertion_audience: AssertionAudience,
    issuer: Option<String>,
    token_endpoint: Option<String>,
    discovery: Option<Discovery>,
    introspection_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    parameters: Parameters,
    dpop: Option<Arc<dyn Signer>>,
    has_certificate: bool,
    sealing_key: Option<ClientSecret>,
}

/// Whom a client's assertions are addressed to: their `aud` (RFC 7523 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The issuer identifier, and nothing else (draft-ietf-oauth-rfc7523bis §4): an assertion for one issuer can then not
    /// be used at another.
    #[default]
    Issuer,
    /// The URL of the token endpoint, as RFC 7523 §3 has it and older issuers want it.
    TokenEndpoint,
}

impl ClientCredentials {
    /// A client with a secret: the pair that the issuer made (RFC 6749 §2.3.1). The secret is text, or a
    /// [`SecretSource`] that it is read from.
    pub fn new(client_id: impl Into<String>, secret: impl Into<SecretSource>) -> Self {
        Self { secret: Some(secret.into()), ..Self::bare(client_id, None) }
    }

    /// A client with a private key: `private_key_jwt` (RFC 7523 §2.2).
    pub fn with_key(client_id: impl Into<String>, key: impl Signer) -> Self {
        Self {
            signer: Some(Arc::new(key)),
            ..Self::bare(client_id, Some(ClientAuth::PrivateKeyJwt))
        }
    }

    /// A client with a certificate, which the transport shows when it connects: `tls_client_auth`, or
    /// `self_signed_tls_client_auth` if [`client_auth`](Self::client_auth) says so (RFC 8705 §2).
    pub fn with_certificate(client_id: impl Into<String>) -> Self {
        Self::bare(client_id, Some(ClientAuth::TlsClientAuth))
    }

    /// A client that proves nothing: `none` (RFC 6749 §2.1).
    pub fn public(client_id: impl Into<String>) -> Self {
        Self::bare(client_id, Some(ClientAuth::None))
    }

    fn bare(client_id: impl Into<String>, client_auth: Option<ClientAuth>) -> Self {
        Self {
            client_id: client_id.into(),
            secret: None,
            signer: None,
            client_auth,
            assertion_audience: AssertionAudience::default(),
            issuer: None,
            token_endpoint: None,
            discovery: None,
            introspection_endpoint: None,
            revocation_endpoint: None,
            parameters: Parameters::default(),
            dpop: None,
            has_certificate: false,
            sealing_key: None,
        }
    }

    /// Where tokens are given: an absolute https URL (RFC 6749 §3.2), without a secret in it. What the issuer counts is the
    /// pair of this URL and the client id, so all authenticators of one client should spell it alike.
    #[must_use]
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.token_endpoint = Some(url.into());
        self
    }

    /// The issuer identifier (RFC 8414 §2): what assertions are addressed to, and what its metadata is found by. To the
    /// character, a slash at its end included.
    #[must_use]
    pub fn issuer(mut self, identifier: impl Into<String>) -> Self {
        self.issuer = Some(identifier.into());
        self
    }

    /// Takes the token endpoint from the issuer's metadata (RFC 8414 §3), instead of [`token_endpoint`](Self::token_endpoint).
    /// The metadata is asked for before the first token request, costs no unit, and is kept as long as its `Cache-Control` says, an
    /// hour if it does not. A method or an algorithm that it does not list is an error before anything is spent. The ledger goes by the
    /// issuer identifier then.
    #[must_use]
    pub fn discover(mut self, document: Discovery) -> Self {
        self.discovery = Some(document);
        self
    }

    /// Where [`Authenticator::introspect`](crate::Authenticator::introspect) asks (RFC 7662 §2), if not where the metadata says.
    #[must_use]
    pub fn introspection_endpoint(mut self, url: impl Into<String>) -> Self {
        self.introspection_endpoint = Some(url.into());
        self
    }

    /// Where [`Authenticator::revoke`](crate::Authenticator::revoke) sends the token (RFC 7009 §2), if not where the metadata says.
    #[must_use]
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation_endpoint = Some(url.into());
        self
    }

    /// Which API the token is for, as the issuer knows it. If it is an absolute URL, its origin is where the token goes by
    /// default. Not in any RFC; where an issuer follows RFC 8707, it is [`resource`](Self::resource).
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.parameters.audience = Some(audience.into());
        self
    }

    /// One more scope (RFC 6749 §3.3).
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.parameters.scopes.push(scope.into());
        self
    }

    /// One more resource that the token is for: an absolute URI without a fragment (RFC 8707 §2). Without an audience, the
    /// origins of those that are http URLs are where the token goes by default.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.parameters.resources.push(resource.into());
        self
    }

    /// `authorization_details` (RFC 9396 §2): a JSON array of objects, each with a `type`.
    #[must_use]
    pub fn authorization_details(mut self, json: impl Into<String>) -> Self {
        self.parameters.authorization_details = Some(json.into());
        self
    }

    /// One more parameter of the token request (RFC 6749 §8.2).
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.extra.push((name.into(), value.into()));
        self
    }

    /// How the client shows who it is (RFC 6749 §2.3). It is never tried out which way an issuer takes: a wrong one costs a token
    /// request.
    #[must_use]
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = Some(client_auth);
        self
    }

    /// Whom assertions are addressed to (RFC 7523 §3).
    #[must_use]
    pub fn assertion_audience(mut self, audience: AssertionAudience) -> Self {
        self.assertion_audience = audience;
        self
    }

    /// Binds tokens to this key (RFC 9449): each token request and each request to the API carries a proof. The issuer must answer
    /// with `token_type` `DPoP`. The key must tell its public half ([`Signer::public_jwk`]).
    ///
    /// An HTTP client that follows redirects below the adapter sends a proof to a URL that it is not for; see the adapter's documentation.
    ///
    /// A token can be used with its key only. So with a key that is made in memory every process fetches a token of its own; one
    /// that processes are to share comes from a file.
    #[must_use]
    pub fn dpop(mut self, key: impl Signer) -> Self {
        self.dpop = Some(Arc::new(key));
        self
    }

    /// Says that the transport shows a client certificate although the client is known by something else: for tokens that are bound
    /// to the certificate (RFC 8705 §3). With [`discover`](Self::discover), the endpoints under `mtls_endpoint_aliases` are used
    /// (§5).
    #[must_use]
    pub fn certificate_bound(mut self) -> Self {
        self.has_certificate = true;
        self
    }

    /// What the tokens in the store are sealed with: by default the secret, or what the private key has for it
    /// ([`Signer::derivation_secret`]). To be given where there is neither, as with certificates: at least 128 random bits, the same in
    /// every process that shares the tokens.
    #[must_use]
    pub fn sealing_key(mut self, key: impl Into<ClientSecret>) -> Self {
        self.sealing_key = Some(key.into());
        self
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Extra parameters and details may be secrets too.
        f.debug_struct("ClientCredentials")
            .field("client_id", &self.client_id)
            .field("issuer", &self.issuer)
            .field(
                "token_endpoint",
                &self.token_endpoint.as_deref().and_then(|url| url.split('?').next()),
            )
            .field("audience", &self.parameters.audience)
            .field("scopes", &self.parameters.scopes)
            .field("resources", &self.parameters.resources)
            .field("client_auth", &self.client_auth)
            .finish_non_exhaustive()
    }
}
