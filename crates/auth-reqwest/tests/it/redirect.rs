//! Redirects: of the token endpoint, which are never followed, and of the API, which must not lead the token away.

use auth_issuer::{Fault, Issuer};
use auth_reqwest::AuthMiddleware;
use reqwest::StatusCode;
use reqwest_middleware::ClientBuilder;

use crate::harness::{builder, client, get, spent};
use crate::peer::{Peer, found, plain};

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

// torture: E38
#[tokio::test]
async fn a_token_endpoint_that_redirects_elsewhere_does_not_get_the_secret_sent_there() {
    let elsewhere = Peer::with_status("200 OK").await;
    for status in REDIRECTS {
        let issuer = Issuer::start().await.unwrap();
        issuer.fail_all(Fault::redirect(status, &elsewhere.url()));
        let authenticator = builder(&issuer).build().unwrap();
        let failed = get(&client(&authenticator), &issuer).await.unwrap_err();
        let failed = auth_reqwest::error(&failed).unwrap();
        assert!(failed.is_malformed_answer(), "{status}: {failed}");
        assert!(failed.to_string().contains("redirects are never followed"), "{failed}");
        assert_eq!(issuer.token_requests(), 1, "{status}");
        assert_eq!(spent(&authenticator).await, 1, "{status}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

// torture: E38
#[tokio::test]
async fn a_token_endpoint_that_redirects_to_itself_is_asked_once() {
    for status in REDIRECTS {
        let issuer = Issuer::start().await.unwrap();
        issuer.fail_next(1, Fault::redirect(status, "/oauth/token"));
        let authenticator = builder(&issuer).build().unwrap();
        let failed = get(&client(&authenticator), &issuer).await.unwrap_err();
        assert!(auth_reqwest::error(&failed).unwrap().is_malformed_answer(), "{status}");
        assert_eq!(issuer.token_requests(), 1, "{status}");
        assert!(authenticator.try_authorization().is_none(), "{status}");
    }
}

#[tokio::test]
async fn a_location_that_is_no_url_makes_no_difference() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_all(Fault::redirect(302, "http://[1::2::3]/"));
    let authenticator = builder(&issuer).build().unwrap();
    assert!(authenticator.authorization().await.unwrap_err().is_malformed_answer());
    assert_eq!(spent(&authenticator).await, 1);
}

#[tokio::test]
async fn a_configured_client_follows_no_redirect_either() {
    let issuer = Issuer::start().await.unwrap();
    let elsewhere = Peer::with_status("200 OK").await;
    issuer.fail_all(Fault::redirect(307, &elsewhere.url()));
    let transport = auth_reqwest::ReqwestTransport::builder()
        .configure(|client| client.redirect(reqwest::redirect::Policy::limited(5)))
        .build()
        .unwrap();
    let authenticator = builder(&issuer).transport(transport).build().unwrap();
    assert!(authenticator.authorization().await.unwrap_err().is_malformed_answer());
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn the_safe_clients_redirects_keep_the_token_at_home() {
    let issuer = Issuer::start().await.unwrap();
    // It would show the token on the second hop within itself.
    let elsewhere = Peer::start(|head| match head.starts_with("get /one") {
        true => found("/two"),
        false => plain("200 OK"),
    })
    .await;
    let away = format!("{}/one", elsewhere.url());
    let api = Peer::start(move |head| match head.split(' ').nth(1) {
        Some("/home") => found("/here"),
        Some("/away") => found(&away),
        Some("/round") => found("/round"),
        _ => plain("200 OK"),
    })
    .await;
    let auth = AuthMiddleware::new(builder(&issuer).origin(api.url()).build().unwrap());
    let bare = auth.client(reqwest::Client::builder().no_proxy()).unwrap();
    let client = ClientBuilder::new(bare).with(auth).build();
    let get = |path: &str| client.get(format!("{}{path}", api.url())).send();

    assert_eq!(get("/home").await.unwrap().status(), StatusCode::OK);
    assert!(api.heads().iter().all(|head| head.contains("authorization: bearer")));
    let answer = get("/away").await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert!(answer.headers()["location"].to_str().unwrap().starts_with(&elsewhere.url()));
    assert_eq!(elsewhere.connections(), 0);
    assert!(get("/round").await.unwrap_err().is_redirect());
}
