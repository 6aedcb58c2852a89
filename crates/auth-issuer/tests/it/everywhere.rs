//! A fault of everywhere, and what it spares.

use auth_issuer::{Fault, Issuer, Place, When};

use crate::http::Call;

/// All of the vendor's side, with a path and a method that are not there.
const VENDOR: [(&str, &str); 13] = [
    ("POST", "/oauth/token"),
    ("GET", "/oauth/token"),
    ("POST", "/oauth/revoke"),
    ("GET", "/oauth/revoke"),
    ("GET", "/.well-known/jwks.json"),
    ("POST", "/.well-known/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/v1/shipments"),
    ("GET", "/v2/shipments/1001"),
    ("DELETE", "/v2/shipments"),
    ("GET", "/v2/nowhere"),
    ("GET", "/nowhere"),
];

async fn status(issuer: &Issuer, method: &str, path: &str) -> u16 {
    let call = Call::to(method, path, &issuer.address().to_string());
    call.bearer(issuer.admin_token()).send(issuer).await.unwrap().status
}

#[tokio::test]
async fn a_fault_of_everywhere_befalls_all_of_the_vendors_side_once() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fault(Place::Everywhere, When::next(VENDOR.len()), Fault::status(503));
    for (method, path) in VENDOR {
        assert_eq!(status(&issuer, method, path).await, 503, "{method} {path}");
    }
    // No request has met two of them.
    for (method, path) in VENDOR {
        assert_ne!(status(&issuer, method, path).await, 503, "{method} {path}");
    }
}

#[tokio::test]
async fn the_page_and_the_admin_api_never_meet_a_fault() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fault(Place::Everywhere, When::always(), Fault::status(503));
    assert_eq!(status(&issuer, "GET", "/admin/credentials").await, 200);
    assert_eq!(status(&issuer, "GET", "/admin/nowhere").await, 404);
    assert_eq!(status(&issuer, "GET", "/settings/api/page.css").await, 200);
    assert_eq!(status(&issuer, "GET", "/settings/nowhere").await, 404);
    let entrance = issuer.settings_url();
    let entrance = entrance.strip_prefix(issuer.url()).unwrap();
    assert_eq!(status(&issuer, "GET", entrance).await, 303);
}

#[tokio::test]
async fn a_fault_of_the_api_befalls_nothing_else() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fault(Place::Api, When::always(), Fault::status(503));
    for (method, path) in VENDOR {
        let is_api = path.starts_with("/v");
        assert_eq!(status(&issuer, method, path).await == 503, is_api, "{method} {path}");
    }
}

#[tokio::test]
async fn a_path_that_nobody_knows_is_told_in_json_and_says_where_the_page_is() {
    let issuer = Issuer::start().await.unwrap();
    for path in ["/", "/nowhere", "/admin/nowhere", "/settings/nowhere"] {
        let answer = Call::get(path).send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (404, "not_found".to_owned()), "{path}");
        let words = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(words.contains("/settings/api"), "{words}");
    }
}
