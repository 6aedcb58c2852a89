//! The page "Settings → API": where credentials and the legacy key are made, seen and taken away.
//!
//! It works without scripts, by forms that answer with a redirect, so that a reload does nothing twice.

mod answer;
pub(crate) mod csrf;
mod guard;
mod list;
pub(crate) mod once;
pub(crate) mod parts;
mod present;
pub(crate) mod refused;
mod render;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State as Extract};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use http::header::SET_COOKIE;
use http::{HeaderValue, Method, StatusCode, Uri};

use self::answer::{asset, html, see_other};
use self::guard::Fields;
use self::once::{Flash, Ticket};
use self::parts::PAGE;
use self::refused::Refused;
use self::view::{ConfirmView, Confirmed, Draft, SettingsView, ShownOnce};
use crate::admin_error::AdminError;
use crate::resource::Resource;
use crate::state::State;

/// The routes of the page. Only the entrance, the style sheet and the script are to be had without a session.
pub(crate) fn router(state: &Arc<State>) -> Router<Arc<State>> {
    let at = |path: &str| format!("{PAGE}{path}");
    let inside = Router::new()
        .route(PAGE, get(show))
        .route(&at("/credentials"), post(create))
        .route(&at("/credentials/rotate"), get(ask_rotate).post(rotate))
        .route(&at("/credentials/delete"), get(ask_delete).post(delete))
        .route(&at("/credentials/disable"), post(disable))
        .route(&at("/credentials/enable"), post(enable))
        .route(&at("/key"), post(generate))
        .route(&at("/key/revert"), post(revert))
        .route_layer(middleware::from_fn_with_state(Arc::clone(state), guard::guard));
    let outside = Router::new()
        .route(&at("/enter"), get(enter))
        .route(&at("/page.css"), get(|| async { asset("text/css", include_str!("page.css")) }))
        .route(&at("/page.js"), get(|| async { asset("text/javascript", include_str!("page.js")) }))
        .route_layer(middleware::from_fn_with_state(Arc::clone(state), guard::admit));
    inside.merge(outside).layer(middleware::map_response(guard::headers))
}

/// Trades the secret of the printed address for a cookie, so that it does not stay in the address bar.
async fn enter(Extract(state): Extract<Arc<State>>, uri: Uri) -> Response {
    let given = queried(&uri, "token");
    if !given.is_some_and(|given| state.access.is_entrance(&given)) {
        return guard::refuse(Refused::NoSession);
    }
    let mut response = see_other(PAGE);
    if let Ok(cookie) = HeaderValue::try_from(state.access.session_cookie()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

async fn show(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    let mut view = view(&state);
    if let Some(ticket) = queried(request.uri(), "shown") {
        // HEAD looks as well, and must not take it away.
        let flash = (*request.method() == Method::GET).then(|| state.once.take(&ticket)).flatten();
        match flash {
            Some(Flash::Created(created)) => view.created = Some(created),
            Some(Flash::Key(key)) => view.new_key = Some(key),
            Some(Flash::Notice(text)) => view.notice = Some(text),
            // A reload.
            None => {}
        }
    }
    html(StatusCode::OK, render::settings(&view))
}

async fn create(
    Extract(state): Extract<Arc<State>>,
    Extension(fields): Extension<Fields>,
) -> Response {
    let name = fields.get("name").unwrap_or_default();
    let ticked: Vec<String> = fields.all("resource").map(str::to_owned).collect();
    let again = |status, problem: String| {
        let mut view = view(&state);
        view.draft =
            Draft { name: name.to_owned(), resources: ticked.clone(), problem: Some(problem) };
        html(status, render::settings(&view))
    };
    let resources: Result<Vec<Resource>, _> = ticked.iter().map(|name| name.parse()).collect();
    let resources = match resources {
        Ok(resources) if resources.is_empty() => {
            return again(StatusCode::BAD_REQUEST, "Tick at least one resource.".to_owned());
        }
        Ok(resources) => resources,
        Err(unknown) => return again(StatusCode::BAD_REQUEST, sentence(&unknown.to_string())),
    };
    let Ok(ticket) = Ticket::new() else { return broken() };
    match state.registry.create(name, resources, state.clock.right()) {
        Ok(made) => {
            let (client_id, client_secret) = (made.client_id, made.client_secret);
            then(&state, ticket, Flash::Created(ShownOnce { client_id, client_secret }))
        }
        Err(error) => again(error.status(), sentence(&error.to_string())),
    }
}

async fn ask_rotate(Extract(state): Extract<Arc<State>>, uri: Uri) -> Response {
    ask(&state, &uri, Confirmed::Rotate)
}

async fn ask_delete(Extract(state): Extract<Arc<State>>, uri: Uri) -> Response {
    ask(&state, &uri, Confirmed::Delete)
}

async fn rotate(
    Extract(state): Extract<Arc<State>>,
    Extension(fields): Extension<Fields>,
) -> Response {
    let client_id = fields.get("client_id").unwrap_or_default().to_owned();
    changed(&state, |state| {
        let client_secret = state.registry.rotate(&client_id)?;
        Ok(Flash::Created(ShownOnce { client_id, client_secret }))
    })
}

async fn delete(
    Extract(state): Extract<Arc<State>>,
    Extension(fields): Extension<Fields>,
) -> Response {
    let id = fields.get("client_id").unwrap_or_default();
    changed(&state, |state| {
        let name = name_of(state, id);
        state.registry.delete(id)?;
        Ok(Flash::Notice(format!("Deleted: {name}")))
    })
}

async fn disable(state: Extract<Arc<State>>, fields: Extension<Fields>) -> Response {
    set_enabled(&state, &fields, false)
}

async fn enable(state: Extract<Arc<State>>, fields: Extension<Fields>) -> Response {
    set_enabled(&state, &fields, true)
}

async fn generate(Extract(state): Extract<Arc<State>>) -> Response {
    changed(&state, |state| Ok(Flash::Key(state.registry.create_key(state.clock.right())?)))
}

async fn revert(
    Extract(state): Extract<Arc<State>>,
    Extension(fields): Extension<Fields>,
) -> Response {
    // A browser asks for the tick by itself; whoever posts otherwise is to say it too.
    if fields.get("sure") != Some("yes") {
        let text = "Tick that you know that the present key stops working.";
        return html(StatusCode::BAD_REQUEST, render::problem("Not reverted", text));
    }
    changed(&state, |state| Ok(Flash::Key(state.registry.revert_key(state.clock.right())?)))
}

fn set_enabled(state: &State, fields: &Fields, is_enabled: bool) -> Response {
    let id = fields.get("client_id").unwrap_or_default();
    changed(state, |state| {
        state.registry.set_enabled(id, is_enabled)?;
        let verb = if is_enabled { "Enabled" } else { "Disabled" };
        Ok(Flash::Notice(format!("{verb}: {}", name_of(state, id))))
    })
}

/// Makes a change, and leads to the page that tells of it.
fn changed(state: &State, change: impl FnOnce(&State) -> Result<Flash, AdminError>) -> Response {
    let Ok(ticket) = Ticket::new() else { return broken() };
    match change(state) {
        Ok(flash) => then(state, ticket, flash),
        Err(error) => html(
            error.status(),
            render::problem("Nothing was changed", &sentence(&error.to_string())),
        ),
    }
}

fn then(state: &State, ticket: Ticket, flash: Flash) -> Response {
    let target = format!("{PAGE}?shown={}", ticket.as_str());
    state.once.keep(ticket, flash);
    see_other(&target)
}

fn ask(state: &State, uri: &Uri, action: Confirmed) -> Response {
    let id = queried(uri, "client_id").unwrap_or_default();
    let Some(known) = state.registry.credentials().into_iter().find(|known| known.client_id == id)
    else {
        let text = "There is no such credential.";
        return html(StatusCode::NOT_FOUND, render::problem("Not found", text));
    };
    let (client_id, name, csrf) = (known.client_id, known.name, state.access.csrf().to_owned());
    html(StatusCode::OK, render::confirm(&ConfirmView { action, client_id, name, csrf }))
}

fn name_of(state: &State, id: &str) -> String {
    let known = state.registry.credentials().into_iter().find(|known| known.client_id == id);
    known.map_or_else(|| id.to_owned(), |known| known.name)
}

fn view(state: &State) -> SettingsView {
    let now = state.clock.right();
    let row = |(info, standing): &(_, _)| present::credential(info, *standing, now);
    let key_created = state.registry.key_created();
    SettingsView {
        credentials: state.registry.standings(now).iter().map(row).collect(),
        created: None,
        new_key: None,
        has_key: key_created.is_some(),
        key_created: key_created.map(present::date),
        csrf: state.access.csrf().to_owned(),
        notice: None,
        draft: Draft::default(),
        resources: Resource::ALL.map(|resource| (resource.name(), resource.title())).to_vec(),
        token_endpoint: state.oauth.token_endpoint.clone(),
        audience: state.audiences.first().cloned().unwrap_or_default(),
    }
}

/// The first value of a parameter of the query.
fn queried(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Errors begin small and end without a point; a page has sentences.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}

fn broken() -> Response {
    let text = "The operating system gave no randomness.";
    html(StatusCode::INTERNAL_SERVER_ERROR, render::problem("Nothing was changed", text))
}
