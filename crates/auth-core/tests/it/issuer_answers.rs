//! Whatever the issuer answers: a typed error to every waiter, nothing cached, the unit counted.

use std::error::Error as _;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn every_bad_answer_is_a_typed_error_and_costs_its_unit() {
    type Check = fn(&auth_core::Error) -> bool;
    let html = || Step::Answer(answer(200, "text/html", "<html>canary</html>"));
    let cut_off = || Step::Answer(answer(200, "application/json", r#"{"access_token":"abc"#));
    let long = || Step::Answer(answer(200, "application/json", &" ".repeat(100_000)));
    let moved = || Step::Answer(answer(307, "text/plain", ""));
    let no_lifetime = || {
        Step::Answer(answer(
            200,
            "application/json",
            r#"{"access_token":"a","token_type":"Bearer"}"#,
        ))
    };
    let cases: [(Step, Check); 11] = [
        (html(), |e| e.is_malformed_answer() && e.is_transient()),
        (cut_off(), |e| e.is_malformed_answer()),
        (long(), |e| e.is_malformed_answer()),
        (moved(), |e| e.is_malformed_answer() && !e.is_transient()),
        (no_lifetime(), |e| e.is_malformed_answer() && e.to_string().contains("default_lifetime")),
        (Step::Token(0), |e| e.is_malformed_answer() && e.to_string().contains("expires_in")),
        (refusal(401, "invalid_client"), |e| e.is_invalid_client() && !e.is_transient()),
        (refusal(400, "invalid_scope"), |e| e.is_rejected() && !e.is_transient()),
        (refusal(503, "unheard_of"), |e| e.is_transient()),
        (refusal(429, "unheard_of"), |e| e.is_quota_exhausted() && e.is_transient()),
        (Step::Broken, |e| e.is_transient() && e.source().is_some()),
    ];
    for (i, (step, check)) in cases.into_iter().enumerate() {
        let issuer = Issuer::new([step]);
        let (auth, _) = authenticator(&issuer);
        let error = auth.authorization().await.unwrap_err();
        assert!(check(&error), "case {i}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"), "case {i}: {error:?}");
        assert!(error.retry_at().is_some(), "case {i}: {error}");
        assert_eq!(error.credential(), "client");
        assert!(auth.try_authorization().is_none(), "case {i}");
        let status = auth.status().await;
        assert_eq!(status.windows[0].spent, 1, "case {i}");
        assert!(status.last_error.is_some() && status.held_until.is_some(), "case {i}");
        assert_eq!(issuer.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_left_costs_nothing_and_is_tried_again_within_seconds() {
    let issuer = Issuer::new([Step::NotSent, Step::NotSent]);
    let (auth, clock) = authenticator(&issuer);
    for expected in [1, 2] {
        let error = auth.authorization().await.unwrap_err();
        assert!(error.is_not_sent() && error.is_transient(), "{error}");
        let wait = clock.until(error.retry_at().unwrap());
        assert_eq!(wait.as_secs(), expected);
        assert_eq!(auth.status().await.windows[0].spent, 0);
        tokio::time::advance(wait).await;
    }
    auth.authorization().await.unwrap();
    assert_eq!(auth.status().await.windows[0].spent, 1);
}

// torture: D25
#[tokio::test(start_paused = true)]
async fn without_any_lifetime_the_configured_one_counts() {
    let body = r#"{"access_token":"opaque","token_type":"Bearer"}"#;
    let issuer = Issuer::new([Step::Answer(answer(200, "application/json", body))]);
    let (builder, _) = builder(&issuer);
    let auth = builder.default_lifetime(HOUR).build().unwrap();
    auth.authorization().await.unwrap();
    let left = auth.status().await.token.unwrap().expires_in;
    assert!(left <= HOUR && left >= HOUR - HOUR / 10, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_and_bounded() {
    for (header, expected) in
        [("7200", 7200), ("99999999999999999999", 25 * 3600 + 60), ("junk", 30), ("1", 30)]
    {
        let mut response = answer(503, "text/plain", "");
        response.headers_mut().insert("retry-after", header.parse().unwrap());
        let issuer = Issuer::new([Step::Answer(response)]);
        let (auth, clock) = authenticator(&issuer);
        let error = auth.authorization().await.unwrap_err();
        assert_eq!(clock.until(error.retry_at().unwrap()).as_secs(), expected, "{header}");

        tokio::time::advance(
            clock.until(error.retry_at().unwrap()) - std::time::Duration::from_millis(1),
        )
        .await;
        auth.authorization().await.unwrap_err();
        assert_eq!(issuer.requests(), 1);
        tokio::time::advance(std::time::Duration::from_millis(1001)).await;
        auth.authorization().await.unwrap();
    }
}

// torture: D32
#[tokio::test(start_paused = true)]
async fn what_is_no_jwt_is_used_as_it_is_whatever_stands_in_its_middle() {
    // `{"exp":1,"iat":1}` where the claims of a JWT would be, behind what is no header.
    let body =
        r#"{"access_token":"x.eyJleHAiOjEsImlhdCI6MX0.y","token_type":"Bearer","expires_in":3600}"#;
    let issuer = Issuer::new([Step::Answer(answer(200, "application/json", body))]);
    let (auth, _) = authenticator(&issuer);
    let authorization = auth.authorization().await.unwrap();
    assert_eq!(text(&authorization), "Bearer x.eyJleHAiOjEsImlhdCI6MX0.y");
}
