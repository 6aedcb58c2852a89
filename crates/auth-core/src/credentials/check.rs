//! What a user has said of a client, checked once, and nothing kept unchecked.

use std::sync::Arc;

use super::{AssertionAudience, ClientCredentials};
use crate::error::ConfigError;
use crate::jose::Signer;
use crate::preflight;
use crate::profile::Profile;
use crate::secret::ClientSecret;
use crate::source::SecretSource;
use crate::wire::ClientAuth;
use crate::wire::dpop::Dpop;
use crate::wire::endpoint::HttpUrl;
use crate::wire::request::{Client, TokenEndpoint, TokenRequest, Where};
use crate::wire::well_known::Issuer;

/// What is left when everything is checked.
pub(crate) struct Checked {
    /// Still without the key that tokens are bound to.
    pub(crate) request: TokenRequest,
    pub(crate) dpop: Option<Dpop>,
    pub(crate) source: Option<SecretSource>,
    /// What the keys are derived from instead of the secret.
    pub(crate) sealing: Option<ClientSecret>,
    /// What may be wrong, and is no reason to refuse.
    pub(crate) doubts: Vec<String>,
}

impl ClientCredentials {
    /// What a profile says, and nobody else has.
    pub(crate) fn filled(mut self, profile: &Profile) -> Self {
        if self.issuer.is_none() {
            self.issuer.clone_from(&profile.issuer);
        }
        if self.token_endpoint.is_none() && self.discovery.is_none() {
            self.token_endpoint.clone_from(&profile.token_endpoint);
        }
        if self.parameters.audience.is_none() && self.parameters.resources.is_empty() {
            self.parameters.audience.clone_from(&profile.audience);
        }
        self.client_auth.get_or_insert(profile.client_auth);
        self
    }

    /// Checks everything, and keeps nothing unchecked. Reads the secret.
    pub(crate) fn check(
        self,
        insecure_loopback: bool,
        profile: &Profile,
    ) -> Result<Checked, ConfigError> {
        preflight::identifier("client_id", &self.client_id)?;
        let auth = self.client_auth.unwrap_or_default();
        self.check_auth(auth)?;
        let secret = self.secret.as_ref().map(SecretSource::read).transpose();
        let secret = secret.map_err(|problem| ConfigError::new("client_secret", problem))?;
        let mut doubts = Vec::new();
        if let Some(secret) = &secret {
            preflight::secret("client_secret", secret.expose())?;
            if auth == ClientAuth::SecretJwt && secret.expose().len() < 32 {
                doubts.push(
                    "the client secret is shorter than 32 bytes, which HS256 asks for (RFC 7518 section 3.2): issuers \
                     may refuse its assertions"
                        .to_owned(),
                );
            }
        }
        let at = self.place(auth, insecure_loopback)?;
        self.parameters.check()?;
        doubts.extend(preflight::doubts(
            profile,
            at.issuer.as_ref().map(|issuer| issuer.as_str()),
            secret.as_ref().map_or("", ClientSecret::expose),
            self.parameters.audience.as_deref(),
        ));
        let dpop = self.dpop.map(checked_dpop).transpose()?;
        let client = Client {
            id: self.client_id,
            auth,
            secret,
            signer: self.signer,
            asserts_to_endpoint: self.assertion_audience == AssertionAudience::TokenEndpoint,
            has_certificate: self.has_certificate,
        };
        let sealing = match self.sealing_key {
            Some(key) => {
                preflight::text("sealing_key", key.expose())?;
                Some(key)
            }
            None => None,
        };
        check_headers(profile)?;
        let request = TokenRequest {
            at,
            client,
            parameters: self.parameters,
            headers: profile.headers.clone(),
            dpop: None,
        };
        Ok(Checked { request, dpop, source: self.secret, sealing, doubts })
    }

    fn check_auth(&self, auth: ClientAuth) -> Result<(), ConfigError> {
        let fail = |problem: String| Err(ConfigError::new("client_auth", problem));
        let method = auth.method();
        if auth.takes_secret() != self.secret.is_some() {
            return fail(if auth.takes_secret() {
                format!("`{method}` takes a secret: `ClientCredentials::new` gives it one")
            } else {
                format!("`{method}` has no use for a secret: this client must not have one")
            });
        }
        if auth.takes_key() != self.signer.is_some() {
            return fail(if auth.takes_key() {
                format!(
                    "`{method}` takes a private key: `ClientCredentials::with_key` gives it one"
                )
            } else {
                format!("`{method}` has no use for the private key that this client has")
            });
        }
        if auth == ClientAuth::BasicRaw && self.client_id.contains(':') {
            return Err(ConfigError::new(
                "client_id",
                "has a colon, which `BasicRaw` cannot send (RFC 7617 section 2)",
            ));
        }
        Ok(())
    }

    fn place(&self, auth: ClientAuth, insecure_loopback: bool) -> Result<Where, ConfigError> {
        let issuer = self.issuer.as_deref();
        let issuer = issuer.map(|issuer| Issuer::parse(issuer, insecure_loopback)).transpose()?;
        let token_endpoint = match (&self.token_endpoint, self.discovery) {
            (Some(url), None) => {
                TokenEndpoint::Fixed(HttpUrl::parse("token_endpoint", url, insecure_loopback)?)
            }
            (None, Some(discovery)) => TokenEndpoint::Discovered(discovery),
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(
                    "token_endpoint",
                    "is set, and to be discovered as well; choose one",
                ));
            }
            (None, None) => return Err(ConfigError::new("token_endpoint", "is missing")),
        };
        if issuer.is_none() {
            if self.discovery.is_some() {
                return Err(ConfigError::new(
                    "issuer",
                    "is missing: the metadata is found by the issuer identifier",
                ));
            }
            if auth.asserts() && self.assertion_audience == AssertionAudience::Issuer {
                return Err(ConfigError::new(
                    "issuer",
                    "is missing: assertions are addressed to the issuer identifier, unless `assertion_audience` says that \
                     this issuer wants the token endpoint",
                ));
            }
        }
        let parse = |field, url: &Option<String>| {
            let url = url
                .as_deref()
                .map(|url| HttpUrl::parse(field, url, insecure_loopback))
                .transpose()?;
            Ok::<_, ConfigError>(url.map(Box::new))
        };
        Ok(Where {
            issuer: issuer.map(Box::new),
            token_endpoint,
            introspection_endpoint: parse("introspection_endpoint", &self.introspection_endpoint)?,
            revocation_endpoint: parse("revocation_endpoint", &self.revocation_endpoint)?,
        })
    }
}

/// What a profile adds must not take the place of what the request is made of.
fn check_headers(profile: &Profile) -> Result<(), ConfigError> {
    const OURS: [&str; 6] =
        ["accept", "authorization", "content-length", "content-type", "dpop", "host"];
    match profile.headers.iter().find(|(name, _)| OURS.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err(ConfigError::new(
            "profile",
            format!("has a header `{name}`, which the token request has by itself"),
        )),
    }
}

fn checked_dpop(signer: Arc<dyn Signer>) -> Result<Dpop, ConfigError> {
    let algorithm = signer.algorithm().to_owned();
    if algorithm == "none" || algorithm.starts_with("HS") {
        return Err(ConfigError::new(
            "dpop",
            format!(
                "has a key for `{algorithm}`; proofs are signed with a private key (RFC 9449 section 4.2)"
            ),
        ));
    }
    Dpop::new(signer).ok_or_else(|| {
        ConfigError::new(
            "dpop",
            "has a key that does not tell its public half (`Signer::public_jwk`), which stands in every proof",
        )
    })
}
