//! An issuer that puts its refusals over the quota in other words (RFC 6749 §5.2), and a profile that knows them.

use auth_core::{Authenticator, Profile};
use auth_issuer::{Issuer, Quota, Refusal};

use crate::harness::{builder, client, get, spent};

/// One token, and 400 `invalid_request` from then on.
async fn issuer() -> Issuer {
    let words = "the daily number of tokens has been reached".to_owned();
    let quota = Quota::per_day(1).refusal(Refusal::BadRequest(words));
    Issuer::builder().quotas(quota).start().await.unwrap()
}

fn profile(issuer: &Issuer, quota_refusals: Vec<(u16, String)>) -> Authenticator {
    let mut profile = Profile::generic();
    profile.quota_refusals = quota_refusals;
    builder(issuer).profile(profile).build().unwrap()
}

// torture: B15
#[tokio::test]
async fn a_refusal_in_words_that_the_profile_knows_is_the_quotas_and_is_not_repeated() {
    let issuer = issuer().await;
    let auth = profile(&issuer, vec![(400, "number of tokens".to_owned())]);
    let client = client(&auth);
    assert_eq!(get(&client, &issuer).await.unwrap().status(), 200);
    let error = auth.renew().await.unwrap_err();
    assert!(error.is_quota_exhausted() && error.is_transient(), "{error}");
    assert!(error.to_string().contains("the daily number of tokens"), "{error}");
    assert_eq!((issuer.token_requests(), issuer.counters().over_quota), (2, 1));

    // Eight units are left by the client's own count, and none of them is tried.
    for _ in 0..10 {
        assert!(auth.renew().await.unwrap_err().is_quota_exhausted());
    }
    issuer.revoke_all();
    for _ in 0..10 {
        assert_eq!(get(&client, &issuer).await.unwrap().status(), 401);
    }
    assert_eq!((issuer.token_requests(), issuer.counters().over_quota), (2, 1));
    assert_eq!(spent(&auth).await, 2);
}

#[tokio::test]
async fn without_the_words_the_same_answer_is_a_mistake_of_the_request() {
    let issuer = issuer().await;
    for words in [Vec::new(), vec![(429, "number of tokens".to_owned())]] {
        let auth = profile(&issuer, words);
        let error = match auth.authorization().await {
            // The first has the one token.
            Ok(_) => auth.renew().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(!error.is_quota_exhausted(), "{error}");
    }
}
