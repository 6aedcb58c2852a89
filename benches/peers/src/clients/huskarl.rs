//! huskarl over an issuer without sockets.

use ::huskarl::authorizer::HttpAuthorizer;
use ::huskarl::cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache};
use ::huskarl::core::client_auth::NoAuth;
use ::huskarl::core::http::{HttpClient, HttpResponse, Idempotency};
use ::huskarl::core::platform::MaybeSendBoxFuture;
use ::huskarl::core::time::{Clock, PlatformClock};
use ::huskarl::grant::client_credentials::{
    ClientCredentialsGrant, ClientCredentialsGrantParameters,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::*;

#[derive(Clone)]
struct Endpoint(Arc<Issuer>);

impl HttpClient for Endpoint {
    fn execute(
        &self,
        _: http::Request<Bytes>,
        _: Idempotency,
    ) -> MaybeSendBoxFuture<'_, Result<HttpResponse, ::huskarl::core::Error>> {
        Box::pin(async move {
            let (status, body) = self.0.answer().await;
            let json = HeaderValue::from_static("application/json");
            let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)]);
            let status = StatusCode::from_u16(status).expect("a good status");
            Ok(HttpResponse { status, headers, body })
        })
    }
}

#[derive(Debug)]
struct Wall(Ahead);

impl Clock for Wall {
    fn now(&self) -> jiff::Timestamp {
        let millis = auth_core::Clock::now(&self.0).wall.as_millis();
        jiff::Timestamp::from_millisecond(millis).expect("it is about now")
    }
}

pub fn authorizer_by_the_system_clock(issuer: &Arc<Issuer>) -> HttpAuthorizer {
    build(issuer, PlatformClock)
}

pub fn authorizer(issuer: &Arc<Issuer>, clock: Ahead) -> HttpAuthorizer {
    build(issuer, Wall(clock))
}

fn build(issuer: &Arc<Issuer>, clock: impl Clock + 'static) -> HttpAuthorizer {
    let grant = ClientCredentialsGrant::builder()
        .client_id("id")
        .client_auth(NoAuth)
        .token_endpoint("https://issuer.example/token".parse().expect("a URL"))
        .http_client(Endpoint(issuer.clone()))
        .clock(clock)
        .build();
    let source = GrantTokenSource::builder()
        .grant(grant)
        .grant_parameters(
            ClientCredentialsGrantParameters::builder().scope(vec!["a".into()]).build(),
        )
        .refresh_store(InMemoryRefreshTokenStore::default())
        .build();
    let cache = InMemoryTokenCache::builder().source(source).build();
    HttpAuthorizer::builder().cache(cache).build()
}
