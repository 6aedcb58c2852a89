//! tower-http's layers outside of the layer and inside, over hyper-util's client and servers on
//! loopback.

use auth_core::{ApiKey, Routes};
use auth_issuer::Issuer;
use auth_tower::AuthLayer;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::decompression::DecompressionLayer;
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::set_header::SetRequestHeaderLayer;
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tracing::Level;

use crate::api::{Api, numbered};
use crate::log::Log;
use crate::orders::client;
use crate::support::*;

/// `gzip -9n` of "shipments\n".
const GZIPPED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0x02, 0x03, 0x2b, 0xce, 0xc8, 0x2c, 0xc8, 0x4d, 0xcd, 0x2b,
    0x29, 0xe6, 0x02, 0, 0xc4, 0x79, 0xfd, 0xb3, 0x0a, 0, 0, 0,
];

async fn text<S, B>(stack: S, request: Request<Full<Bytes>>) -> (StatusCode, String)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: std::fmt::Debug>,
    B: Body<Error: std::fmt::Debug>,
{
    let response = stack.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A span with all headers, at a level that nobody should log headers at.
fn trace() -> TraceLayer<
    tower_http::classify::SharedClassifier<tower_http::classify::ServerErrorsAsFailures>,
    DefaultMakeSpan,
> {
    TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO).include_headers(true))
        .on_request(DefaultOnRequest::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO).include_headers(true))
}

// torture: E43
#[tokio::test]
async fn a_trace_of_all_headers_outside_and_inside_shows_no_credential() {
    let log = Log::listen();
    let issuer = Issuer::start().await.unwrap();
    let auth = against(&issuer).build().unwrap();
    let key = ApiKey::builder("legacy", "c4n4ry-key").in_header("X-Api-Key").build().unwrap();
    let routes = Routes::builder()
        .insecure_loopback(true)
        .route(format!("{}/v1", issuer.url()), key)
        .route(issuer.url(), auth.clone())
        .build()
        .unwrap();
    let layers = ServiceBuilder::new().layer(trace()).layer(AuthLayer::new(routes)).layer(trace());
    let stack = layers.service(client());
    let mut tokens = Vec::new();
    for revoked in [false, true] {
        if revoked {
            issuer.revoke_all();
        }
        let request = get(&format!("{}/v2/shipments", issuer.url()));
        assert_eq!(text(stack.clone(), request).await.0, 200);
        let header = auth.try_authorization().unwrap().into_header();
        tokens.push(header.to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned());
    }
    assert_eq!(text(stack, get(&format!("{}/v1/none", issuer.url()))).await.0, 404);
    assert_eq!(issuer.token_requests(), 2);

    let text = log.text();
    // The header is in the inner spans: of three requests, one of which was sent twice.
    assert!(text.contains(r#""authorization": Sensitive"#), "{text}");
    assert!(text.contains(r#""x-api-key": Sensitive"#), "{text}");
    assert_eq!(text.matches("started processing request").count(), 3 + 4);
    let secrets = ["c4n4ry", issuer.client_secret(), &tokens[0], &tokens[1]];
    for (number, secret) in secrets.into_iter().enumerate() {
        assert!(!text.contains(secret), "secret {number} is in the log");
    }
}

#[tokio::test]
async fn a_callers_own_authorization_is_shown_unless_it_is_marked_outside_of_the_trace() {
    for marked in [false, true] {
        let log = Log::listen();
        let issuer = Issuer::start().await.unwrap();
        let auth = AuthLayer::new(against(&issuer).build().unwrap());
        let own = marked.then(|| SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]));
        let layers = ServiceBuilder::new().option_layer(own).layer(trace()).layer(auth);
        let stack = layers.service(client());
        let mut request = get(&format!("{}/v2/shipments", issuer.url()));
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer c4n4ry"));
        assert_eq!(text(stack, request).await.0, 401);
        assert_eq!(log.text().contains("c4n4ry"), !marked);
    }
}

#[tokio::test]
async fn compressed_answers_are_read_with_the_layer_outside_and_inside() {
    let answer = |headers: &http::HeaderMap| {
        if headers[AUTHORIZATION] == "Bearer token-1" {
            return status(StatusCode::UNAUTHORIZED);
        }
        let mut response = Response::new(Full::from(GZIPPED));
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    };
    for outside in [true, false] {
        let (issuer, api) = (numbered().await, Api::start(answer).await);
        let layer = AuthLayer::new(against(&issuer).origin(api.url()).build().unwrap());
        let request = get(&format!("{}/v2/shipments", api.url()));
        let (layers, gzip) = (ServiceBuilder::new(), DecompressionLayer::new());
        let unpacked = if outside {
            text(layers.layer(gzip).layer(layer).service(client()), request).await
        } else {
            text(layers.layer(layer).layer(gzip).service(client()), request).await
        };
        assert_eq!(unpacked, (StatusCode::OK, "shipments\n".to_owned()));
        assert_eq!(api.sent("accept-encoding"), ["gzip", "gzip"], "the second attempt as well");
        assert_eq!(api.sent("authorization"), ["Bearer token-1", "Bearer token-2"]);
        assert_eq!(issuer.token_requests(), 2);
    }
}

#[tokio::test]
async fn a_header_that_is_set_outside_or_inside_is_on_both_attempts() {
    let json = SetRequestHeaderLayer::overriding(ACCEPT, HeaderValue::from_static("text/json"));
    for outside in [true, false] {
        let api = Api::start(|headers| {
            let refused = headers[AUTHORIZATION] == "Bearer token-1";
            status(if refused { StatusCode::UNAUTHORIZED } else { StatusCode::OK })
        });
        let (issuer, api) = (numbered().await, api.await);
        let auth = AuthLayer::new(against(&issuer).origin(api.url()).build().unwrap());
        let (layers, json) = (ServiceBuilder::new(), json.clone());
        let (status, _) = if outside {
            text(layers.layer(json).layer(auth).service(client()), get(&api.url())).await
        } else {
            text(layers.layer(auth).layer(json).service(client()), get(&api.url())).await
        };
        assert_eq!(status, 200);
        assert_eq!(api.sent("accept"), ["text/json"; 2]);
        assert_eq!(api.sent("authorization"), ["Bearer token-1", "Bearer token-2"]);
    }
}

#[tokio::test]
async fn an_authorization_set_outside_turns_the_layer_off_and_inside_takes_the_tokens_place() {
    for (outside, tokens) in [(true, 0), (false, 2)] {
        let issuer = Issuer::start().await.unwrap();
        let auth = AuthLayer::new(against(&issuer).build().unwrap());
        let old = HeaderValue::from_static("Bearer of-last-year");
        let old = SetRequestHeaderLayer::overriding(AUTHORIZATION, old);
        for _ in 0..10 {
            let (layers, auth, old) = (ServiceBuilder::new(), auth.clone(), old.clone());
            let request = get(&format!("{}/v2/shipments", issuer.url()));
            let (status, _) = if outside {
                text(layers.layer(old).layer(auth).service(client()), request).await
            } else {
                text(layers.layer(auth).layer(old).service(client()), request).await
            };
            assert_eq!(status, 401);
        }
        // The token that was never sent is renewed, for an hour once.
        assert_eq!(issuer.token_requests(), tokens);
    }
}
