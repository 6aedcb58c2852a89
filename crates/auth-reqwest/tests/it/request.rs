//! Which requests get the token.

use auth_issuer::{Fault, Gate, Issuer};
use reqwest::StatusCode;
use tokio::task::JoinSet;

use crate::harness::{bare, builder, client, get, spent};
use crate::peer::Peer;

// torture: A1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_from_cold_make_one_token_request() {
    let issuer = Issuer::start().await.unwrap();
    let gate = Gate::new();
    issuer.fail_next(1, Fault::until(&gate));
    let authenticator = builder(&issuer).build().unwrap();
    let client = client(&authenticator);
    let mut requests = JoinSet::new();
    for _ in 0..200 {
        let request = client.get(format!("{}/v2/shipments", issuer.url()));
        requests.spawn(async move { request.send().await.unwrap().status() });
    }
    issuer.until_token_requests(1).await;
    gate.open();
    for status in requests.join_all().await {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(issuer.token_requests(), 1);
    assert_eq!(issuer.counters().api(200), 200);
    assert_eq!(spent(&authenticator).await, 1);
}

#[tokio::test]
async fn a_request_with_its_own_authorization_is_left_alone() {
    let issuer = Issuer::start().await.unwrap();
    let authenticator = builder(&issuer).build().unwrap();
    let client = client(&authenticator);
    let url = format!("{}/v2/shipments", issuer.url());
    let response = client.get(&url).bearer_auth("of-my-own").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(issuer.token_requests(), 0);

    // User info in a URL is one's own authorization, too.
    let with_user = url.replace("http://", "http://me:mine@");
    let response = client.get(with_user).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(issuer.token_requests(), 0);

    // Nor does its 401 cast suspicion on a token that is there.
    assert_eq!(get(&client, &issuer).await.unwrap().status(), StatusCode::OK);
    let response = client.get(&url).bearer_auth("of-my-own").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(!authenticator.status().await.token.unwrap().suspect);
    assert_eq!(issuer.token_requests(), 1);
}

#[tokio::test]
async fn another_origin_gets_no_authorization() {
    let issuer = Issuer::start().await.unwrap();
    let authenticator = builder(&issuer).build().unwrap();
    let client = client(&authenticator);
    get(&client, &issuer).await.unwrap();
    let other = Peer::with_status("401 Unauthorized").await;
    // The same machine and another port, another name for the same host, and the bound origin where it does not count.
    let port = issuer.address().port();
    let urls = [
        other.url(),
        format!("{}/{}?x={}#{}", other.url(), issuer.url(), issuer.url(), issuer.url()),
        other.url().replace("http://", &format!("http://127.0.0.1:{port}@")),
    ];
    for url in &urls {
        let request = reqwest::Request::new(reqwest::Method::GET, url.parse().unwrap());
        let response = client.execute(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(other.heads().len(), urls.len());
    for head in other.heads() {
        assert!(!head.contains("authorization:"), "{head}");
    }
    assert_eq!(issuer.token_requests(), 1);
}

#[tokio::test]
async fn a_bound_request_keeps_its_token_whatever_its_path_query_and_fragment_are() {
    let issuer = Issuer::start().await.unwrap();
    let client = client(&builder(&issuer).build().unwrap());
    for suffix in ["", "#fragment", "?q={a|b}#x", "?http://other.example/#/?@"] {
        let url = format!("{}/v2/shipments{suffix}", issuer.url());
        assert_eq!(client.get(&url).send().await.unwrap().status(), StatusCode::OK, "{url}");
    }
    assert_eq!(issuer.token_requests(), 1);
}

#[tokio::test]
async fn a_request_is_not_sent_without_its_token() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fail_all(Fault::oauth_error(401, "invalid_client"));
    let client = client(&builder(&issuer).build().unwrap());
    let failed = get(&client, &issuer).await.unwrap_err();
    assert!(auth_reqwest::error(&failed).unwrap().is_invalid_client());
    assert!(failed.is_middleware());
    assert_eq!(issuer.counters().api_total(), 0);

    // The error of a request that left is not ours.
    let unbound = bare().get("http://127.0.0.1:1/").send().await.unwrap_err();
    assert!(auth_reqwest::error(&unbound.into()).is_none());
}
