//! Paths that nobody knows: an error in the words of the part that they would belong to.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use http::StatusCode;

use crate::api::Version;
use crate::fault::Place;
use crate::json_answer::error;
use crate::page::parts::PAGE;
use crate::state::State;
use crate::{api, upset};

/// Whose path it would be.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Api(Version),
    /// The page or the admin API, which meet no faults.
    Own,
    Nobody,
}

/// Answers what no route takes.
pub(crate) async fn answer(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    let owner = owner(request.uri().path());
    let fault = match owner {
        Owner::Own => None,
        Owner::Api(_) => state.fault(Place::Api),
        Owner::Nobody => state.fault(Place::Everywhere),
    };
    // An answer while the client still writes can reach it as a reset connection; a test wants the status.
    let _ = to_bytes(request.into_body(), upset::MAX_BODY).await;
    let answer = async {
        match owner {
            Owner::Api(version) => match state.api_status() {
                Some(status) => api::refusals::forced(status),
                None => api::refusals::not_found(version),
            },
            Owner::Own | Owner::Nobody => error(StatusCode::NOT_FOUND, "not_found", &advice()),
        }
    };
    let answer = match fault {
        Some(fault) => fault.strike(answer).await,
        None => answer.await,
    };
    match owner {
        Owner::Api(_) => upset::challenged(answer),
        Owner::Own | Owner::Nobody => answer,
    }
}

/// For whoever opens the issuer's bare address in a browser.
fn advice() -> String {
    format!(
        "Nothing is here. The settings page is {PAGE}, entered by the address that was printed at the start; programs find \
         the endpoints in /.well-known/oauth-authorization-server, and the admin API's in /admin"
    )
}

fn owner(path: &str) -> Owner {
    match path.split('/').nth(1) {
        Some("v1") => Owner::Api(Version::V1),
        Some("v2") => Owner::Api(Version::V2),
        Some("admin" | "settings") => Owner::Own,
        _ => Owner::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_what_its_first_part_names() {
        for (path, expected) in [
            ("/", Owner::Nobody),
            ("", Owner::Nobody),
            ("*", Owner::Nobody),
            ("/v1", Owner::Api(Version::V1)),
            ("/v2/shipments/1/legs", Owner::Api(Version::V2)),
            ("/v20", Owner::Nobody),
            ("/admin/x", Owner::Own),
            ("/settings", Owner::Own),
        ] {
            assert_eq!(owner(path), expected, "{path}");
        }
    }
}
