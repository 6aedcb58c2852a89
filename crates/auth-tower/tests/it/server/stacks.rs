//! Under axum's router, and under hyper alone.

use auth_tower::server::{Access, Claims, KeyId, Need};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use proptest::prelude::*;
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

/// A template out of letters for its segments: `p` is a parameter, `r` all that follows, and a slash at the end stays.
fn template(letters: &str) -> String {
    let segments = letters.split('/').enumerate().skip(1).map(|(index, letter)| match letter {
        "p" => format!("/{{p{index}}}"),
        "r" => "/{*rest}".to_owned(),
        letter => format!("/{letter}"),
    });
    segments.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    /// A need that is another handler's would open what is not meant.
    #[test]
    fn the_row_that_counts_is_that_of_the_handler_which_the_router_takes(
        letters in prop::collection::btree_set("(/(a|b|%C3%A9|%c3%a9|p)){1,3}(/r?)?", 1..6),
        paths in prop::collection::vec("(/(a|b|c|%61|%C3%A9|%c3%a9)){0,4}/?", 1..8),
    ) {
        let templates: Vec<String> = letters.iter().map(|letters| template(letters)).collect();
        let rows = templates.iter().enumerate().fold(Access::builder(), |table, (row, template)| {
            table.route(http::Method::GET, template, Need::scope(row.to_string()))
        });
        // Some of them conflict.
        let Ok(table) = rows.build() else { return Ok(()) };
        let router = templates.iter().enumerate().fold(Router::new(), |router, (row, template)| {
            router.route(template, get(move || std::future::ready(row.to_string())))
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for path in paths {
            let found = table.find(&http::Method::GET, &path);
            let Some(row) = found.ok().and_then(|need| need.required_scopes().next()) else { continue };
            let request = Request::get(if path.is_empty() { "/" } else { &path });
            let response = router.clone().oneshot(request.body(Body::empty()).unwrap());
            let answer = runtime.block_on(async { Answer::of(response.await.unwrap()).await });
            prop_assert_eq!(&answer.body, row, "{} of {:?}", path, templates);
        }
    }
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
