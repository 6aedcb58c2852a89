//! Followed below the layer, where what a request carries goes along unless the policy stops there.

use auth_core::{ApiKey, Routes};
use auth_tower::{AuthLayer, BoxError};
use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use tower::ServiceBuilder;
use tower::util::BoxCloneSyncService;
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_http::follow_redirect::policy::{
    Action, Attempt, Limited, Policy, PolicyExt, Standard, redirect_fn,
};

use super::world::*;
use crate::support::Api;

/// Follows up to ten redirects to where what is on the request may go along, and gives any other
/// back as the answer.
fn stays(routes: Routes) -> impl Policy<Full<Bytes>, BoxError> + Clone + Send + Sync {
    let stays = redirect_fn(move |attempt: &Attempt<'_>| {
        let stays = routes.stays(attempt.previous(), attempt.location());
        Ok(if stays { Action::Follow } else { Action::Stop })
    });
    Limited::new(10).and::<_, Full<Bytes>, BoxError>(stays)
}

fn over<P>(policy: P, case: &Case, world: &World) -> Api
where
    P: Policy<Full<Bytes>, BoxError> + Clone + Send + Sync + 'static,
{
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(case.routes.clone()))
        .layer(FollowRedirectLayer::with_policy(policy))
        .service(world.service(case.places));
    BoxCloneSyncService::new(service)
}

pub(super) fn safe(case: &Case, world: &World) -> Api {
    over(stays(case.routes.clone()), case, world)
}

// torture: E39, E40
#[tokio::test(start_paused = true)]
async fn followed_below_the_layer_by_what_the_routes_say_each_credential_stays_at_home() {
    for (cases, chain_count) in [(cases(), CHAINS[0]), (cases_of_paths(), CHAINS[1])] {
        for case in cases {
            let world = World::default();
            let stack = safe(&case, &world);
            let (mut sent, mut looked_at) = (0, 0);
            for chain in chains(case.places.len()) {
                let (status, seen) = world.send(&stack, &case, &chain, Method::GET).await;
                let expected = chain.requests_while(|from, to| case.stays(from, to));
                assert_eq!(case.check(&seen), expected, "{chain:?}");
                // What is not followed is the answer.
                let is_through = expected == chain.requests();
                let expected = if is_through { 200 } else { chain.hops[0].0 };
                assert_eq!(status, expected, "{chain:?}");
                sent += 1;
                looked_at += seen.len();
            }
            assert_eq!(sent, chain_count);
            let each = case.places.len();
            // The first request of each chain, and one more for each redirect that was followed to.
            let follows = case.stays(0, 0);
            let followed = (1 + each + each.pow(2)) + (1 + each) + 1;
            assert_eq!(looked_at, chain_count + if follows { 5 * followed } else { 0 });
        }
    }
}

/// The leaks by the standard policy, of a request down the chain of these places.
async fn standard(case: &Case, hops: &[usize]) -> Vec<String> {
    let world = World::default();
    let stack = over(Standard::default(), case, &world);
    let (status, seen) = world.send(&stack, case, &Chain::new(0, 302, hops), Method::GET).await;
    assert_eq!((status.as_u16(), seen.len()), (200, 1 + hops.len()));
    case.leaks(&seen)
}

// Why the documents say that the policy below the layer must be another one.
#[tokio::test(start_paused = true)]
async fn followed_below_the_layer_by_the_standard_policy_a_key_leaks() {
    let [bearer, proved, custom, usual] = cases();
    let [once, twice] = ["https://other.example/302.1", "https://other.example/"]
        .map(|uri| move |what: &str| format!("{what} at {uri}"));
    // It takes `Authorization` off the request that goes to another origin, and has it again on the
    // one after that.
    assert_eq!(standard(&bearer, &[1, 1]).await, [twice("token-1")]);
    assert_eq!(standard(&usual, &[1, 1]).await, [twice("key-one")]);
    // Of other headers it knows nothing.
    assert_eq!(standard(&custom, &[1, 1]).await, [once("key-one"), twice("key-one")]);
    let proof = |uri: &dyn Fn(&str) -> String| uri("a proof");
    let leaks = [proof(&once), twice("token-1"), proof(&twice)];
    assert_eq!(standard(&proved, &[1, 1]).await, leaks);
    // At home, the proof of one URL goes to another (RFC 9449 §4.3).
    assert_eq!(standard(&proved, &[0]).await, ["a proof at https://api.example/"]);
    // And what one path gets goes to any other of the same origin.
    for case in cases_of_paths() {
        assert_eq!(standard(&case, &[1]).await, ["key-one at https://api.example/v2"]);
    }
}

// A 303 makes a GET of it (RFC 9110 §15.4.4).
#[tokio::test(start_paused = true)]
async fn a_key_for_one_method_does_not_go_with_another() {
    let key = ApiKey::new("writes", "key-one").unwrap();
    let routes = Routes::builder()
        .route_method(Method::POST, "https://api.example", key)
        .route("https://api.example", crate::support::scripted().0)
        .build()
        .unwrap();
    let case = Case { routes, secrets: Vec::new(), places: ORIGINS };
    let world = World::default();
    let chain = Chain::new(0, 303, &[0]);
    let (status, seen) = world.send(&safe(&case, &world), &case, &chain, Method::POST).await;
    assert!(seen.iter().all(|seen| seen.method == Method::POST), "{seen:?}");
    assert_eq!((status.as_u16(), seen.len()), (303, 1));
}
