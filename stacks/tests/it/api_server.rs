//! As much of a Kubernetes API server as the tests ask for: the config maps of one namespace.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use auth_issuer::Issuer;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// It serves until the runtime ends.
pub(crate) struct ApiServer {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: Arc<Issuer>,
    requests: AtomicU64,
    maps: Mutex<Vec<Value>>,
}

impl ApiServer {
    /// With one config map, `ports`.
    pub(crate) async fn start(issuer: &Arc<Issuer>) -> Self {
        let ports = json!({"metadata": {"name": "ports"}, "data": {"eu": "Rotterdam"}});
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            requests: AtomicU64::new(0),
            maps: Mutex::new(vec![ports]),
        });
        let maps = "/api/v1/namespaces/default/configmaps";
        let router = Router::new()
            .route(maps, get(list).post(create))
            .route(&format!("{maps}/{{name}}"), get(read))
            .layer(middleware::from_fn_with_state(shared.clone(), guard))
            .with_state(shared.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// How many requests arrived, refused ones included.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }
}

async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    shared.requests.fetch_add(1, SeqCst);
    let authorization = request.headers().get(AUTHORIZATION);
    let token = authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token.is_some_and(|token| shared.issuer.is_valid(token)) {
        next.run(request).await
    } else {
        failure(StatusCode::UNAUTHORIZED, "Unauthorized")
    }
}

async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let items = shared.maps.lock().unwrap().clone();
    Json(json!({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {}, "items": items}))
}

async fn read(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let maps = shared.maps.lock().unwrap();
    match maps.iter().find(|map| map["metadata"]["name"] == *name) {
        Some(map) => Json(map).into_response(),
        None => failure(StatusCode::NOT_FOUND, "NotFound"),
    }
}

async fn create(State(shared): State<Arc<Shared>>, Json(map): Json<Value>) -> Response {
    shared.maps.lock().unwrap().push(map.clone());
    (StatusCode::CREATED, Json(map)).into_response()
}

/// A `Status` of the API machinery.
fn failure(code: StatusCode, reason: &str) -> Response {
    let status = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": reason,
        "reason": reason,
        "code": code.as_u16(),
    });
    (code, Json(status)).into_response()
}
