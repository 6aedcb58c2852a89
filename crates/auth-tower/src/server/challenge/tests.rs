use auth_core::PathPrefix;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A challenge: its scheme, its parameters, and whether the grammar of RFC 9110 §11.6.1 was kept to the letter.
type Challenge = (String, Vec<(String, String)>);

fn parsed(value: &HeaderValue) -> Vec<Challenge> {
    let mut rest = value.to_str().unwrap();
    let mut challenges: Vec<Challenge> = Vec::new();
    while !rest.is_empty() {
        let end = rest.find([' ', ',', '=']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        assert!(
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            "{name}"
        );
        if let Some(quoted) = after.strip_prefix("=\"") {
            let (value, after) = unquoted(quoted);
            challenges.last_mut().unwrap().1.push((name.to_owned(), value));
            assert!(after.is_empty() || after.starts_with(", "), "{after}");
            rest = after.strip_prefix(", ").unwrap_or(after);
        } else {
            challenges.push((name.to_owned(), Vec::new()));
            rest = after.strip_prefix(", ").or_else(|| after.strip_prefix(' ')).unwrap_or(after);
        }
    }
    challenges
}

fn unquoted(text: &str) -> (String, &str) {
    let (mut value, mut characters) = (String::new(), text.chars());
    loop {
        match characters.next().unwrap() {
            '"' => return (value, characters.as_str()),
            '\\' => value.push(characters.next().unwrap()),
            character => value.push(character),
        }
    }
}

fn told(answer: &Answer) -> (u16, String) {
    let challenge = answer.challenge.as_ref().map_or("", |challenge| challenge.to_str().unwrap());
    (answer.status.as_u16(), challenge.to_owned())
}

fn token(scheme: Scheme) -> Refusal<'static> {
    Refusal::InvalidToken { scheme, description: "the token has expired" }
}

fn ambiguous() -> Refused {
    Refused::Ambiguous(PathPrefix::check("/a/../b").unwrap_err())
}

const SCHEMES: [Scheme; 2] = [Scheme::Bearer, Scheme::Dpop];

#[test]
fn each_refusal_has_its_status_and_its_challenge() {
    let challenger = Challenger::new("ES256");
    let need = Need::scopes(["shipments", "write"]);
    let scope = |scheme| Refusal::InsufficientScope { scheme, need: &need };
    for (refusal, status, challenge) in [
        (Refusal::NothingShown, 401, "Bearer"),
        (
            token(Scheme::Bearer),
            401,
            r#"Bearer error="invalid_token", error_description="the token has expired""#,
        ),
        // Whoever comes with a proof is told which ones there are, though others are not.
        (
            token(Scheme::Dpop),
            401,
            r#"DPoP error="invalid_token", error_description="the token has expired", algs="ES256""#,
        ),
        (
            ProofError::BoundTokenAsBearer.into(),
            401,
            r#"Bearer error="invalid_token", error_description="the token is bound to a key; send it with the scheme DPoP and a proof", DPoP algs="ES256""#,
        ),
        (
            scope(Scheme::Bearer),
            403,
            r#"Bearer error="insufficient_scope", error_description="the token has not been granted what this endpoint needs", scope="shipments write""#,
        ),
        (
            PresentError::Several.into(),
            400,
            r#"Bearer error="invalid_request", error_description="send one credential, in one Authorization field and nowhere else""#,
        ),
        (
            PresentError::Malformed(Scheme::Bearer).into(),
            401,
            r#"Bearer error="invalid_token", error_description="the credential is malformed""#,
        ),
        (ambiguous().into(), 400, ""),
        (Refused::Unlisted.into(), 403, ""),
        (Refusal::Unavailable { retry_after: Duration::from_millis(1500) }, 503, ""),
        (ProofError::TooMany.into(), 503, ""),
    ] {
        assert_eq!(
            told(&challenger.answer(&refusal)),
            (status, challenge.to_owned()),
            "{refusal:?}"
        );
    }
    for (refusal, status, beginning, words) in [
        (Refusal::KeyNotTaken, 401, r#"Bearer error="invalid_token", "#, "send an access token"),
        (
            Refusal::TokenNotTaken(Scheme::Bearer),
            403,
            r#"Bearer error="insufficient_scope", "#,
            "this endpoint takes API keys only",
        ),
        (
            Refusal::TokenNotTaken(Scheme::Dpop),
            403,
            r#"DPoP error="insufficient_scope", "#,
            "this endpoint takes API keys only",
        ),
        (Refusal::TokenAsKey, 401, r#"Bearer error="invalid_token", "#, "with the scheme Bearer"),
    ] {
        let (told_status, challenge) = told(&challenger.answer(&refusal));
        assert_eq!(told_status, status, "{challenge}");
        assert!(challenge.starts_with(beginning) && challenge.contains(words), "{challenge}");
    }
}

#[test]
fn where_proofs_are_announced_a_401_says_so() {
    let challenger = Challenger::new("ES256 EdDSA").announcing_dpop();
    let need = Need::scope("a");
    for (refusal, status, challenge) in [
        (Refusal::NothingShown, 401, r#"Bearer, DPoP algs="ES256 EdDSA""#),
        (
            token(Scheme::Bearer),
            401,
            r#"Bearer error="invalid_token", error_description="the token has expired", DPoP algs="ES256 EdDSA""#,
        ),
        (
            token(Scheme::Dpop),
            401,
            r#"DPoP error="invalid_token", error_description="the token has expired", algs="ES256 EdDSA""#,
        ),
        (
            ProofError::Missing.into(),
            401,
            r#"DPoP error="invalid_dpop_proof", error_description="the DPoP field is missing", algs="ES256 EdDSA""#,
        ),
        (
            ProofError::TokenNotBound.into(),
            401,
            r#"DPoP error="invalid_token", error_description="the token is not bound to a key; send it with the scheme Bearer", algs="ES256 EdDSA""#,
        ),
        (
            ProofError::BoundTokenAsBearer.into(),
            401,
            r#"Bearer error="invalid_token", error_description="the token is bound to a key; send it with the scheme DPoP and a proof", DPoP algs="ES256 EdDSA""#,
        ),
        (
            Refusal::InsufficientScope { scheme: Scheme::Dpop, need: &need },
            403,
            r#"DPoP error="insufficient_scope", error_description="the token has not been granted what this endpoint needs", scope="a", algs="ES256 EdDSA""#,
        ),
        (
            Refusal::Certificate { scheme: Scheme::Dpop, error: CertificateError::Missing },
            401,
            r#"DPoP error="invalid_token", error_description="the token is bound to a certificate, and this connection has none", algs="ES256 EdDSA""#,
        ),
    ] {
        assert_eq!(
            told(&challenger.answer(&refusal)),
            (status, challenge.to_owned()),
            "{refusal:?}"
        );
    }
    let scope = Refusal::InsufficientScope { scheme: Scheme::Bearer, need: &need };
    assert!(!told(&challenger.answer(&scope)).1.contains("DPoP"));
}

#[test]
fn a_response_has_the_fields_and_the_body() {
    let challenger = Challenger::new("ES256");
    let response = challenger
        .answer(&Refusal::Unavailable { retry_after: Duration::from_millis(1500) })
        .into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(!response.headers().contains_key("www-authenticate"));
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["error"], "temporarily_unavailable");

    let response = challenger.answer(&Refusal::NothingShown).into_response();
    assert!(response.body().is_empty() && !response.headers().contains_key("content-type"));
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let now = challenger.answer(&Refusal::Unavailable { retry_after: Duration::ZERO });
    assert_eq!(now.retry_after, Some(1));
}

#[test]
fn a_realm_that_cannot_stand_in_a_header_is_refused() {
    for wrong in ["a\nb", "\u{e9}", "a\tb", "\u{7f}"] {
        assert_eq!(Challenger::new("ES256").realm(wrong).unwrap_err().field(), "realm");
    }
    let challenger = Challenger::new("ES256").realm(r#"the "API""#).unwrap();
    assert_eq!(told(&challenger.answer(&Refusal::NothingShown)).1, r#"Bearer realm="the \"API\"""#);
}

fn refusals(need: &Need) -> Vec<Refusal<'_>> {
    let proofs = [
        ProofError::BoundTokenAsBearer,
        ProofError::TokenNotBound,
        ProofError::OtherKey,
        ProofError::Missing,
        ProofError::Several,
        ProofError::Malformed,
        ProofError::OtherType,
        ProofError::OtherAlgorithm,
        ProofError::PrivateKey,
        ProofError::NoKey,
        ProofError::Signature,
        ProofError::OtherMethod,
        ProofError::OtherTarget,
        ProofError::Time,
        ProofError::OtherToken,
        ProofError::Replayed,
        ProofError::TooMany,
    ];
    let mut all = vec![
        Refusal::NothingShown,
        Refusal::KeyNotTaken,
        Refusal::TokenAsKey,
        PresentError::Several.into(),
        Refused::Unlisted.into(),
        ambiguous().into(),
        Refusal::Unavailable { retry_after: Duration::MAX },
    ];
    all.extend(proofs.map(Refusal::Proof));
    for scheme in SCHEMES {
        all.extend([
            token(scheme),
            Refusal::TokenNotTaken(scheme),
            Refusal::InsufficientScope { scheme, need },
            PresentError::Malformed(scheme).into(),
            Refusal::Certificate { scheme, error: CertificateError::Missing },
            Refusal::Certificate { scheme, error: CertificateError::Other },
        ]);
    }
    all
}

#[test]
fn every_description_keeps_to_the_characters_of_the_rfc() {
    let need = Need::scope("a");
    for refusal in refusals(&need) {
        let answer = Challenger::new("ES256").announcing_dpop().answer(&refusal);
        let Some(body) = answer.body() else { continue };
        let body: Value = serde_json::from_str(&body).unwrap();
        let description = body["error_description"].as_str().unwrap();
        // RFC 6750 §3.
        let is_legal = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(!description.is_empty() && description.bytes().all(is_legal), "{description}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_challenge_can_be_read_and_says_what_was_meant(
        realm in proptest::option::of("[ -~]{0,20}"),
        algs in "[A-Z0-9 ]{0,12}",
        is_announced: bool,
        scopes in proptest::collection::vec(any::<String>(), 1..3),
    ) {
        let mut challenger = Challenger::new(&*algs);
        if let Some(realm) = &realm {
            challenger = challenger.realm(realm).unwrap();
        }
        if is_announced {
            challenger = challenger.announcing_dpop();
        }
        // Not even one that no table would take breaks out of its quotes.
        let need = Need::scopes(scopes.clone());
        for refusal in refusals(&need) {
            let answer = challenger.answer(&refusal);
            let Some(challenge) = &answer.challenge else { continue };
            let challenges = parsed(challenge);
            prop_assert!(challenges.len() <= 2);
            let body = answer.body().map(|body| serde_json::from_str::<Value>(&body).unwrap());
            for (number, (scheme, params)) in challenges.iter().enumerate() {
                let param = |name: &str| {
                    let mut found = params.iter().filter(|(known, _)| known == name);
                    let first = found.next().map(|(_, value)| value.as_str());
                    assert!(found.next().is_none(), "{name} twice");
                    first
                };
                prop_assert_eq!(param("realm"), realm.as_deref());
                prop_assert_eq!(param("algs"), Some(&*algs).filter(|_| scheme == "DPoP"));
                prop_assert!(scheme == "Bearer" || scheme == "DPoP");
                if number == 0 {
                    let told = |name| body.as_ref().and_then(|body| body[name].as_str());
                    prop_assert_eq!(param("error"), told("error"));
                    prop_assert_eq!(param("error_description"), told("error_description"));
                } else {
                    prop_assert_eq!(param("error"), None);
                }
                if let (0, Refusal::InsufficientScope { .. }) = (number, refusal) {
                    let expected: String = scopes.join(" ").chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
                    prop_assert_eq!(param("scope"), Some(&*expected).filter(|scope| !scope.is_empty()));
                }
            }
            answer.into_response();
        }
    }
}

#[test]
fn too_many_proofs_are_an_outage_that_says_when_to_come_again() {
    let answer = Challenger::new("ES256").answer(&Refusal::Proof(ProofError::TooMany));
    assert_eq!((answer.status.as_u16(), answer.retry_after), (503, Some(PAUSE)));
    assert_eq!(answer.into_response().headers()["retry-after"], "5");
}
