//! Secrets are shown nowhere.

use std::fmt::Debug;

use auth_core::{Authenticator, ClientCredentials, MemoryStore, Store};
use auth_issuer::{Fault, Issuer};
use auth_reqwest::{AuthMiddleware, ReqwestTransport};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::harness::{SHORT, bare, client, shown};

/// Part of every secret of these tests.
const CANARY: &str = "c4n4ry";

fn debug(thing: &dyn Debug) -> String {
    format!("{thing:?} {thing:#?}")
}

#[test]
fn transports_show_neither_headers_nor_proxies() {
    let secret = HeaderValue::from_static("c4n4ry");
    let builder = ReqwestTransport::builder()
        .configure(|client| {
            client.default_headers(HeaderMap::from_iter([(AUTHORIZATION, secret.clone())]))
        })
        .proxy(reqwest::Proxy::all("http://u:c4n4ry@127.0.0.1:1").unwrap());
    let mut text = debug(&builder);
    text += &debug(&builder.build().unwrap());
    assert!(text.contains("ReqwestTransport") && !text.contains(CANARY), "{text}");
}

#[tokio::test]
async fn errors_show_neither_secret_nor_token_nor_query() {
    let token =
        r#"{"access_token":"c4n4ry-token","token_type":"odd","error_description":"c4n4ry"}"#;
    let faults = [
        Fault::status(503).header("x-secret", "c4n4ry"),
        Fault::body(200, "application/json", token),
        Fault::body(401, "application/json", r#"{"error":"secret-c4n4ry"}"#),
        Fault::redirect(302, "http://127.0.0.1:1/?c4n4ry"),
        Fault::redirect(302, "http://[1::2::3]/?c4n4ry"),
        Fault::truncate(),
        Fault::drop_connection(),
        Fault::hang_after_headers(),
    ];
    for fault in faults {
        let secret = format!("secret-{CANARY}");
        let issuer = Issuer::builder().client("shipping", &secret).start().await.unwrap();
        issuer.fail_all(fault);
        let credentials = ClientCredentials::new("shipping", secret)
            .token_endpoint(format!("{}?key={CANARY}", issuer.token_endpoint()))
            .audience(issuer.audience());
        let authenticator = Authenticator::builder(credentials)
            .store(Store::new(MemoryStore::new()))
            .transport(ReqwestTransport::new().unwrap())
            .insecure_loopback(true)
            .deadline(SHORT)
            .build()
            .unwrap();
        let client = client(&authenticator);
        let failed = client.get(issuer.url()).send().await.unwrap_err();
        let mut text = shown(&failed);
        text += &debug(&AuthMiddleware::new(authenticator.clone()));
        text += &debug(&authenticator.status().await);
        assert!(text.contains("no token for credential"), "{text}");
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[tokio::test]
async fn errors_of_what_never_left_do_not_show_the_query() {
    for endpoint in ["http://127.0.0.1:1/?c4n4ry", "https://127.0.0.1:1/?c4n4ry"] {
        let authenticator = crate::harness::lost(endpoint).build().unwrap();
        let failed = authenticator.authorization().await.unwrap_err();
        let text = shown(&failed);
        assert!(failed.is_not_sent() && !text.contains(CANARY), "{text}");
    }
}

#[tokio::test]
async fn a_token_on_a_request_does_not_show() {
    let body = r#"{"access_token":"c4n4ry","token_type":"bearer","expires_in":3600}"#;
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_all(Fault::body(200, "application/json", body));
    let authenticator = crate::harness::builder(&issuer).build().unwrap();
    let auth = AuthMiddleware::new(authenticator.clone());

    /// Sees what the middleware below sees.
    struct Look(tokio::sync::mpsc::UnboundedSender<String>);

    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Look {
        async fn handle(
            &self,
            request: reqwest::Request,
            extensions: &mut http::Extensions,
            next: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            assert_eq!(request.headers()[AUTHORIZATION], "Bearer c4n4ry");
            self.0.send(debug(&request)).unwrap();
            next.run(request, extensions).await
        }
    }

    let (look, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let client =
        reqwest_middleware::ClientBuilder::new(bare()).with(auth.clone()).with(Look(look)).build();
    client.get(issuer.url()).send().await.unwrap();
    let text = seen.recv().await.unwrap() + &debug(&auth) + &debug(&authenticator);
    assert!(text.contains("Sensitive") && !text.contains(CANARY), "{text}");
}
