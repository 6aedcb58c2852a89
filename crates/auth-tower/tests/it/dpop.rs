//! Tokens that are bound to a key (RFC 9449): every attempt has a proof of its own, and a server's nonce costs no token.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use auth_core::{
    Authenticator, ClientCredentials, MemoryStore, RequestOptions, SigningKey, Store, TokioClock,
};
use auth_tower::{AuthLayer, BoxError, Never, ServiceTransport};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{API, get, status};

/// An authenticator whose tokens are bound to a key, and how many there were.
pub(crate) fn bound() -> (Authenticator, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let issuer = service_fn(move |_: Request<Full<Bytes>>| {
        let number = counted.fetch_add(1, SeqCst) + 1;
        let body = format!(
            r#"{{"access_token":"token-{number}","token_type":"DPoP","expires_in":86400}}"#
        );
        async move { Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(body))) }
    });
    let issuer = ServiceBuilder::new().layer_fn(BoxCloneSyncService::new).service(issuer);
    let credentials = ClientCredentials::new("client", "secret")
        .token_endpoint("https://issuer.example/oauth/token")
        .audience("https://api.example")
        .dpop(SigningKey::generate_es256());
    let auth = Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(ServiceTransport::new(issuer))
        .clock(TokioClock::new())
        .build()
        .unwrap();
    (auth, count)
}

/// What the API saw of each request: its token, and the claims of its proof.
type Seen = Arc<Mutex<Vec<(String, Value)>>>;

type Api = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

fn seen(headers: &HeaderMap) -> (String, Value) {
    let token = headers["authorization"].to_str().unwrap().to_owned();
    let claims = headers["dpop"].to_str().unwrap().split('.').nth(1).unwrap().to_owned();
    (token, serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap())
}

fn wants(nonce: &str) -> Response<Full<Bytes>> {
    let mut response = status(StatusCode::UNAUTHORIZED);
    let headers = response.headers_mut();
    headers.insert("www-authenticate", r#"DPoP error="use_dpop_nonce""#.parse().unwrap());
    headers.insert("dpop-nonce", nonce.parse().unwrap());
    response
}

/// An API that answers as `answer` says, by the number of the request.
fn api(
    answer: impl Fn(usize) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> (Api, Seen) {
    let all = Seen::default();
    let kept = all.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let mut kept = kept.lock().unwrap();
        kept.push(seen(request.headers()));
        let response = answer(kept.len());
        async { Ok::<_, BoxError>(response) }
    });
    (BoxCloneSyncService::new(service), all)
}

fn ok() -> Response<Full<Bytes>> {
    status(StatusCode::OK)
}

#[tokio::test(start_paused = true)]
async fn every_request_has_a_proof_for_itself() {
    let (auth, count) = bound();
    let (api, seen) = api(|_| ok());
    let service = AuthLayer::new(auth).layer(api);
    // One that waits for the token, and one that finds it there.
    for _ in 0..2 {
        let response = service.clone().oneshot(get(&format!("{API}?page=1"))).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let seen = seen.lock().unwrap();
    for (token, claims) in &*seen {
        assert_eq!(token, "DPoP token-1");
        assert_eq!((&claims["htm"], &claims["htu"]), (&"GET".into(), &API.into()));
        assert!(claims["ath"].is_string());
    }
    assert_ne!(seen[0].1["jti"], seen[1].1["jti"]);
    assert_eq!(count.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_the_api_wants_costs_no_token_and_is_remembered() {
    let (auth, count) = bound();
    let (api, seen) = api(|number| if number == 1 { wants("n-1") } else { ok() });
    let service = AuthLayer::new(auth).layer(api);
    for _ in 0..2 {
        assert_eq!(service.clone().oneshot(get(API)).await.unwrap().status(), 200);
    }
    let seen = seen.lock().unwrap();
    let nonces: Vec<_> = seen.iter().map(|(_, claims)| claims.get("nonce").cloned()).collect();
    assert_eq!(nonces, [None, Some("n-1".into()), Some("n-1".into())]);
    assert!(seen.iter().all(|(token, _)| token == "DPoP token-1"));
    assert_eq!(count.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_comes_with_a_good_answer_is_in_the_next_proof() {
    let (auth, _) = bound();
    let (api, seen) = api(|number| {
        let mut response = ok();
        let nonce = format!("n-{number}").parse().unwrap();
        response.headers_mut().insert("dpop-nonce", nonce);
        response
    });
    // Without a copy of the request as well.
    let service = AuthLayer::new(auth).replay(Never).layer(api);
    for _ in 0..3 {
        assert_eq!(service.clone().oneshot(get(API)).await.unwrap().status(), 200);
    }
    let seen = seen.lock().unwrap();
    let nonces: Vec<_> = seen.iter().map(|(_, claims)| claims.get("nonce").cloned()).collect();
    assert_eq!(nonces, [None, Some("n-1".into()), Some("n-2".into())]);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_never_has_enough_nonces_gets_the_request_twice_and_refuses_no_token() {
    let (auth, count) = bound();
    let (api, seen) = api(|number| wants(&format!("n-{number}")));
    let service = AuthLayer::new(auth.clone()).layer(api);
    assert_eq!(service.oneshot(get(API)).await.unwrap().status(), 401);
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert_eq!(count.load(SeqCst), 1);
    assert!(!auth.status().await.token.unwrap().suspect);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_after_a_nonce_and_a_nonce_is_heeded_after_that() {
    let (auth, count) = bound();
    let (api, seen) = api(|number| match number {
        1 => wants("n-1"),
        2 => status(StatusCode::UNAUTHORIZED),
        _ => ok(),
    });
    let service = AuthLayer::new(auth).layer(api);
    assert_eq!(service.oneshot(get(API)).await.unwrap().status(), 200);
    let tokens: Vec<_> = seen.lock().unwrap().iter().map(|(token, _)| token.clone()).collect();
    assert_eq!(tokens, ["DPoP token-1", "DPoP token-1", "DPoP token-2"]);
    assert_eq!(count.load(SeqCst), 2);

    let (auth, count) = bound();
    let (api, seen) = self::api(|number| match number {
        1 => status(StatusCode::UNAUTHORIZED),
        2 => wants("n-1"),
        _ => ok(),
    });
    let service = AuthLayer::new(auth).layer(api);
    assert_eq!(service.oneshot(get(API)).await.unwrap().status(), 200);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!((&*seen[2].0, &seen[2].1["nonce"]), ("DPoP token-2", &"n-1".into()));
    assert_eq!(count.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_sent_twice_leaves_its_nonce_for_the_next() {
    let (auth, count) = bound();
    let (api, seen) = api(|number| if number == 1 { wants("n-1") } else { ok() });
    let service = AuthLayer::new(auth).replay(Never).layer(api);
    assert_eq!(service.clone().oneshot(get(API)).await.unwrap().status(), 401);
    assert_eq!(service.oneshot(get(API)).await.unwrap().status(), 200);
    assert_eq!(seen.lock().unwrap()[1].1["nonce"], "n-1");

    // Or that does not want to be.
    let (auth, _) = bound();
    let (api, _) = self::api(|number| if number == 1 { wants("n-1") } else { ok() });
    let mut request = get(API);
    request.extensions_mut().insert(RequestOptions::new().never_replay());
    assert_eq!(AuthLayer::new(auth).layer(api).oneshot(request).await.unwrap().status(), 401);
    assert_eq!(count.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_relative_uri_is_proved_for_the_origin_that_is_assumed() {
    let (auth, _) = bound();
    let (api, seen) = api(|number| if number == 1 { wants("n-1") } else { ok() });
    let layer = AuthLayer::new(auth).assume_origin("https://api.example".parse().unwrap());
    assert_eq!(layer.layer(api).oneshot(get("/v2/shipments")).await.unwrap().status(), 200);
    let seen = seen.lock().unwrap();
    assert_eq!((&seen[1].1["htu"], &seen[1].1["nonce"]), (&API.into(), &"n-1".into()));
}

#[tokio::test(start_paused = true)]
async fn another_origin_gets_no_proof() {
    let (auth, _) = bound();
    let api = service_fn(|request: Request<Full<Bytes>>| async move {
        let headers = request.headers();
        assert!(!headers.contains_key("dpop") && !headers.contains_key("authorization"));
        Ok::<_, BoxError>(ok())
    });
    let service = AuthLayer::new(auth).layer(api);
    assert_eq!(service.oneshot(get("https://evil.example/")).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_401_about_the_proof_refuses_no_token() {
    for code in ["invalid_dpop_proof", "use_dpop_nonce"] {
        let (auth, count) = bound();
        let (api, seen) = api(move |_| {
            let mut response = status(StatusCode::UNAUTHORIZED);
            let challenge = format!(r#"DPoP error="{code}""#).parse().unwrap();
            response.headers_mut().insert("www-authenticate", challenge);
            response
        });
        let service = AuthLayer::new(auth.clone()).layer(api);
        assert_eq!(service.oneshot(get(API)).await.unwrap().status(), 401);
        assert_eq!((seen.lock().unwrap().len(), count.load(SeqCst)), (1, 1), "{code}");
        assert!(!auth.status().await.token.unwrap().suspect);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_around_the_layer_has_a_proof_of_its_own() {
    #[derive(Clone)]
    struct Once(bool);
    impl<E> tower::retry::Policy<Request<Full<Bytes>>, Response<Full<Bytes>>, E> for Once {
        type Future = std::future::Ready<()>;
        fn retry(
            &mut self,
            _: &mut Request<Full<Bytes>>,
            result: &mut Result<Response<Full<Bytes>>, E>,
        ) -> Option<Self::Future> {
            let failed = result.as_ref().is_ok_and(|response| response.status() == 503);
            (failed && !std::mem::replace(&mut self.0, true)).then(|| std::future::ready(()))
        }
        fn clone_request(
            &mut self,
            request: &Request<Full<Bytes>>,
        ) -> Option<Request<Full<Bytes>>> {
            Some(request.clone())
        }
    }
    let (auth, count) = bound();
    let (api, seen) = api(|number| {
        status(if number == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK })
    });
    let service = ServiceBuilder::new().retry(Once(false)).layer(AuthLayer::new(auth)).service(api);
    assert_eq!(service.oneshot(get(API)).await.unwrap().status(), 200);
    let seen = seen.lock().unwrap();
    assert_ne!(seen[0].1["jti"], seen[1].1["jti"]);
    assert_eq!(count.load(SeqCst), 1);
}
