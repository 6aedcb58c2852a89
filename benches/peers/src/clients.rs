//! Each crate, built in its own way over the issuer on loopback.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use auth_core::{Authenticator, Builder, ClientCredentials, MemoryStore, Store};
use auth_reqwest::ReqwestTransport;
use benches::credential::Ahead;
use bytes::Bytes;

use crate::issuer::Issuer;

pub fn ours(issuer: &Issuer, clock: Ahead) -> Authenticator {
    builder(issuer).clock(clock).build().expect("the settings are good")
}

pub fn ours_by_the_system_clock(issuer: &Issuer) -> Authenticator {
    builder(issuer).build().expect("the settings are good")
}

fn builder(issuer: &Issuer) -> Builder {
    let credentials = ClientCredentials::new("id", "secret")
        .token_endpoint(issuer.url())
        .audience(issuer.origin());
    Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(ReqwestTransport::new().expect("a client"))
        .insecure_loopback(true)
}

pub fn google(issuer: &Issuer) -> google_cloud_auth::credentials::Credentials {
    let user = serde_json::json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
    });
    let builder = google_cloud_auth::credentials::user_account::Builder::new(user);
    builder.with_token_uri(issuer.url()).build().expect("the settings are good")
}

pub mod azure {
    use azure_core::credentials::Secret;
    use azure_core::http::headers::Headers;
    use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
    use azure_core::http::policies::{Policy, PolicyResult};
    use azure_core::http::{
        AsyncRawResponse, ClientOptions, Context, HttpClient, Request, StatusCode, Transport,
    };
    use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};

    use super::*;

    #[derive(Debug)]
    struct Endpoint(Arc<Issuer>);

    #[async_trait::async_trait]
    impl HttpClient for Endpoint {
        async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
            let (status, body) = self.0.answer().await;
            Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), Headers::new(), body))
        }
    }

    pub const SCOPES: [&str; 1] = ["https://api.example/.default"];

    pub fn credential(issuer: &Arc<Issuer>) -> Arc<ClientSecretCredential> {
        let transport = Transport::new(Arc::new(Endpoint(issuer.clone())));
        let client_options = ClientOptions { transport: Some(transport), ..Default::default() };
        ClientSecretCredential::new(
            "00000000-0000-0000-0000-000000000000",
            "client".into(),
            Secret::new("secret"),
            Some(ClientSecretCredentialOptions { client_options }),
        )
        .expect("the settings are good")
    }

    pub fn policy(issuer: &Arc<Issuer>) -> BearerTokenAuthorizationPolicy {
        BearerTokenAuthorizationPolicy::new(credential(issuer), SCOPES)
    }

    /// The API below the policy: answers everything with one status.
    #[derive(Debug)]
    pub struct Api(pub StatusCode);

    #[async_trait::async_trait]
    impl Policy for Api {
        async fn send(
            &self,
            _: &Context,
            request: &mut Request,
            _: &[Arc<dyn Policy>],
        ) -> PolicyResult {
            std::hint::black_box(request);
            Ok(AsyncRawResponse::from_bytes(self.0, Headers::new(), Bytes::new()))
        }
    }
}

pub mod smithy {
    use aws_smithy_async::rt::sleep::TokioSleep;
    use aws_smithy_async::time::SystemTimeSource;
    use aws_smithy_runtime::client::identity::IdentityCache;
    use aws_smithy_runtime_api::box_error::BoxError;
    use aws_smithy_runtime_api::client::identity::http::Token;
    use aws_smithy_runtime_api::client::identity::{
        Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityCache,
        SharedIdentityResolver,
    };
    use aws_smithy_runtime_api::client::runtime_components::{
        RuntimeComponents, RuntimeComponentsBuilder,
    };
    use aws_smithy_types::config_bag::ConfigBag;

    use super::*;

    #[derive(Debug)]
    struct Resolver(Arc<Issuer>);

    impl ResolveIdentity for Resolver {
        fn resolve_identity<'a>(
            &'a self,
            _: &'a RuntimeComponents,
            _: &'a ConfigBag,
        ) -> IdentityFuture<'a> {
            IdentityFuture::new(async move {
                let (token, lifetime) = self.0.token().await.ok_or("the issuer failed")?;
                let expires = SystemTime::now() + lifetime;
                Ok(Identity::new(Token::new(token, Some(expires)), Some(expires)))
            })
        }
    }

    pub struct Client {
        cache: SharedIdentityCache,
        resolver: SharedIdentityResolver,
        components: RuntimeComponents,
        bag: ConfigBag,
    }

    impl Client {
        pub fn new(issuer: &Arc<Issuer>) -> Self {
            let components = RuntimeComponentsBuilder::for_tests()
                .with_time_source(Some(SystemTimeSource::new()))
                .with_sleep_impl(Some(TokioSleep::new()));
            Self {
                cache: IdentityCache::lazy().build(),
                resolver: SharedIdentityResolver::new(Resolver(issuer.clone())),
                components: components.build().expect("the settings are good"),
                bag: ConfigBag::base(),
            }
        }

        pub async fn token(&self) -> Result<Identity, BoxError> {
            let resolver = self.resolver.clone();
            self.cache.resolve_cached_identity(resolver, &self.components, &self.bag).await
        }
    }
}

/// A service account whose key was made for this process.
fn service_account(issuer: &Issuer) -> serde_json::Value {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use base64::Engine;

    static PEM: LazyLock<String> = LazyLock::new(|| {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).expect("a key that can be exported");
        let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    });
    serde_json::json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k",
        "private_key": *PEM, "client_email": "x@p.iam.gserviceaccount.com", "client_id": "1",
        "auth_uri": issuer.url(), "token_uri": issuer.url(),
        "auth_provider_x509_cert_url": issuer.url(), "client_x509_cert_url": issuer.url(),
    })
}

pub type Yup =
    yup_oauth2::authenticator::Authenticator<hyper_util::client::legacy::connect::HttpConnector>;

pub async fn yup(issuer: &Issuer) -> Yup {
    let key = serde_json::from_value(service_account(issuer)).expect("it is a key");
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build(hyper_util::client::legacy::connect::HttpConnector::new());
    let client = yup_oauth2::CustomHyperClientBuilder::from(client);
    let builder = yup_oauth2::ServiceAccountAuthenticator::with_client(key, client);
    builder.build().await.expect("the settings are good")
}

pub fn gcp(issuer: &Issuer) -> gcp_auth::CustomServiceAccount {
    let account = service_account(issuer).to_string();
    gcp_auth::CustomServiceAccount::from_json(&account).expect("the settings are good")
}

pub mod objects {
    use object_store::azure::{AzureCredential, AzureCredentialProvider, MicrosoftAzureBuilder};

    use super::*;

    pub fn provider(issuer: &Issuer) -> AzureCredentialProvider {
        let store = MicrosoftAzureBuilder::new()
            .with_account("a")
            .with_container_name("c")
            .with_client_secret_authorization("id", "secret", "tenant")
            .with_authority_host(issuer.origin())
            .with_allow_http(true)
            .build()
            .expect("the settings are good");
        store.credentials().clone()
    }

    pub fn token(credential: &AzureCredential) -> &str {
        match credential {
            AzureCredential::BearerToken(token) => token,
            _ => unreachable!("a client secret gives bearer tokens"),
        }
    }
}

pub mod reqsign {
    use reqsign_core::time::Timestamp;
    use reqsign_core::{Context, ProvideCredential, Signer};
    use reqsign_google::{Credential, RequestSigner, Token};

    use super::*;

    #[derive(Debug)]
    pub struct Provider(Arc<Issuer>);

    impl ProvideCredential for Provider {
        type Credential = Credential;

        async fn provide_credential(
            &self,
            _: &Context,
        ) -> reqsign_core::Result<Option<Credential>> {
            let failed = || reqsign_core::Error::unexpected("the issuer failed");
            let (access_token, lifetime) = self.0.token().await.ok_or_else(failed)?;
            let expires_at = Some(Timestamp::now() + lifetime);
            Ok(Some(Credential::with_token(Token { access_token, expires_at })))
        }
    }

    pub fn signer(issuer: &Arc<Issuer>) -> Signer<Credential> {
        Signer::new(Context::new(), Provider(issuer.clone()), RequestSigner::new("storage"))
    }

    pub fn request() -> http::request::Parts {
        let request = http::Request::get("https://storage.googleapis.com/b/o").body(());
        request.expect("a request").into_parts().0
    }
}

pub async fn middle(
    issuer: &Issuer,
) -> Result<middle::BasicClientCredentialAuthorizer, middle::Error> {
    let url = url::Url::parse(&issuer.url()).expect("a URL");
    middle::BasicClientCredentialAuthorizerBuilder::new("id", "secret", url).build().await
}

pub mod aliri {
    use aliri_tokens::backoff::ErrorBackoffConfig;
    use aliri_tokens::jitter::NullJitter;
    use aliri_tokens::sources::AsyncTokenSource;
    use aliri_tokens::{
        AccessToken, IdToken, TokenLifetimeConfig, TokenWatcher, TokenWithLifetime,
    };

    use super::*;

    pub struct Source(Arc<Issuer>);

    #[derive(Debug)]
    pub struct Failed;

    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the issuer failed")
        }
    }

    impl std::error::Error for Failed {}

    #[async_trait::async_trait]
    impl AsyncTokenSource for Source {
        type Error = Failed;

        async fn request_token(&mut self) -> Result<TokenWithLifetime, Failed> {
            let (token, lifetime) = self.0.token().await.ok_or(Failed)?;
            let token = AccessToken::from(token);
            let lifetime = aliri_clock::DurationSecs(lifetime.as_secs());
            Ok(TokenLifetimeConfig::default().create_token(&token, None::<&IdToken>, lifetime))
        }
    }

    pub async fn watcher(issuer: &Arc<Issuer>) -> Result<TokenWatcher, Failed> {
        let backoff = ErrorBackoffConfig::default();
        TokenWatcher::spawn_from_token_source(Source(issuer.clone()), NullJitter, backoff).await
    }
}

pub mod huskarl;

pub mod gears {
    use toolkit_auth::oauth2::{OAuthClientConfig, SecretString, TokenProvider};

    use super::*;

    pub fn provider(issuer: &Issuer) -> TokenProvider {
        TokenProvider::new(OAuthClientConfig {
            token_endpoint: Some(url::Url::parse(&issuer.url()).expect("a URL")),
            client_id: "id".into(),
            client_secret: SecretString::new("secret"),
            http_config: Some(toolkit_http::HttpClientConfig::for_testing()),
            ..Default::default()
        })
        .expect("the settings are good")
    }
}

/// kube's layer, which reads a token from a file.
pub fn kube(
    token: &str,
    directory: &std::path::Path,
) -> kube_client::client::middleware::AuthLayer {
    use kube_client::client::ConfigExt;

    let file = directory.join("token");
    std::fs::write(&file, token).expect("a file");
    let mut config = kube_client::Config::new("http://127.0.0.1:1".parse().expect("a URI"));
    config.auth_info.token_file = Some(file.to_string_lossy().into_owned());
    config.auth_layer().expect("the settings are good").expect("there is a token")
}

/// Inside each crate's own early-refresh window, and valid for a while.
pub const NEARLY_OVER: [(&str, Duration); 12] = [
    ("google-cloud-auth", Duration::from_secs(120)),
    ("azure_identity", Duration::from_secs(120)),
    ("azure_core", Duration::from_secs(120)),
    ("aws-smithy-runtime", Duration::from_secs(5)),
    ("yup-oauth2", Duration::from_secs(40)),
    ("gcp_auth", Duration::from_secs(10)),
    ("object_store", Duration::from_secs(120)),
    ("reqsign-core", Duration::from_secs(60)),
    ("middle", Duration::from_secs(20)),
    ("aliri_tokens", Duration::from_secs(20)),
    // 30.75 s of it will be left: the token is served until 30 s are, and renewed from up to 30 s before then, as chance has it.
    ("huskarl", Duration::from_secs(615)),
    ("cf-gears-toolkit-auth", Duration::from_secs(60)),
];
