//! An issuer, a server of its tokens, and the table that says what opens what.

use std::net::SocketAddr;
use std::time::Duration;

use auth_core::{Authenticator, Builder, ClientCredentials, Clock, MemoryStore, Store, Transport};
use auth_issuer::{Issuer, NewCredentials, Resource};
use auth_tower::HyperTransport;
use auth_tower::server::{
    Access, Algorithm, Jwks, KeyRing, Need, RequireToken, RequireTokenBuilder, RequireTokenLayer,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

use super::support::{Fetches, Handler, OwnKey, TestClock};

pub(super) const KEY: &str = "legacy-key-0123456789";
pub(super) const SHIPMENTS: &str = "/v2/shipments";

/// The vendor's API, in small.
pub(super) fn access() -> Access {
    Access::builder()
        .route(Method::GET, SHIPMENTS, Need::scope("shipments"))
        .route(Method::POST, SHIPMENTS, Need::scopes(["shipments", "bookings"]))
        .route(Method::GET, "/v2/shipments/{id}", Need::scope("shipments"))
        .route(Method::GET, "/v2/bookings", Need::scope("bookings").or_key())
        .route(Method::GET, "/v2/me", Need::token())
        .route(Method::GET, "/v1/shipments", Need::key())
        .public(Method::GET, "/health")
        .build()
        .unwrap()
}

/// Some of it for gRPC, whose calls are all posted.
pub(super) fn posted() -> Access {
    Access::builder()
        .route(Method::POST, SHIPMENTS, Need::scope("shipments"))
        .route(Method::POST, "/v2/bookings", Need::scope("bookings").or_key())
        .route(Method::POST, "/v1/shipments", Need::key())
        .build()
        .unwrap()
}

/// An issuer, and everything that a server of its tokens needs.
pub(super) struct World {
    pub(super) issuer: Issuer,
    pub(super) clock: TestClock,
    pub(super) fetches: Fetches,
    pub(super) keys: KeyRing,
    pub(super) handler: Handler,
}

pub(super) type Guarded = RequireToken<Handler>;

impl World {
    pub(super) async fn start() -> Self {
        let clock = TestClock::new();
        let issuer = Issuer::builder().clock(clock.system()).start().await.unwrap();
        let keys = KeyRing::of_keys([("warehouse", KEY)]);
        Self { issuer, clock, fetches: Fetches::new(), keys, handler: Handler::default() }
    }

    /// With the issuer's keys over loopback.
    pub(super) fn layer(&self) -> RequireTokenBuilder {
        let jwks = Jwks::url(self.issuer.jwks_uri(), self.fetches.clone()).insecure_loopback(true);
        RequireTokenLayer::builder(jwks)
            .issuer(self.issuer.url())
            .audience(self.issuer.audience())
            .algorithms([Algorithm::Rs256])
            .access(access())
            .api_keys(self.keys.clone())
            .clock(self.clock.clone())
    }

    pub(super) fn guarded(&self) -> Guarded {
        self.behind(self.layer())
    }

    pub(super) fn behind(&self, layer: RequireTokenBuilder) -> Guarded {
        layer.build().unwrap().layer(self.handler.clone())
    }

    fn credentials(&self, resources: &[Resource]) -> NewCredentials {
        let name = format!("credentials {}", self.issuer.credentials().len());
        self.issuer.create_credentials(&name, resources.iter().copied()).unwrap()
    }

    /// A token for these resources, of credentials of its own.
    pub(super) async fn token(&self, resources: &[Resource]) -> String {
        let credentials = self.credentials(resources);
        let body = json!({
            "grant_type": "client_credentials",
            "client_id": credentials.client_id(),
            "client_secret": credentials.client_secret(),
            "audience": self.issuer.audience(),
        });
        let request = Request::post(self.issuer.token_endpoint())
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let answer = HyperTransport::plain().send(request, Duration::from_secs(5)).await.unwrap();
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Nobody's token for shipments, which names a key that there is not, and was issued so long ago.
    pub(super) fn forged(&self, kid: &str, age: Duration) -> String {
        let now = self.clock.now().wall.as_millis() / 1000;
        let age = i64::try_from(age.as_secs()).unwrap();
        let claims = json!({
            "iss": self.issuer.url(),
            "aud": self.issuer.audience(),
            "scope": "shipments",
            "iat": now - age,
            "exp": now + 3600,
        });
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = json!({ "alg": "RS256", "kid": kid }).to_string();
        let signature = part("no signature".to_owned());
        format!("{}.{}.{signature}", part(header), part(claims.to_string()))
    }

    pub(super) async fn shipments_token(&self) -> String {
        self.token(&[Resource::Shipments]).await
    }

    /// Our own client side, for a server at `url`, with credentials for shipments.
    pub(super) fn client(
        &self,
        url: &str,
        more: impl FnOnce(ClientCredentials) -> ClientCredentials,
    ) -> Builder {
        let made = self.credentials(&[Resource::Shipments]);
        let credentials = ClientCredentials::new(made.client_id(), made.client_secret())
            .token_endpoint(self.issuer.token_endpoint())
            .audience(self.issuer.audience());
        Authenticator::builder(more(credentials))
            .origin(url)
            .store(Store::new(MemoryStore::new()))
            .transport(HyperTransport::plain())
            .clock(self.clock.clone())
            .insecure_loopback(true)
    }
}

/// The table before a handler, with one key that is given and not fetched.
pub(super) fn fixed(key: &OwnKey) -> RequireTokenBuilder {
    RequireTokenLayer::builder(Jwks::from_json(&key.set()))
        .issuer(OwnKey::ISSUER)
        .audience(OwnKey::AUDIENCE)
        .algorithms([Algorithm::Es256])
        .access(access())
        .api_keys(KeyRing::of_keys([("warehouse", KEY)]))
}

/// Serves over plain hyper on a free port of loopback, until the runtime ends.
pub(super) async fn serve(service: Guarded) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let service =
                service_fn(move |request: Request<Incoming>| service.clone().oneshot(request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}
