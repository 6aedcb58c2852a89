//! Followed outside of the layer, where each request on the way is looked at anew.

use auth_core::{ApiKey, RequestOptions, Routes, Unmatched};
use auth_tower::{AuthLayer, BoxError};
use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use proptest::prelude::*;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_http::follow_redirect::policy::{Action, Attempt, Limited, Policy, PolicyExt, Standard};

use super::inside;
use super::world::*;
use crate::api::{Api as Server, numbered};
use crate::support::{Api, against, get, scripted, status};

fn over<P>(policy: P, case: &Case, world: &World) -> Api
where
    P: Policy<Full<Bytes>, BoxError> + Clone + Send + Sync + 'static,
{
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::with_policy(policy))
        .layer(AuthLayer::new(case.routes.clone()))
        .service(world.service(case.places));
    BoxCloneSyncService::new(service)
}

/// By its standard policy, which knows of a few headers, and by one that knows of none.
fn stacks(case: &Case, world: &World) -> [Api; 2] {
    [over(Standard::default(), case, world), over(Limited::default(), case, world)]
}

// torture: E39, E40
#[tokio::test(start_paused = true)]
async fn followed_outside_of_the_layer_each_credential_is_at_home_and_nowhere_else() {
    for (cases, chain_count) in [(cases(), CHAINS[0]), (cases_of_paths(), CHAINS[1])] {
        for case in cases {
            let world = World::default();
            for stack in stacks(&case, &world) {
                let (mut sent, mut looked_at) = (0, 0);
                for chain in chains(case.places.len()) {
                    let (status, seen) = world.send(&stack, &case, &chain, Method::GET).await;
                    assert_eq!(status, 200, "{chain:?}");
                    assert_eq!(case.check(&seen), chain.requests(), "{chain:?}");
                    sent += 1;
                    looked_at += seen.len();
                }
                assert_eq!(sent, chain_count);
                let each = case.places.len();
                assert_eq!(looked_at, 5 * (2 * each + 3 * each.pow(2) + 4 * each.pow(3)));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_comes_back_finds_the_credential_there() {
    for case in cases() {
        let world = World::default();
        for stack in stacks(&case, &world) {
            let chain = Chain::new(0, 302, &[1, 1, 0]);
            let (_, seen) = world.send(&stack, &case, &chain, Method::GET).await;
            assert_eq!(case.check(&seen), 4);
            assert_eq!(seen[3].uri, "https://api.example/");
            let names = ["authorization", "x-api-key"];
            let carry = |seen: &Seen| names.iter().any(|name| seen.headers.contains_key(*name));
            assert_eq!(seen.iter().map(carry).collect::<Vec<_>>(), [true, false, false, true]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // torture: E39
    #[test]
    fn no_chain_leads_a_credential_astray_in_any_order(
        paths in any::<bool>(),
        which in 0..4_usize,
        first in any::<prop::sample::Index>(),
        hops in prop::collection::vec((0..5_usize, any::<prop::sample::Index>()), 0..7),
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::PUT]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let case = if paths { &cases_of_paths()[which] } else { &cases()[which] };
            let place = |place: prop::sample::Index| place.index(case.places.len());
            let hops = hops.into_iter().map(|(status, to)| (STATUSES[status], place(to)));
            let chain = Chain { first: place(first), hops: hops.collect() };
            let world = World::default();
            for stack in stacks(case, &world) {
                let (_, seen) = world.send(&stack, case, &chain, method.clone()).await;
                assert_eq!(case.check(&seen), chain.requests());
            }
            let stack = inside::safe(case, &world);
            let (_, seen) = world.send(&stack, case, &chain, method).await;
            let expected = chain.requests_while(|from, to| case.stays(from, to));
            assert_eq!(case.check(&seen), expected);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_to_a_path_without_a_rule_or_of_two_readings_is_not_sent() {
    let key = ApiKey::new("usual", "key-one").unwrap();
    let routes = Routes::builder()
        .route("https://api.example/v1", key)
        .route("https://api.example/v2", scripted().0)
        .build()
        .unwrap();
    for location in ["/v10", "/V2", "/v1/..%2fv2", "/v1//v2", "/%ff%2e%2e%2fv2"] {
        let calls = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = calls.clone();
        let api = service_fn(move |request: Request<Full<Bytes>>| {
            kept.lock().unwrap().push(request.uri().to_string());
            let mut response = status(StatusCode::TEMPORARY_REDIRECT);
            response.headers_mut().insert(LOCATION, location.parse().unwrap());
            async { Ok::<_, BoxError>(response) }
        });
        let service = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(AuthLayer::new(routes.clone()))
            .service(api);
        let failed = service.oneshot(get("https://api.example/v1/x")).await.unwrap_err();
        assert!(!auth_tower::error(&*failed).unwrap().is_transient(), "{location}: {failed}");
        assert_eq!(*calls.lock().unwrap(), ["https://api.example/v1/x"], "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_of_a_relative_uri_comes_back_as_it_is() {
    let api = service_fn(|request: Request<Full<Bytes>>| async move {
        assert_eq!(request.headers()["authorization"], "Bearer token-1");
        let mut response = status(StatusCode::FOUND);
        response.headers_mut().insert(LOCATION, "https://other.example/".parse().unwrap());
        Ok::<_, BoxError>(response)
    });
    let auth = AuthLayer::new(scripted().0).assume_origin("https://api.example".parse().unwrap());
    let outside = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(auth.clone());
    let inside = ServiceBuilder::new().layer(auth).layer(FollowRedirectLayer::new());
    assert_eq!(outside.service(api).oneshot(get("/v2")).await.unwrap().status(), 302);
    assert_eq!(inside.service(api).oneshot(get("/v2")).await.unwrap().status(), 302);
}

/// Gives each request of a chain the options of the first. Beside a policy that says what is
/// followed.
#[derive(Clone, Debug, Default)]
struct KeepOptions(Option<RequestOptions>);

impl<B, E> Policy<B, E> for KeepOptions {
    fn redirect(&mut self, _: &Attempt<'_>) -> Result<Action, E> {
        Ok(Action::Follow)
    }

    fn on_request(&mut self, request: &mut Request<B>) {
        match &self.0 {
            Some(options) => drop(request.extensions_mut().insert(options.clone())),
            None => self.0 = request.extensions().get().cloned(),
        }
    }
}

/// What each request from the API to itself, to another and back carries, with these options on the
/// first.
async fn carried<P>(policy: P, options: RequestOptions) -> Vec<Option<String>>
where
    P: Policy<Full<Bytes>, BoxError> + Clone + Send + Sync + 'static,
{
    let key = ApiKey::new("the table's", "key-one").unwrap();
    let routes = Routes::builder().route("https://api.example", key);
    // Elsewhere what is chosen goes bare.
    let routes = routes.unmatched(Unmatched::PassBare).build().unwrap();
    let case = Case { routes, secrets: Vec::new(), places: ORIGINS };
    let world = World::default();
    let mut request = get(&Chain::new(0, 302, &[0, 1, 0]).uri(ORIGINS));
    request.extensions_mut().insert(options);
    let response: Result<Response<_>, _> = over(policy, &case, &world).oneshot(request).await;
    assert_eq!(response.unwrap().status(), 200);
    let seen = world.take();
    assert_eq!(seen.len(), 4);
    let sent = |seen: &Seen| Some(seen.headers.get("authorization")?.to_str().unwrap().to_owned());
    seen.iter().map(sent).collect()
}

// The redirect layer drops the extensions of a request: after a redirect the layer cannot tell it
// from any other.
#[tokio::test(start_paused = true)]
async fn after_a_redirect_outside_a_request_has_lost_its_options_and_gets_what_the_table_says() {
    let (tenant, _) = scripted();
    let chosen = RequestOptions::new().credential(tenant);
    let [key, token] = ["Bearer key-one", "Bearer token-1"].map(|sent| Some(sent.to_owned()));
    let after = [key.clone(), None, key];
    let sent = carried(Standard::default(), chosen).await;
    assert_eq!((&sent[0], &sent[1..]), (&token, &after[..]));
    let sent = carried(Standard::default(), RequestOptions::new().skip()).await;
    assert_eq!((&sent[0], &sent[1..]), (&None, &after[..]));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_keeps_the_options_keeps_the_credential_that_was_chosen() {
    let (tenant, _) = scripted();
    let chosen = RequestOptions::new().credential(tenant);
    let policy = || Limited::new(10).and::<_, Full<Bytes>, BoxError>(KeepOptions::default());
    let token = Some("Bearer token-1".to_owned());
    let sent = carried(policy(), chosen).await;
    assert_eq!(sent, [token.clone(), token.clone(), None, token]);
    assert_eq!(carried(policy(), RequestOptions::new().skip()).await, [const { None }; 4]);
}

/// Where sockets and hyper's client are under it.
#[tokio::test]
async fn over_real_servers_the_token_goes_to_its_own_and_not_to_where_that_leads() {
    let issuer = numbered().await;
    let away = Server::start(|_| Response::new(Full::default())).await;
    let location = away.url();
    let home = Server::start(move |_| {
        let mut response = status(StatusCode::TEMPORARY_REDIRECT);
        response.headers_mut().insert(LOCATION, location.parse().unwrap());
        response
    })
    .await;
    let auth = against(&issuer).origin(home.url()).build().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let stack = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(AuthLayer::new(auth))
        .service(client);
    let response = stack.oneshot(get(&home.url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(home.sent("authorization"), ["Bearer token-1"]);
    assert_eq!(away.sent("authorization"), [""]);
}
