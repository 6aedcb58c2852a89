//! What a request shows, and what becomes of it.

use auth_issuer::Resource;

use super::support::{ask, get, request};
use super::world::{KEY, SHIPMENTS, World};

const INVALID: &str = r#"Bearer error="invalid_token""#;
const NO_SCOPE: &str = r#"Bearer error="insufficient_scope""#;

/// The beginning of the challenge, up to the description.
fn beginning(challenge: &str) -> &str {
    challenge.split(", error_description").next().unwrap_or_default()
}

#[tokio::test]
async fn every_way_to_show_a_credential_has_its_answer_and_no_refusal_reaches_the_handler() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.shipments_token().await;
    let bearer = format!("Bearer {token}");
    let spelled = format!("bEARER   {token}");
    let as_dpop = format!("DPoP {token}");
    let as_key = format!("Token token=\"{token}\"");
    let (key, own) = (format!("Bearer {KEY}"), format!("Token token=\"{KEY}\""));
    let (b, t) = (bearer.as_str(), own.as_str());
    let bare = "Bearer";
    for (method, path, shown, status, challenge) in [
        // Tokens where they go.
        ("GET", SHIPMENTS, &[b][..], 200, ""),
        ("GET", SHIPMENTS, &[&spelled], 200, ""),
        ("GET", "/v2/shipments/17", &[b], 200, ""),
        ("GET", "/v2/me", &[b], 200, ""),
        // Without the scopes, all or one of them.
        ("GET", "/v2/bookings", &[b], 403, NO_SCOPE),
        ("POST", SHIPMENTS, &[b], 403, NO_SCOPE),
        // Keys where they go, in both ways to write them, and where they do not.
        ("GET", "/v1/shipments", &[t], 200, ""),
        ("GET", "/v1/shipments", &[&key], 200, ""),
        ("GET", "/v2/bookings", &[t], 200, ""),
        ("GET", "/v2/bookings", &[&key], 200, ""),
        ("GET", SHIPMENTS, &[t], 401, INVALID),
        ("GET", SHIPMENTS, &[&key], 401, INVALID),
        ("GET", "/v2/me", &[t], 401, INVALID),
        ("GET", "/v1/shipments", &["Bearer other-key"], 401, INVALID),
        ("GET", "/v1/shipments", &["Token token=\"other-key\""], 401, INVALID),
        ("GET", "/v2/bookings", &["Token token=\"other-key\""], 401, INVALID),
        // Tokens where only keys go, which no other token would open, or in the place of one.
        ("GET", "/v1/shipments", &[b], 403, NO_SCOPE),
        ("GET", "/v1/shipments", &[&as_key], 403, NO_SCOPE),
        ("GET", "/v1/shipments", &[&as_dpop], 403, "DPoP error=\"insufficient_scope\""),
        ("GET", SHIPMENTS, &[&as_key], 401, INVALID),
        ("GET", "/v2/bookings", &[&as_key], 401, INVALID),
        // A token that is bound to nothing.
        ("GET", SHIPMENTS, &[&as_dpop], 401, "DPoP error=\"invalid_token\""),
        // Nothing, or nothing that is known.
        ("GET", SHIPMENTS, &[], 401, bare),
        ("GET", "/v1/shipments", &[], 401, bare),
        ("GET", SHIPMENTS, &["Basic YTpi"], 401, bare),
        // Not what its scheme has.
        ("GET", SHIPMENTS, &["Bearer"], 401, INVALID),
        ("GET", SHIPMENTS, &["Bearer a b"], 401, INVALID),
        // Two, the same ones too.
        ("GET", SHIPMENTS, &[b, b], 400, "Bearer error=\"invalid_request\""),
        ("GET", SHIPMENTS, &[b, t], 400, "Bearer error=\"invalid_request\""),
        ("GET", SHIPMENTS, &[&format!("{b}, {b}")], 400, "Bearer error=\"invalid_request\""),
        ("GET", SHIPMENTS, &[&format!("{b},{t}")], 400, "Bearer error=\"invalid_request\""),
        ("GET", "/v1/shipments", &[&format!("{t}, {b}")], 400, "Bearer error=\"invalid_request\""),
        ("GET", "/v2/shipments?access_token=x", &[b], 400, "Bearer error=\"invalid_request\""),
        ("GET", "/v2/shipments?access_token=x", &[], 401, bare),
        // What the table does not name, whatever is shown.
        ("GET", "/v3/shipments", &[b], 403, ""),
        ("DELETE", SHIPMENTS, &[b], 403, ""),
        ("GET", "/v3/shipments", &[], 403, ""),
        // What is public is not looked at.
        ("GET", "/health", &[], 200, ""),
        ("GET", "/health", &["Bearer nonsense", "Basic x"], 200, ""),
        ("POST", "/health", &[b], 403, ""),
    ] {
        let before = world.handler.calls();
        let answer = ask(&service, request(method, path, shown)).await;
        let what = format!("{method} {path}: {:?}", answer);
        assert_eq!(answer.status, status, "{what}");
        let said = beginning(answer.challenge());
        assert!(said.starts_with(challenge) && said.is_empty() == challenge.is_empty(), "{what}");
        // A bare one has nothing after it.
        assert!(challenge != bare || answer.challenge() == bare, "{what}");
        assert_eq!(world.handler.calls() - before, usize::from(status == 200), "{what}");
        if status == 200 {
            assert_eq!(answer.body, "served");
            let seen = world.handler.last();
            assert!(seen.headers.get_all("authorization").iter().all(|value| value.is_sensitive()));
            let caller = (seen.claims.is_some(), seen.key.is_some());
            let expected = match shown {
                _ if path == "/health" => (false, false),
                [one] if one.ends_with(&*token) => (true, false),
                _ => (false, true),
            };
            assert_eq!(caller, expected, "{what}");
        } else {
            assert_eq!(answer.field("cache-control"), "no-store", "{what}");
        }
    }
    assert_eq!(world.fetches.count(), 1);
}

#[tokio::test]
async fn the_handler_learns_from_the_extensions_who_it_is() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.token(&[Resource::Shipments, Resource::Bookings]).await;
    // The first is verified, and the second is remembered.
    for _ in 0..2 {
        assert_eq!(ask(&service, get(SHIPMENTS, &token)).await.status, 200);
        let claims = world.handler.last().claims.unwrap();
        let client = world.issuer.credentials().last().unwrap().client_id.clone();
        assert_eq!(claims.client_id(), Some(&*client));
        assert_eq!(claims.subject(), Some(&*format!("{client}@clients")));
        assert_eq!(
            (claims.issuer(), claims.audience()),
            (world.issuer.url(), &[world.issuer.audience().to_owned()][..])
        );
        assert!(claims.has_scope("shipments") && claims.has_scope("bookings"));
        assert_eq!(claims.scopes().count(), 2);
    }
    let shown = [format!("Token token=\"{KEY}\"")];
    let answer = ask(&service, request("GET", "/v1/shipments", &[&shown[0]])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.handler.last().key.unwrap().as_str(), "warehouse");
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named_and_nothing_shown_is_told_of_no_error() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.shipments_token().await;
    for (method, path, scope) in
        [("GET", "/v2/bookings", "bookings"), ("POST", SHIPMENTS, "shipments bookings")]
    {
        let shown = format!("Bearer {token}");
        let answer = ask(&service, request(method, path, &[&shown])).await;
        assert!(answer.challenge().ends_with(&format!(", scope=\"{scope}\"")), "{answer:?}");
        assert!(answer.body.contains("insufficient_scope"), "{answer:?}");
    }
    let answer = ask(&service, request("GET", SHIPMENTS, &[])).await;
    assert!(!answer.challenge().contains("error") && answer.body.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_credential_in_the_place_of_the_other_one_is_told_what_goes_there() {
    let world = World::start().await;
    let service = world.guarded();
    let token = world.shipments_token().await;
    for (path, shown, words) in [
        ("/v1/shipments", format!("Bearer {token}"), "this endpoint takes API keys only"),
        ("/v1/shipments", format!("Token token={token}"), "this endpoint takes API keys only"),
        (SHIPMENTS, format!("Token token={token}"), "the scheme Token is for API keys"),
        ("/v2/bookings", format!("Token token={token}"), "an access token with the scheme Bearer"),
        (SHIPMENTS, format!("Bearer {KEY}"), "send an access token"),
    ] {
        let answer = ask(&service, request("GET", path, &[&shown])).await;
        assert!(answer.challenge().contains(words), "{path}: {answer:?}");
        assert!(answer.body.contains(words), "{path}: {answer:?}");
    }
    // None of it has to wait for the issuer's keys, or asks for them.
    assert_eq!((world.fetches.count(), world.handler.calls()), (0, 0));
}

#[tokio::test]
async fn a_key_that_is_reverted_while_the_server_runs_opens_nothing_any_more() {
    let world = World::start().await;
    let service = world.guarded();
    let ask_with = async |key: &str| ask(&service, get("/v1/shipments", key)).await.status;
    assert_eq!(ask_with(KEY).await, 200);
    let next = "legacy-key-9876543210";
    world.keys.set([auth_tower::server::HashedKey::of("warehouse", next)]);
    assert_eq!((ask_with(KEY).await, ask_with(next).await), (401, 200));
    assert_eq!((world.fetches.count(), world.handler.calls()), (0, 2));
}
