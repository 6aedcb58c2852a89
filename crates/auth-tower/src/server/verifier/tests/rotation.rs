//! Keys that come and go while tokens are out.

use super::*;

fn token(pair: &Pair, kid: &str) -> String {
    pair.sign(&json!({ "kid": kid }), &claims())
}

/// One that was issued an hour before the test began.
fn old_token(pair: &Pair, kid: &str) -> String {
    pair.sign(&json!({ "kid": kid }), &claims_but(json!({ "iat": now() - 3600 })))
}

#[track_caller]
fn is_unavailable(result: Result<Claims, Rejected>) -> Duration {
    match result {
        Err(Rejected::Unavailable { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    }
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
    let Step::Otherwise(Otherwise { seen, .. }) = verifier.step(&token(&b, "b"), now) else {
        panic!("known")
    };
    endpoint.publishes(&[b.named("b")]);
    assert!(verifier.verify(&token(&b, "b")).await.is_ok());
    // Now nothing may be fetched, and nothing has to be.
    assert!(verifier.source.may_have_others(seen, clock.now()));
    assert_eq!(verifier.source.others(seen, clock.now()).await, Others::New);
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
        old_token(&pair, "a").split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
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
    let old = b.sign(&json!({}), &claims_but(json!({ "iat": now() - 3600 })));
    assert_eq!(reason(&verifier, &old), Reason::Signature);
    is_unavailable(verifier.verify(&nameless(&b)).await);
    endpoint.publishes(std::slice::from_ref(&b.jwk));
    pass(10).await;
    assert!(verifier.verify(&nameless(&b)).await.is_ok());
    let old = a.sign(&json!({}), &claims_but(json!({ "iat": now() - 3600 })));
    assert_eq!((endpoint.fetches(), reason(&verifier, &old)), (2, Reason::Signature));
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
    assert_eq!(rejected(verifier.verify(&old_token(&b, "c")).await), Reason::UnknownKey);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_changes_under_its_name_is_found_by_the_signature_that_it_makes() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("k")]);
    let (_, verifier) = over(&endpoint);
    assert!(verifier.verify(&token(&a, "k")).await.is_ok());
    endpoint.publishes(&[b.named("k")]);
    // Forged, as far as anybody can tell, however new it is.
    assert_eq!(reason(&verifier, &token(&b, "k")), Reason::Signature);
    pass(10).await;
    assert!(verifier.verify(&token(&b, "k")).await.is_ok());
    assert_eq!(endpoint.fetches(), 2);
    for round in 0..2000 {
        let forged = format!("{}{round}", token(&a, "k"));
        assert_eq!(rejected(verifier.verify(&forged).await), Reason::Signature);
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    assert!((3..=4).contains(&endpoint.fetches()), "{} in 20 s", endpoint.fetches());
}

/// A 401 would make the client buy another token, which has the same key.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_newer_than_the_keys_is_not_refused_for_its_key_before_they_were_asked_for()
{
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (_, verifier) = over(&endpoint);
    assert!(verifier.verify(&token(&a, "a")).await.is_ok());
    endpoint.publishes(&[a.named("a"), b.named("b")]);
    assert_eq!(is_unavailable(verifier.verify(&token(&b, "b")).await), Duration::from_secs(10));
    // An older one would have its key among them.
    assert_eq!(reason(&verifier, &old_token(&b, "b")), Reason::UnknownKey);
    pass(10).await;
    assert!(verifier.verify(&token(&b, "b")).await.is_ok());
    // Once they were asked for, there is no doubt.
    pass(10).await;
    assert_eq!(rejected(verifier.verify(&token(&b, "c")).await), Reason::UnknownKey);
    assert_eq!(endpoint.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_for_here_has_nothing_fetched_whatever_its_key() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (_, verifier) = over(&endpoint);
    let but = |members| b.sign(&json!({ "kid": "b" }), &claims_but(members));
    let foreign = but(json!({ "iss": "https://other.example" }));
    assert_eq!(reason(&verifier, &foreign), Reason::Issuer, "without any keys too");
    assert!(verifier.verify(&token(&a, "a")).await.is_ok());
    pass(10).await;
    for members in [
        json!({ "iss": "https://other.example" }),
        json!({ "aud": "another API" }),
        json!({ "exp": now() - 3600 }),
        json!({ "cnf": null }),
    ] {
        assert_eq!(reason(&verifier, &but(members)), Reason::UnknownKey);
    }
    assert_eq!(endpoint.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_silence_the_keys_are_asked_for_before_anybody_is_let_through() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (_, verifier) = over(&endpoint);
    let lasting = a.sign(&json!({ "kid": "a" }), &claims_but(json!({ "exp": now() + 86_400 })));
    assert!(verifier.verify(&lasting).await.is_ok());
    pass(659).await;
    assert!(verifier.cached(&lasting).unwrap().is_ok());
    pass(661).await;
    endpoint.publishes(&[b.named("b")]);
    assert!(verifier.cached(&lasting).is_none());
    assert_eq!(rejected(verifier.verify(&lasting).await), Reason::UnknownKey);
    assert_eq!(endpoint.fetches(), 3);
    // They were asked for after this one came, so that there is no doubt about its key.
    pass(1300).await;
    let new = json!({ "iat": now() + 2620, "exp": now() + 86_400 });
    let new = a.sign(&json!({ "kid": "c" }), &claims_but(new));
    assert_eq!(rejected(verifier.verify(&new).await), Reason::UnknownKey);
    assert_eq!(endpoint.fetches(), 4);
}

// torture: B17
#[tokio::test(start_paused = true)]
async fn keys_of_an_endpoint_that_is_down_or_has_none_any_more_are_used_for_a_day_and_no_longer() {
    for down in [Does::Fail, Does::Hang, Does::Answer(set(&[]))] {
        let pair = Pair::p256();
        let endpoint = Endpoint::of(&[pair.named("k")]);
        let (_, verifier) = over(&endpoint);
        let claims = claims_but(json!({ "exp": now() + 10 * 86_400 }));
        let lasting = pair.sign(&json!({ "kid": "k" }), &claims);
        assert!(verifier.verify(&lasting).await.is_ok());
        endpoint.now(down);
        pass(23 * 3600).await;
        // Nobody has come since, so this one asks; but there is no answer.
        assert!(verifier.verify(&lasting).await.is_ok());
        pass(1).await;
        assert!(verifier.cached(&lasting).unwrap().is_ok());
        pass(3600 + 600).await;
        assert!(verifier.cached(&lasting).is_none());
        is_unavailable(verifier.verify(&lasting).await);
        let paced = is_unavailable(verifier.verify(&lasting).await);
        assert!(paced > Duration::from_secs(1), "{paced:?}");
        endpoint.publishes(&[pair.named("k")]);
        pass(60).await;
        assert!(verifier.verify(&lasting).await.is_ok());
        assert!(verifier.cached(&lasting).unwrap().is_ok());
    }
}

/// What is published while the answer is on its way may not be in it.
#[tokio::test(start_paused = true)]
async fn keys_are_as_old_as_the_question_and_not_as_the_answer() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (_, verifier) = over(&endpoint);
    // The answer takes 10 ms, and by the clock that is 60 s behind this was issued in the midst of them.
    let iat = now() as f64 - 60.0 + 0.005;
    let between = b.sign(&json!({ "kid": "b" }), &claims_but(json!({ "iat": iat })));
    assert!(verifier.verify(&token(&a, "a")).await.is_ok());
    is_unavailable(verifier.verify(&between).await);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_while_other_keys_are_on_their_way_waits_for_them() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let endpoint = Endpoint::of(&[a.named("a")]);
    let (_, verifier) = over(&endpoint);
    assert!(verifier.verify(&token(&a, "a")).await.is_ok());
    endpoint.publishes(&[a.named("a"), b.named("b")]);
    pass(10).await;
    let (verifier, old) = (Arc::new(verifier), old_token(&b, "b"));
    let first = tokio::spawn({
        let (verifier, old) = (verifier.clone(), old.clone());
        async move { verifier.verify(&old).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(endpoint.fetches(), 2);
    assert!(verifier.cached(&old).is_none(), "judged by a set that is about to go");
    assert!(verifier.verify(&old).await.is_ok() && first.await.unwrap().is_ok());
    assert_eq!(endpoint.fetches(), 2);
}
