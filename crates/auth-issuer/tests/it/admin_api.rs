//! The admin API, for programs.

use auth_issuer::Issuer;
use serde_json::{Value, json};

use crate::http::{Answer, Call, shipments};

async fn ask(issuer: &Issuer, method: &str, path: &str, body: &Value) -> Answer {
    let call = Call::to(method, path, &issuer.address().to_string()).bearer(issuer.admin_token());
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call.body(body).send(issuer).await.unwrap()
}

async fn make(issuer: &Issuer, name: &str, resources: &Value) -> Answer {
    let body = json!({ "name": name, "resources": resources });
    ask(issuer, "POST", "/admin/credentials", &body).await
}

#[tokio::test]
async fn a_program_makes_disables_rotates_and_deletes_credentials() {
    let issuer = Issuer::builder().quota(3).start().await.unwrap();
    let made = make(&issuer, "exporter", &json!(["shipments", "purchase_orders"])).await;
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")));
    let made = made.json();
    let (id, secret) =
        (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let ask_token = async |secret: &str| {
        let body = json!({ "client_id": id, "client_secret": secret,
            "audience": issuer.audience(), "grant_type": "client_credentials" });
        Call::token("application/json", body.to_string()).send(&issuer).await.unwrap()
    };
    let token = ask_token(secret).await.json()["access_token"].as_str().unwrap().to_owned();

    let list = ask(&issuer, "GET", "/admin/credentials", &Value::Null).await;
    assert!(!String::from_utf8_lossy(&list.body).contains(secret));
    let known = &list.json()["credentials"][1];
    assert_eq!(known["name"], "exporter");
    assert_eq!(known["resources"], json!(["shipments", "purchase_orders"]));
    assert_eq!((&known["enabled"], &known["spent"]), (&json!(true), &json!(1)));
    assert_eq!((&known["quota"]["limit"], &known["quota"]["spent"]), (&json!(3), &json!(1)));
    assert!(known["quota"]["next_opens"].as_u64() > known["created"].as_u64());
    let past = &known["requests"][0];
    assert_eq!((&past["cause"], &past["outcome"]), (&json!("start"), &json!("issued")));

    let at = |action: &str| format!("/admin/credentials/{id}{action}");
    let told = ask(&issuer, "POST", &at("/disable"), &Value::Null).await.json();
    assert_eq!(told, json!({ "client_id": id, "enabled": false }));
    assert_eq!(shipments(&issuer, &token).await, 401);
    assert_eq!(ask(&issuer, "POST", &at("/enable"), &Value::Null).await.status, 200);
    assert_eq!(shipments(&issuer, &token).await, 200);

    let rotated = ask(&issuer, "POST", &at("/rotate"), &Value::Null).await.json();
    assert_eq!(ask_token(secret).await.status, 401);
    assert_eq!(ask_token(rotated["client_secret"].as_str().unwrap()).await.status, 200);

    assert_eq!(ask(&issuer, "DELETE", &at(""), &Value::Null).await.status, 204);
    for (method, action) in
        [("DELETE", ""), ("POST", "/rotate"), ("POST", "/enable"), ("POST", "/disable")]
    {
        let answer = ask(&issuer, method, &at(action), &Value::Null).await;
        assert_eq!(answer.error(), (404, "not_found".to_owned()));
    }
}

#[tokio::test]
async fn a_client_id_of_any_characters_can_be_named() {
    let issuer = Issuer::builder().client("a/b c%2F?", "s3cret").start().await.unwrap();
    let answer =
        ask(&issuer, "POST", "/admin/credentials/a%2Fb%20c%252F%3F/disable", &Value::Null).await;
    assert_eq!(answer.status, 200);
    assert!(!issuer.credentials()[0].is_enabled);
}

/// Whether there is a key, as the API tells it.
async fn has_key(issuer: &Issuer) -> bool {
    let answer = ask(issuer, "GET", "/admin/api-key", &Value::Null).await;
    let told = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(told["created"].is_u64(), told["exists"] == true);
    assert_eq!(told.as_object().unwrap().len(), 2);
    told["exists"].as_bool().unwrap()
}

#[tokio::test]
async fn the_index_leads_to_every_part_and_the_documents_have_every_route() {
    let issuer = Issuer::start().await.unwrap();
    let index = ask(&issuer, "GET", "/admin", &Value::Null).await.json();
    for path in index.as_object().unwrap().values() {
        let answer = ask(&issuer, "GET", path.as_str().unwrap(), &Value::Null).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let source = include_str!("../../src/admin_api.rs");
    let rustdoc = include_str!("../../src/lib.rs");
    let page = include_str!("../../../../docs/testing.md");
    let routes: Vec<&str> = source.split(".route(\"").skip(1).collect();
    assert_eq!(routes.len(), 9);
    for route in routes {
        let (path, handlers) = route.split_once("\", ").unwrap();
        let handlers = handlers.lines().next().unwrap();
        for method in ["get", "post", "delete"] {
            if handlers.contains(&format!("{method}(")) {
                let row = format!("`{} {}`", method.to_uppercase(), path.replace("{id}", "ID"));
                assert!(rustdoc.contains(&row) && page.contains(&row), "{row}");
            }
        }
    }
}

#[tokio::test]
async fn the_key_is_made_once_and_reverted() {
    let issuer = Issuer::start().await.unwrap();
    let answer = ask(&issuer, "POST", "/admin/api-key/revert", &Value::Null).await;
    assert_eq!(answer.error(), (404, "not_found".to_owned()));
    assert_eq!((has_key(&issuer).await, issuer.has_api_key()), (false, false));
    let first = ask(&issuer, "POST", "/admin/api-key", &Value::Null).await.json();
    assert_eq!((has_key(&issuer).await, issuer.has_api_key()), (true, true));
    let first = first["api_key"].as_str().unwrap();
    assert_eq!(shipments(&issuer, first).await, 200);
    let answer = ask(&issuer, "POST", "/admin/api-key", &Value::Null).await;
    assert_eq!(answer.error(), (409, "conflict".to_owned()));
    let second = ask(&issuer, "POST", "/admin/api-key/revert", &Value::Null).await;
    assert_eq!(second.status, 201);
    assert_eq!(shipments(&issuer, first).await, 401);
    assert_eq!(shipments(&issuer, second.json()["api_key"].as_str().unwrap()).await, 200);
}

#[tokio::test]
async fn what_makes_no_sense_is_told_and_makes_nothing() {
    let issuer = Issuer::start().await.unwrap();
    let resources = ask(&issuer, "GET", "/admin/resources", &Value::Null).await.json();
    assert_eq!(
        resources["resources"][2],
        json!({ "name": "purchase_orders", "title": "Purchase orders" })
    );
    for (name, resources) in [
        ("", json!(["shipments"])),
        ("  \t ", json!(["shipments"])),
        ("a\nb", json!(["shipments"])),
        (&"x".repeat(101), json!(["shipments"])),
        ("new", json!([])),
        ("new", json!(["Shipments"])),
        ("new", json!("shipments")),
        ("new", Value::Null),
    ] {
        let answer = make(&issuer, name, &resources).await;
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()), "{name} {resources}");
        assert!(!answer.json()["error_description"].as_str().unwrap().is_empty());
    }
    for body in
        [json!({}), json!([]), json!({ "name": "x", "resources": ["bookings"], "admin": true })]
    {
        let answer = ask(&issuer, "POST", "/admin/credentials", &body).await;
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
    }
    let long = json!({ "name": "x".repeat(70_000), "resources": ["bookings"] });
    let answer = ask(&issuer, "POST", "/admin/credentials", &long).await;
    assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
    assert_eq!(issuer.credentials().len(), 1);
    assert_eq!(make(&issuer, &"é".repeat(100), &json!(["bookings"])).await.status, 201);
    assert_eq!(make(&issuer, " twice ", &json!(["bookings"])).await.status, 201);
    let answer = make(&issuer, "twice", &json!(["bookings"])).await;
    assert_eq!(answer.error(), (409, "conflict".to_owned()));
    let answer = ask(&issuer, "PUT", "/admin/resources", &Value::Null).await;
    assert_eq!(answer.error(), (405, "invalid_request".to_owned()));
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn a_path_that_is_no_text_and_a_wrong_method_get_an_error_in_json() {
    let issuer = Issuer::start().await.unwrap();
    let answer = ask(&issuer, "DELETE", "/admin/credentials/%FF", &Value::Null).await;
    assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
    let answer = ask(&issuer, "PATCH", "/admin/api-key", &Value::Null).await;
    assert_eq!(answer.error(), (405, "invalid_request".to_owned()));
    assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
    let call = Call::get("/v2/shipments/%FF").bearer(&issuer.create_api_key().unwrap());
    assert_eq!(call.send(&issuer).await.unwrap().status, 404);
}

// torture: E46
#[tokio::test]
async fn only_the_admin_token_opens_it_and_no_cookie_does() {
    let issuer = Issuer::start().await.unwrap();
    let own = issuer.address().to_string();
    let access_token = crate::http::token(&issuer).await;
    let entrance = issuer.settings_url();
    let entrance = Call::to("GET", entrance.strip_prefix(issuer.url()).unwrap(), &own);
    let cookie = entrance.send(&issuer).await.unwrap();
    let cookie = cookie.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let call = |method: &str, path: &str| Call::to(method, path, &own);
    let paths = [
        ("GET", "/admin/credentials"),
        ("POST", "/admin/credentials"),
        ("DELETE", "/admin/credentials/x"),
        ("POST", "/admin/credentials/x/disable"),
        ("POST", "/admin/credentials/x/enable"),
        ("POST", "/admin/credentials/x/rotate"),
        ("POST", "/admin/api-key"),
        ("POST", "/admin/api-key/revert"),
        ("GET", "/admin/resources"),
        ("GET", "/admin"),
        ("GET", "/admin/api-key"),
    ];
    for (method, path) in paths {
        for wrong in [
            call(method, path),
            call(method, path).header("Cookie", &cookie),
            call(method, path).bearer(""),
            call(method, path).bearer(&access_token),
            call(method, path).bearer(&issuer.admin_token()[1..]),
            call(method, path).header("Authorization", &format!("Basic {}", issuer.admin_token())),
            call(method, path).header("Authorization", issuer.admin_token()),
        ] {
            let answer = wrong.send(&issuer).await.unwrap();
            assert_eq!(answer.error(), (401, "invalid_token".to_owned()), "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"admin\""));
        }
        let twice = call(method, path).bearer(issuer.admin_token()).bearer(issuer.admin_token());
        assert_eq!(twice.send(&issuer).await.unwrap().error().0, 400);
        let rebound = Call::to(method, path, "rebound.example").bearer(issuer.admin_token());
        assert_eq!(rebound.send(&issuer).await.unwrap().error(), (421, "access_denied".to_owned()));
    }
    assert_eq!(issuer.credentials().len(), 1);
    assert!(issuer.create_api_key().is_ok());
    assert!(!format!("{issuer:?}").contains(issuer.admin_token()));
}
