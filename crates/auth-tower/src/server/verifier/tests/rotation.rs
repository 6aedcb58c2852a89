//! Keys that come and go while tokens are out.

use super::*;

fn token(pair: &Pair, kid: &str) -> String {
    pair.sign(&json!({ "kid": kid }), &claims())
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_new_key_waits_for_that_key_and_is_let_through() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (_, verifier) = over(&endpoint);
    assert!(verifier.cached(&token(&a, "a")).is_none(), "there are no keys yet");
    assert!(verifier.verify(&token(&a, "a")).await.is_ok());
    endpoint.publishes(&[a.named("a"), b.named("b")]);
    pass(10).await;

    let verifier = Arc::new(verifier);
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, token) = (verifier.clone(), token(&b, "b"));
            tokio::spawn(async move { verifier.verify(&token).await })
        })
        .collect();
    // The tokens of the old key do not wait for that.
    tokio::task::yield_now().await;
    assert!(verifier.cached(&token(&a, "a")).unwrap().is_ok());
    for caller in callers {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!(endpoint.fetches(), 2);
}

/// One request looks for a key, and another brings it before the first asks for it.
#[tokio::test(start_paused = true)]
async fn a_key_that_comes_between_a_look_and_a_question_is_seen() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (clock, verifier) = over(&endpoint);
    assert!(verifier.verify(&token(&a, "a")).await.is_ok());
    pass(10).await;
    let now = clock.now();
    let Step::Otherwise(_, seen) = verifier.step(&token(&b, "b"), now) else { panic!("known") };
    endpoint.publishes(&[b.named("b")]);
    assert!(verifier.verify(&token(&b, "b")).await.is_ok());
    // Now nothing may be fetched, and nothing has to be.
    assert!(verifier.source.may_have_others(seen, clock.now()));
    assert!(verifier.source.others(seen, clock.now()).await);
    assert_eq!(endpoint.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_unknown_keys_are_one_fetch_in_an_interval() {
    let pair = Pair::p256();
    let endpoint = Endpoint::of(&[pair.named("a")]);
    let (_, verifier) = over(&endpoint);
    assert!(verifier.verify(&token(&pair, "a")).await.is_ok());
    pass(10).await;
    // Forged, so one signature will do.
    let (_, rest) =
        token(&pair, "a").split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let verifier = Arc::new(verifier);
    let flood = |range: std::ops::Range<u32>| {
        range
            .map(|number| {
                let header =
                    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{number}"}}"#));
                let (verifier, token) = (verifier.clone(), format!("{header}.{rest}"));
                tokio::spawn(async move {
                    match verifier.cached(&token) {
                        Some(result) => result.map_err(Rejected::Invalid),
                        None => verifier.verify(&token).await,
                    }
                })
            })
            .collect::<Vec<_>>()
    };
    for round in 0..5 {
        for caller in flood(round * 2000..(round + 1) * 2000) {
            assert_eq!(rejected(caller.await.unwrap()), Reason::UnknownKey);
        }
        pass(1).await;
    }
    assert_eq!(endpoint.fetches(), 2, "the first, and one for all");
    assert!(verifier.cached(&token(&pair, "a")).unwrap().is_ok());
    pass(10).await;
    for caller in flood(0..10) {
        assert_eq!(rejected(caller.await.unwrap()), Reason::UnknownKey);
    }
    assert_eq!(endpoint.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_has_left_the_set_ends_its_tokens_remembered_ones_too() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a"), b.named("b")]);
    let (_, verifier) = over(&endpoint);
    for pair in [(&a, "a"), (&b, "b")] {
        assert!(verifier.verify(&token(pair.0, pair.1)).await.is_ok());
    }
    let old = token(&a, "a");
    assert!(verifier.verify(&old).await.is_ok() && verifier.cached(&old).unwrap().is_ok());
    endpoint.publishes(&[b.named("b")]);
    pass(600).await;
    // Still served, and the set is fetched behind it.
    assert!(verifier.cached(&old).unwrap().is_ok());
    pass(1).await;
    assert_eq!(reason(&verifier, &old), Reason::UnknownKey);
    assert!(verifier.cached(&token(&b, "b")).unwrap().is_ok());
    // The same name for another key is another key.
    let c = Pair::p256();
    endpoint.publishes(&[c.named("a")]);
    pass(600).await;
    let _ = verifier.cached(&token(&b, "b"));
    pass(1).await;
    assert_eq!(reason(&verifier, &old), Reason::Signature);
}

#[tokio::test(start_paused = true)]
async fn without_keys_it_is_not_for_the_token_to_be_wrong() {
    let pair = Pair::p256();
    let endpoint = Endpoint::new(Does::Fail);
    let (_, verifier) = over(&endpoint);
    let token = token(&pair, "k");
    for _ in 0..3 {
        assert!(verifier.cached(&token).is_none());
        let Err(Rejected::Unavailable { retry_after }) = verifier.verify(&token).await else {
            panic!("there are no keys")
        };
        assert_eq!(retry_after, Duration::from_secs(10));
    }
    assert_eq!(endpoint.fetches(), 1);
    // What can be said without keys is said.
    assert_eq!(reason(&verifier, "opaque"), Reason::Malformed);
    assert_eq!(rejected(verifier.verify("a.b.c").await), Reason::Malformed);
    endpoint.publishes(&[pair.named("k")]);
    pass(10).await;
    assert!(verifier.verify(&token).await.is_ok());
}

// torture: B17
#[tokio::test(start_paused = true)]
async fn while_the_endpoint_is_down_every_good_token_is_let_through() {
    let pair = Pair::p256();
    let endpoint = Endpoint::of(&[pair.named("k")]);
    let (_, verifier) = over(&endpoint);
    let lasting = pair.sign(&json!({ "kid": "k" }), &claims_but(json!({ "exp": now() + 86_400 })));
    assert!(verifier.verify(&lasting).await.is_ok());
    endpoint.now(Does::Hang);
    for minute in 0..4 * 60 {
        pass(60).await;
        assert!(verifier.cached(&lasting).unwrap().is_ok(), "minute {minute}");
        let fresh = pair.sign(
            &json!({ "kid": "k", "n": minute }),
            &claims_but(json!({ "exp": now() + 86_400 })),
        );
        assert!(verifier.cached(&fresh).unwrap().is_ok(), "minute {minute}");
    }
    assert!(endpoint.fetches() > 100 && endpoint.fetches() < 250, "{}", endpoint.fetches());
}

#[tokio::test(start_paused = true)]
async fn keys_without_names_are_fetched_anew_when_none_of_them_fits() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(std::slice::from_ref(&a.jwk));
    let (_, verifier) = over(&endpoint);
    let nameless = |pair: &Pair| pair.sign(&json!({}), &claims());
    assert!(verifier.verify(&nameless(&a)).await.is_ok());
    assert_eq!(reason(&verifier, &nameless(&b)), Reason::Signature);
    endpoint.publishes(std::slice::from_ref(&b.jwk));
    pass(10).await;
    assert!(verifier.verify(&nameless(&b)).await.is_ok());
    assert_eq!((endpoint.fetches(), reason(&verifier, &nameless(&a))), (2, Reason::Signature));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_leaves_a_new_key_in_doubt() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (_, verifier) = over(&endpoint);
    assert!(verifier.verify(&token(&a, "a")).await.is_ok());
    endpoint.now(Does::Hang);
    for round in 0..20 {
        pass(10).await;
        let rejected = verifier.verify(&token(&b, "b")).await;
        assert!(matches!(rejected, Err(Rejected::Unavailable { .. })), "{round}: {rejected:?}");
    }
    assert!(verifier.cached(&token(&a, "a")).unwrap().is_ok());
}

/// A client that hears 401 spends another token, and that one would be signed with the same key.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_new_while_the_endpoint_is_down_is_no_fault_of_the_token() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (_, verifier) = over(&endpoint);
    assert!(verifier.verify(&token(&a, "a")).await.is_ok());
    endpoint.now(Does::Fail);
    pass(10).await;
    for _ in 0..3 {
        assert!(verifier.cached(&token(&b, "b")).is_none());
        let rejected = verifier.verify(&token(&b, "b")).await;
        assert!(matches!(rejected, Err(Rejected::Unavailable { .. })));
        // What the keys at hand can tell is told.
        assert!(verifier.cached(&token(&a, "a")).unwrap().is_ok());
        assert_eq!(reason(&verifier, &token(&b, "a")), Reason::Signature);
    }
    assert_eq!(endpoint.fetches(), 2);
    endpoint.publishes(&[a.named("a"), b.named("b")]);
    pass(20).await;
    assert!(verifier.verify(&token(&b, "b")).await.is_ok());
    assert_eq!(rejected(verifier.verify(&token(&b, "c")).await), Reason::UnknownKey);
}
