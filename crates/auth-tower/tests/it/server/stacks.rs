//! Under axum's router, and under hyper alone.

use auth_tower::server::{Claims, KeyId};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::support::{Answer, ask};
use super::world::{KEY, SHIPMENTS, World, serve};

/// The claims, as axum's handlers have them.
async fn who(request: Request<Body>) -> String {
    let claims = request.extensions().get::<Claims>();
    let scopes = claims.map(|claims| claims.scopes().collect::<Vec<_>>().join(" "));
    let key = request.extensions().get::<KeyId>().map(|key| key.as_str().to_owned());
    format!("{}|{}", scopes.unwrap_or_default(), key.unwrap_or_default())
}

fn router(world: &World) -> Router {
    Router::new()
        .route(SHIPMENTS, get(who))
        .route("/v2/shipments/{id}", get(who))
        .route("/v2/bookings", get(who))
        .route("/v1/shipments", get(who))
        .route("/health", get(who))
        // Somebody has added this one, and has forgotten the table.
        .route("/v2/secrets", get(who))
        .layer(world.layer().build().unwrap())
}

fn wanted(url: &str, path: &str, shown: &str) -> Request<Full<bytes::Bytes>> {
    let request = Request::get(format!("{url}{path}")).header("authorization", shown);
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn a_router_of_axum_lets_the_same_through_and_its_handlers_know_who_it_is() {
    let world = World::start().await;
    let token = format!("Bearer {}", world.shipments_token().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = router(&world);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = Client::builder(TokioExecutor::new()).build_http();
    let key = format!("Bearer {KEY}");
    for (path, shown, status, body) in [
        (SHIPMENTS, &*token, 200, "shipments|"),
        ("/v2/shipments/17", &token, 200, "shipments|"),
        ("/v2/%73hipments/17", &token, 403, ""),
        ("/v2/shipments/%31%37", &token, 200, "shipments|"),
        ("/v2/bookings", &token, 403, ""),
        ("/v2/bookings", &key, 200, "|warehouse"),
        ("/v1/shipments", &key, 200, "|warehouse"),
        ("/health", "", 200, "|"),
        ("/v2/secrets", &token, 403, ""),
        ("/v2/secrets", &key, 403, ""),
        ("/v2//shipments", &token, 400, ""),
        (SHIPMENTS, "Bearer opaque", 401, ""),
        // The fallback of the router is behind the layer as well.
        ("/nowhere", &token, 403, ""),
    ] {
        let response = client.request(wanted(&url, path, shown)).await.unwrap();
        let answer = Answer::of(response).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(body.is_empty() || answer.body == body, "{path}: {answer:?}");
    }
    assert_eq!(world.fetches.count(), 1);
}

#[tokio::test]
async fn a_router_that_is_nested_sees_paths_without_what_is_above_it_and_so_does_the_table() {
    let world = World::start().await;
    let token = format!("Bearer {}", world.shipments_token().await);
    let inside = Router::new().route("/shipments", get(who)).layer(world.layer().build().unwrap());
    let app = Router::new().nest("/v2", inside);
    let request = Request::get(SHIPMENTS).header("authorization", &token);
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    // Closed, not open.
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn hyper_alone_serves_it_over_one_connection_with_refusals_in_between() {
    let world = World::start().await;
    let token = format!("Bearer {}", world.shipments_token().await);
    let url = format!("http://{}", serve(world.guarded()).await);
    let client = Client::builder(TokioExecutor::new()).build_http();
    for _ in 0..3 {
        for (path, shown, status) in [
            (SHIPMENTS, &*token, 200),
            ("/v2/bookings", &token, 403),
            (SHIPMENTS, "Bearer opaque", 401),
            ("/v2/../health", "", 400),
            ("/health", "", 200),
        ] {
            let answer = ask(&client, wanted(&url, path, shown)).await;
            assert_eq!(answer.status, status, "{path}: {answer:?}");
            assert_eq!(answer.field("content-length"), answer.body.len().to_string());
        }
    }
    // The body of a refusal is one that says how long it is.
    let response = client.request(wanted(&url, SHIPMENTS, "Bearer opaque")).await.unwrap();
    assert!(response.into_body().collect().await.unwrap().to_bytes().starts_with(b"{\"error\":"));
    assert_eq!((world.handler.calls(), world.fetches.count()), (6, 1));
}
