//! Redirects of the API, by the client below the middleware: chains of them through what differs
//! from it in one thing.

mod world;

use std::time::Duration;

use auth_reqwest::AuthMiddleware;
use reqwest::{Client, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;

use self::world::*;

/// Where a retry stands in the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Retries {
    No,
    Outside,
    Inside,
}

fn stack(client: Client, auth: AuthMiddleware, retries: Retries) -> ClientWithMiddleware {
    let backoff = ExponentialBackoff::builder()
        .retry_bounds(Duration::ZERO, Duration::from_millis(1))
        .build_with_max_retries(5);
    let again = RetryTransientMiddleware::new_with_policy(backoff);
    let stack = ClientBuilder::new(client);
    match retries {
        Retries::No => stack.with(auth),
        Retries::Outside => stack.with(again).with(auth),
        Retries::Inside => stack.with(auth).with(again),
    }
    .build()
}

// torture: E39, E40
#[tokio::test]
async fn by_the_safe_client_each_credential_stays_at_home() {
    for world in worlds().await {
        for case in world.cases().await {
            let auth = AuthMiddleware::new(case.routes.clone());
            let bare = auth.client(world.client()).unwrap();
            // With retries the servers fail at first, and the chains need no third hop.
            let home = case.places.start;
            let others = case.places.clone().skip(1).map(|first| (Retries::No, first, 2));
            let from_home = [(Retries::No, 3), (Retries::Outside, 2), (Retries::Inside, 2)];
            let from_home = from_home.map(|(retries, most)| (retries, home, most));
            for (retries, first, most) in from_home.into_iter().chain(others) {
                let client = stack(bare.clone(), auth.clone(), retries);
                let mut looked_at = 0;
                for chain in case.chains(first, most) {
                    let uri = world.uri(&chain, retries != Retries::No);
                    let answer = client.get(&uri).send().await.unwrap();
                    let followed = case.followed(&chain);
                    let seen = world.take();
                    assert_eq!(case.check(&world, &seen), requests(followed, retries), "{chain:?}");
                    // What is not followed is the answer.
                    let last = chain.hops.get(followed);
                    assert_eq!(answer.status(), last.map_or(200, |(status, _)| *status));
                    let location = answer.headers().get("location");
                    let location = location.map(|value| value.to_str().unwrap());
                    assert_eq!(location.is_some(), last.is_some(), "{chain:?}");
                    assert!(
                        location.is_none_or(|to| to.starts_with(&world.places[last.unwrap().1]))
                    );
                    looked_at += seen.len();
                }
                assert_eq!(looked_at, enumerated(&case, first, most, retries));
            }
        }
    }
}

/// How many there are where so many redirects are followed. With retries each server fails once,
/// and a retry starts from the first again.
fn requests(followed: usize, retries: Retries) -> usize {
    let whole = 1 + followed;
    match retries {
        Retries::No => whole,
        Retries::Outside | Retries::Inside => whole * (whole + 1) / 2 + whole,
    }
}

/// How many there are in all chains of up to so many redirects from this place.
fn enumerated(case: &Case, first: usize, most: u32, retries: Retries) -> usize {
    let places = case.places.len();
    let of_length = |hops: u32| {
        if !case.stays(first) {
            return places.pow(hops) * requests(0, retries);
        }
        // So many are followed, the next leads away, and then anything follows.
        let left = |followed: u32| (places - 1) * places.pow(hops - followed - 1);
        let parts = (0..hops).map(|followed| left(followed) * requests(followed as usize, retries));
        parts.sum::<usize>() + requests(hops as usize, retries)
    };
    (1..=most).map(of_length).sum()
}

/// The leaks by reqwest's own policy, of a request down the chain of these places.
async fn usual(client: &Client, world: &World, case: &Case, hops: &[usize]) -> Vec<String> {
    let auth = AuthMiddleware::new(case.routes.clone());
    let client = stack(client.clone(), auth, Retries::No);
    let hops: Vec<_> = hops.iter().map(|to| (302, *to)).collect();
    let chain = Chain { first: case.places.start, hops };
    let answer = client.get(world.uri(&chain, false)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let seen = world.take();
    assert_eq!(seen.len(), 1 + chain.hops.len());
    case.leaks(world, &seen)
}

// Why the documents say that the client below the middleware must be another one.
#[tokio::test]
async fn followed_by_reqwests_own_policy_a_key_leaks() {
    for world in worlds().await {
        let client = world.client().build().unwrap();
        let [bearer, proved, custom, key, paths, proved_paths] = world.cases().await;
        // Each of the places that are not the API, in turn.
        for place in bearer.places.clone().skip(1) {
            let other = &world.places[place];
            let once = |what: &str| format!("{what} at {other}/302.{place}");
            let twice = |what: &str| format!("{what} at {other}/");
            // It takes `Authorization` off the request that goes to another origin, and has it
            // again on the one after that.
            assert_eq!(usual(&client, &world, &bearer, &[place; 2]).await, [twice("token-1")]);
            assert_eq!(usual(&client, &world, &key, &[place; 2]).await, [twice("key-one")]);
            // Of other headers it knows nothing.
            let leaks = [once("key-one"), twice("key-one")];
            assert_eq!(usual(&client, &world, &custom, &[place; 2]).await, leaks);
            let leaks = [once("a proof"), twice("token-1"), twice("a proof")];
            assert_eq!(usual(&client, &world, &proved, &[place; 2]).await, leaks);
        }
        let home = &world.places[0];
        assert_eq!(usual(&client, &world, &proved, &[0]).await, [format!("a proof at {home}/")]);
        for case in [paths, proved_paths] {
            let second = case.places.start + 1;
            let leaks = usual(&client, &world, &case, &[second]).await;
            assert_eq!(leaks, [format!("key-one at {}", world.places[second])]);
        }
    }
}
