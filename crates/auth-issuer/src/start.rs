//! Starting an issuer: everything checked, and put together.

use std::io;
use std::sync::Arc;

use axum::handler::Handler as _;
use axum::routing::post;
use axum::{Router, middleware};
use secrecy::{ExposeSecret, SecretString};

use crate::builder::{Client, IssuerBuilder};
use crate::error::{Kind, StartError};
use crate::fault::Stage;
use crate::issuer::Issuer;
use crate::jose::{ClientKeys, Nonces, PublicKey};
use crate::json_answer::wrong_method;
use crate::keys::{KeyError, SigningKey};
use crate::oauth::OAuth;
use crate::page::csrf::AdminAccess;
use crate::registry::Registry;
use crate::resource::Resource;
use crate::serve::{self, Server};
use crate::skew::SkewedClock;
use crate::state::State;
use crate::tokens::{Mint, Tokens};
use crate::{admin_api, api, base_url, metadata, page, random, token, unknown, upset};

impl Issuer {
    /// Starts an issuer with the [defaults of its builder](IssuerBuilder#defaults) on the present tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`IssuerBuilder::start`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Settings to start an issuer with.
    pub fn builder() -> IssuerBuilder {
        IssuerBuilder::new()
    }
}

impl IssuerBuilder {
    /// Starts the issuer on the present tokio runtime, which needs its I/O and time drivers enabled.
    ///
    /// The first start of a process also makes the signing key, on a blocking thread.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound or is not a loopback address, when the URL is none that an issuer can have, when the
    /// directory cannot be had or what is in it cannot be read, when the operating system gives no randomness, when the key
    /// cannot be made, and when a client's key cannot be used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped leaves nothing behind but what it has written into a directory by then, which the next one
    /// goes on with.
    pub async fn start(mut self) -> Result<Issuer, StartError> {
        if self.loopback_only && !self.address.ip().is_loopback() {
            return Err(Kind::NotLoopback(self.address).into());
        }
        let url = self.url.as_deref().map(base_url::parse).transpose().map_err(Kind::Url)?;
        let client_keys = client_keys(&self.client_keys)?;
        let nonces = if self.dpop_nonces { Some(Nonces::new(&random::bytes()?)) } else { None };
        let listener =
            serve::bind(self.address).map_err(|source| Kind::Bind(self.address, source))?;
        let address = listener.local_addr().map_err(|source| Kind::Bind(self.address, source))?;
        let url = url.unwrap_or_else(|| format!("http://{address}"));

        if self.audiences.is_empty() {
            self.audiences.push(url.clone());
        }
        let now = self.clock.now();
        let quota = self.quotas.unwrap_or_else(|| self.quota.into());
        let unusable = |source| {
            StartError::from(Kind::Directory(self.directory.clone().unwrap_or_default(), source))
        };
        let registry = match &self.directory {
            None => Registry::new(quota),
            Some(path) => Registry::open(quota, path).map_err(unusable)?,
        };
        let mint = match registry.attached(Tokens::NAME) {
            Some(saved) => {
                let mut mint = Mint::restored(saved, now).ok_or_else(|| {
                    let what = "the keys that were kept in it cannot be read";
                    unusable(io::Error::new(io::ErrorKind::InvalidData, what))
                })?;
                if let Some(key) = self.signing_key {
                    mint.sign_with(key, now, self.lifetime);
                }
                mint
            }
            None => Mint::new(signing_key(self.signing_key).await?, random::hex::<8>()?),
        };
        let kept = registry.ids();
        if self.clients.is_empty() && kept.is_empty() {
            let (id, secret) = (random::hex::<16>()?, SecretString::default());
            self.clients.push(Client { id, secret, grant: None });
        }
        for Client { id, secret, grant } in &mut self.clients {
            // An empty one can never be presented (RFC 6749 §3.2), so that it was not given.
            let given = Some(secret.expose_secret()).filter(|secret| !secret.is_empty());
            let is_new = !kept.contains(id);
            let grant = grant.take().or_else(|| is_new.then(|| self.new_grant.clone()));
            let made = registry.register(id, given, grant, now);
            let made = made.map_err(|source| Kind::Register(id.clone(), source))?;
            *secret = made.unwrap_or_else(|| secret.clone());
        }
        let scopes = Resource::ALL.map(|resource| resource.name().to_owned()).to_vec();
        let clock = Arc::new(SkewedClock::new(self.clock));
        let state = Arc::new(State {
            registry,
            tokens: Tokens::new(mint, url.clone(), &self.audiences, self.lifetime),
            oauth: OAuth::new(url, client_keys, nonces, scopes),
            audiences: self.audiences,
            tally: Default::default(),
            stage: Stage::new(self.script, clock.right()),
            faults_spend_quota: self.faults_spend_quota,
            manners: self.manners,
            switches: Default::default(),
            ready_keys: Default::default(),
            making_keys: Default::default(),
            access: AdminAccess::new(address)?,
            once: Default::default(),
            clock: Arc::clone(&clock),
        });
        state.keep_tokens().map_err(unusable)?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "an issuer for development listens where other machines reach it, without TLS"
            );
        }
        let server = Server::start(listener, router(&state), clock);
        // Of one that was kept from an earlier run there is only the hash of a secret.
        let first = match self.clients.into_iter().next() {
            Some(Client { id, secret, .. }) => (id, secret),
            None => (kept.into_iter().next().unwrap_or_default(), SecretString::default()),
        };
        Ok(Issuer::new(state, server, address, first))
    }
}

fn client_keys(given: &[(String, String)]) -> Result<ClientKeys, Kind> {
    let mut keys = ClientKeys::default();
    for (id, jwk) in given {
        let key = PublicKey::parse(jwk).map_err(|what| Kind::ClientKey(id.clone(), what))?;
        keys.register(id, key);
    }
    Ok(keys)
}

/// All endpoints.
fn router(state: &Arc<State>) -> Router {
    let elsewhere = middleware::from_fn_with_state(Arc::clone(state), upset::elsewhere);
    let oauth = Router::new()
        .route(OAuth::TOKEN_PATH, post(token::token))
        .route(OAuth::REVOCATION_PATH, post(token::revoke).route_layer(elsewhere.clone()))
        .merge(metadata::router(state))
        .method_not_allowed_fallback(wrong_method.layer(elsewhere));
    Router::new()
        .fallback(unknown::answer)
        .merge(oauth)
        .merge(api::router(state))
        .merge(page::router(state))
        .merge(admin_api::router(state))
        .layer(middleware::from_fn_with_state(Arc::clone(state), upset::play))
        .with_state(Arc::clone(state))
}

/// A key of the user's, or the process's own.
async fn signing_key(key: Option<SigningKey>) -> Result<SigningKey, Kind> {
    if let Some(key) = key {
        return Ok(key);
    }
    let key = tokio::task::spawn_blocking(SigningKey::shared).await;
    key.unwrap_or(Err(KeyError::GONE)).map_err(Kind::Key)
}
