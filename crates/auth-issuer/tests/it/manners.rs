//! What the vendor documents nowhere of its API, or only in words: bodies of refusals, and versions that must be named.

use auth_issuer::{Fault, Issuer, Place, Resource, When};
use serde_json::{Value, json};

use crate::http::{Answer, Call, token};

/// The code of a refusal in v2's envelope.
fn enveloped(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!((&body["_object"], &body["version"]), (&json!("/api/response"), &json!(2)));
    assert_eq!(body["data"], Value::Null);
    assert!(body["error"]["message"].is_string());
    body["error"]["code"].as_str().unwrap().to_owned()
}

async fn narrow(issuer: &Issuer) -> Answer {
    Call::get("/v2/documents").bearer(&token(issuer).await).send(issuer).await.unwrap()
}

#[tokio::test]
async fn a_permission_error_comes_in_v2s_envelope_or_in_the_words_that_were_set() {
    let builder = || Issuer::builder().client_for("app", "s3cret", [Resource::Shipments]);
    let challenge = Some(r#"Bearer error="insufficient_scope", scope="documents""#);
    let issuer = builder().start().await.unwrap();
    let answer = narrow(&issuer).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (403, challenge));
    assert_eq!(enveloped(&answer), "insufficient_scope");

    let issuer = builder().permission_error("text/plain", "not yours").start().await.unwrap();
    let answer = narrow(&issuer).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (403, challenge));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.body, b"not yours");

    let issuer = builder().permission_error("text/plain", "").start().await.unwrap();
    let answer = narrow(&issuer).await;
    assert_eq!((answer.status, answer.header("content-type")), (403, None));
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_done_is_told_in_the_dress_of_the_version() {
    let issuer = Issuer::start().await.unwrap();
    let key = issuer.create_api_key().unwrap();
    for (method, path, status, code) in [
        ("GET", "/v2/shipments/1", 404, "not_found"),
        ("GET", "/v2/shipments/x", 404, "not_found"),
        ("GET", "/v2/nowhere", 404, "not_found"),
        ("GET", "/v2", 404, "not_found"),
        ("DELETE", "/v2/shipments", 405, "method_not_allowed"),
        ("POST", "/v2/shipments/1001", 405, "method_not_allowed"),
    ] {
        let call = Call::to(method, path, "issuer").bearer(&key);
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!((answer.status, enveloped(&answer).as_str()), (status, code), "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405);
        let call = Call::to(method, &path.replace("/v2", "/v1"), "issuer").bearer(&key);
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!((answer.status, &answer.json()["errors"][0]["code"]), (status, &json!(code)));
    }
}

#[tokio::test]
async fn a_version_must_be_named_only_where_it_was_demanded() {
    for is_demanded in [false, true] {
        let issuer = Issuer::builder().demand_versions(is_demanded).start().await.unwrap();
        let key = issuer.create_api_key().unwrap();
        let v2 = Call::get("/v2/shipments").bearer(&key);
        let v1 = Call::get("/v1/shipments").bearer(&key);
        let answer = v2.send(&issuer).await.unwrap();
        assert_eq!(answer.status, if is_demanded { 400 } else { 200 });
        if is_demanded {
            assert_eq!(enveloped(&answer), "bad_version");
        }
        let answer = v1.send(&issuer).await.unwrap();
        assert_eq!(answer.status, if is_demanded { 406 } else { 200 });
        if is_demanded {
            assert_eq!(answer.json()["errors"][0]["code"], "bad_version");
        }
        let named = v2.clone().header("Flexport-Version", "2");
        assert_eq!(named.send(&issuer).await.unwrap().status, 200);
        let wrong = v2.header("Flexport-Version", "3");
        assert_eq!(wrong.send(&issuer).await.unwrap().status, 400);
        for range in
            ["application/vnd.flexport.v1", "text/html, Application/Vnd.Flexport.V1; q=0.9"]
        {
            let named = v1.clone().header("Accept", range);
            assert_eq!(named.send(&issuer).await.unwrap().status, 200, "{range}");
        }
        let other = v1.header("Accept", "application/vnd.flexport.v10");
        assert_eq!(other.send(&issuer).await.unwrap().status, if is_demanded { 406 } else { 200 });
    }
}

#[tokio::test]
async fn a_refusal_that_a_fault_makes_at_the_api_has_the_challenge_of_one() {
    let issuer = Issuer::start().await.unwrap();
    let call = Call::get("/v2/shipments").bearer(&token(&issuer).await);
    for status in [401, 403, 500] {
        issuer.api_status(Some(status));
        let expected = call.send(&issuer).await.unwrap();
        issuer.api_status(None);
        issuer.fault(Place::Api, When::next(1), Fault::status(status));
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("www-authenticate"), expected.header("www-authenticate"));
        assert_eq!(answer.header("www-authenticate").is_some(), status != 500);
    }
    issuer.fault(Place::Api, When::next(1), Fault::status(401));
    let answer = Call::get("/v2/nowhere").send(&issuer).await.unwrap();
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
    let own = Fault::status(401).header("WWW-Authenticate", "Basic");
    issuer.fault(Place::Api, When::next(1), own);
    let answer = call.send(&issuer).await.unwrap();
    assert_eq!(answer.header("www-authenticate"), Some("Basic"));
}
