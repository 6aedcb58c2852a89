//! The proofs of our own client side.

use std::sync::{Arc, Mutex};

use auth_core::{Authenticator, ClientCredentials, MemoryStore, Store};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::{AuthLayer, BoxError, ServiceTransport};

#[tokio::test]
async fn what_the_client_sends_is_accepted() {
    let issuer = service_fn(|_: Request<Full<Bytes>>| async {
        let body = r#"{"access_token":"abc","token_type":"DPoP","expires_in":86400}"#;
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(body)))
    });
    let key = SigningKey::generate_es256();
    let bound = bound(&key);
    let credentials = ClientCredentials::new("client", "secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example")
        .dpop(key);
    let client = Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(ServiceTransport::new(issuer))
        .build()
        .unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let api = service_fn(move |request: Request<Full<Bytes>>| {
        kept.lock().unwrap().push(request);
        async { Ok::<_, BoxError>(Response::new(Full::<Bytes>::default())) }
    });
    let verifier = DpopVerifier::new().external_origin("https://api.example".parse().unwrap());
    for url in [
        "https://api.example/v2/a%C3%A9?x=y",
        "https://API.example:443/v2/b/",
        "https://api.example",
    ] {
        let request = Request::post(url).body(Full::<Bytes>::default()).unwrap();
        AuthLayer::new(client.clone()).layer(api.clone()).oneshot(request).await.unwrap();
        let request = seen.lock().unwrap().pop().unwrap();
        let presented = Presented::read(request.headers(), request.uri().query()).unwrap();
        assert!(matches!(presented, Presented::Dpop("abc")));
        let proof =
            request.headers()[&DPOP].to_str().unwrap().split('.').nth(1).unwrap().to_owned();
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(proof).unwrap()).unwrap();
        let now = claims["iat"].as_i64().unwrap();
        assert_eq!(used(&verifier, &presented, &bound, (&request).into(), now), Ok(()), "{url}");
        assert_eq!(
            used(&verifier, &presented, &bound, (&request).into(), now),
            Err(ProofError::Replayed)
        );
    }
}
