//! Where the token goes, and where it does not.

use std::sync::atomic::Ordering::SeqCst;

use auth_tower::{AuthLayer, BoxError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::*;

/// What the inner service gets as `Authorization` for a request to `uri`.
async fn sent(layer: &AuthLayer, request: Request<Full<Bytes>>) -> Result<String, BoxError> {
    let echo = service_fn(|request: Request<Full<Bytes>>| async move {
        let headers: Vec<_> = request.headers().get_all("authorization").iter().collect();
        let text = format!(
            "{:?}",
            headers.iter().map(|header| header.to_str().unwrap()).collect::<Vec<_>>()
        );
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(text)))
    });
    let response = layer.layer(echo).oneshot(request).await?;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_token_goes_to_its_own_origin_only() {
    let (auth, count) = scripted();
    let layer = AuthLayer::new(auth);
    for foreign in [
        "http://api.example/v2",
        "https://api.example:8443/v2",
        "https://api.example.evil/v2",
        "https://evil-api.example/v2",
        "https://sub.api.example/v2",
        "https://evil/api.example",
        "https://api.example@evil/",
    ] {
        assert_eq!(sent(&layer, get(foreign)).await.unwrap(), "[]", "{foreign}");
    }
    assert_eq!(count.load(SeqCst), 0, "a foreign request costs nothing either");
    for own in ["https://api.example/", "https://API.example:443/x"] {
        assert_eq!(sent(&layer, get(own)).await.unwrap(), r#"["Bearer token-1"]"#, "{own}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_authorization_is_left_alone() {
    let (auth, count) = scripted();
    let layer = AuthLayer::new(auth);
    let mut request = get(API);
    request.headers_mut().insert("authorization", "Basic b3du".parse().unwrap());
    assert_eq!(sent(&layer, request).await.unwrap(), r#"["Basic b3du"]"#);
    assert_eq!(count.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_relative_uri_needs_an_assumed_origin() {
    let (auth, _) = scripted();
    let layer = AuthLayer::new(auth);
    let error = sent(&layer, get("/v2/shipments")).await.unwrap_err();
    let ours = auth_tower::error(&*error).expect("our error");
    assert!(ours.to_string().contains("assume_origin") && !ours.is_transient(), "{ours}");

    let own = layer.clone().assume_origin("https://api.example".parse().unwrap());
    assert_eq!(sent(&own, get("/v2/shipments")).await.unwrap(), r#"["Bearer token-1"]"#);
    assert_eq!(sent(&own, get("https://evil/v2")).await.unwrap(), "[]");
    let other = layer.assume_origin("https://other.example".parse().unwrap());
    assert_eq!(sent(&other, get("/v2/shipments")).await.unwrap(), "[]");
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_sent() {
    let issuer = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, BoxError>(status(http::StatusCode::SERVICE_UNAVAILABLE))
    });
    let error = sent(&AuthLayer::new(over(issuer)), get(API)).await.unwrap_err();
    let ours = auth_tower::error(&*error).expect("our error");
    assert!(ours.is_transient() && ours.retry_at().is_some(), "{ours}");
}
