//! Proofs, and what makes one count. What the settings change is in `settings`.

mod client;
mod settings;

use std::sync::LazyLock;

use auth_core::{PublicJwk, Signer, SigningKey};
use http::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_767_225_600;
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const URL: &str = "https://api.example/v2/shipments";

static KEY: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate_es256);

fn jwk(key: &SigningKey) -> PublicJwk {
    key.public_jwk().unwrap()
}

fn bound(key: &SigningKey) -> Confirmation {
    Confirmation { jkt: Some(jwk(key).thumbprint()), ..Confirmation::default() }
}

fn header() -> Value {
    json!({"typ": "dpop+jwt", "alg": KEY.algorithm(), "jwk": jwk(&KEY)})
}

fn claims() -> Value {
    let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(TOKEN));
    json!({"jti": "1", "htm": "GET", "htu": URL, "iat": NOW, "ath": ath})
}

/// The value with this member replaced, or removed.
fn with(mut value: Value, member: &str, new: Option<Value>) -> Value {
    let members = value.as_object_mut().unwrap();
    match new {
        Some(new) => members.insert(member.to_owned(), new),
        None => members.remove(member),
    };
    value
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let text = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

fn request(proofs: &[&str]) -> Request<()> {
    let mut request =
        Request::get("/v2/shipments?x=y").header("host", "api.example").body(()).unwrap();
    for proof in proofs {
        request.headers_mut().append(DPOP, HeaderValue::from_str(proof).unwrap());
    }
    request
}

/// A request that is let through: its proof is good, and used up.
fn used(
    verifier: &DpopVerifier,
    presented: &Presented<'_>,
    bound_to: &Confirmation,
    request: ProofRequest<'_>,
    now: i64,
) -> Result<(), ProofError> {
    let proof = verifier.check(presented, bound_to, request, now)?;
    proof.map_or(Ok(()), UnusedProof::use_up)
}

/// Against a verifier that has seen nothing yet.
fn checked(proof: &str) -> Result<(), ProofError> {
    used(
        &DpopVerifier::new(),
        &Presented::Dpop(TOKEN),
        &bound(&KEY),
        (&request(&[proof])).into(),
        NOW,
    )
}

fn with_claims(claims: &Value) -> Result<(), ProofError> {
    checked(&signed(&KEY, &header(), claims))
}

fn with_header(header: &Value) -> Result<(), ProofError> {
    checked(&signed(&KEY, header, &claims()))
}

#[test]
fn a_proof_counts_once_for_its_request() {
    let verifier = DpopVerifier::new();
    let (proof, bound) = (signed(&KEY, &header(), &claims()), bound(&KEY));
    let request = request(&[&proof]);
    let check = |now| used(&verifier, &Presented::Dpop(TOKEN), &bound, (&request).into(), now);
    assert_eq!(check(NOW), Ok(()));
    assert_eq!(check(NOW), Err(ProofError::Replayed));
    assert_eq!(check(NOW + 60), Err(ProofError::Replayed));
    assert_eq!(check(NOW + 61), Err(ProofError::Time));
}

#[test]
fn every_claim_must_be_the_requests_own() {
    for (member, value, error) in [
        ("htm", Some(json!("POST")), ProofError::OtherMethod),
        ("htm", Some(json!("get")), ProofError::OtherMethod),
        ("htm", None, ProofError::Malformed),
        ("htu", Some(json!("https://api.example/v2/products")), ProofError::OtherTarget),
        ("htu", Some(json!("https://evil.example/v2/shipments")), ProofError::OtherTarget),
        ("htu", Some(json!("http://api.example/v2/shipments")), ProofError::OtherTarget),
        ("htu", Some(json!("/v2/shipments")), ProofError::OtherTarget),
        ("htu", None, ProofError::Malformed),
        ("iat", Some(json!(NOW - 61)), ProofError::Time),
        ("iat", Some(json!(NOW + 61)), ProofError::Time),
        ("iat", Some(json!(1e300)), ProofError::Time),
        ("iat", Some(json!(-1e300)), ProofError::Time),
        ("iat", Some(json!(NOW.to_string())), ProofError::Malformed),
        ("iat", None, ProofError::Malformed),
        (
            "ath",
            Some(json!(URL_SAFE_NO_PAD.encode(Sha256::digest("other")))),
            ProofError::OtherToken,
        ),
        ("ath", Some(json!("")), ProofError::OtherToken),
        ("ath", None, ProofError::OtherToken),
        ("jti", Some(json!("")), ProofError::Malformed),
        ("jti", Some(json!(1)), ProofError::Malformed),
        ("jti", None, ProofError::Malformed),
    ] {
        let claims = with(claims(), member, value);
        assert_eq!(with_claims(&claims), Err(error), "{claims}");
    }
    for (member, value) in [
        ("iat", json!(NOW - 60)),
        ("iat", json!(NOW + 60)),
        ("iat", json!(NOW as f64 + 0.5)),
        ("htu", json!("HTTPS://API.example:443/%762/shipments?a#b")),
        ("nonce", json!("any")),
        ("exp", json!(0)),
    ] {
        let claims = with(claims(), member, Some(value));
        assert_eq!(with_claims(&claims), Ok(()), "{claims}");
    }
}

#[test]
fn a_header_that_is_no_proofs_is_refused() {
    let private = |member: &str| {
        let jwk = with(json!(jwk(&KEY)), member, Some(json!("AA")));
        with(header(), "jwk", Some(jwk))
    };
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert_eq!(with_header(&private(member)), Err(ProofError::PrivateKey), "{member}");
    }
    for (member, value, error) in [
        ("typ", Some(json!("JWT")), ProofError::OtherType),
        ("typ", None, ProofError::OtherType),
        ("alg", Some(json!("none")), ProofError::OtherAlgorithm),
        ("alg", Some(json!("HS256")), ProofError::OtherAlgorithm),
        ("alg", Some(json!("es256")), ProofError::OtherAlgorithm),
        ("alg", Some(json!("RS256")), ProofError::NoKey),
        ("alg", Some(json!("EdDSA")), ProofError::NoKey),
        ("alg", None, ProofError::Malformed),
        ("crit", Some(json!(["b64"])), ProofError::Malformed),
        ("jwk", Some(json!({"kty": "oct"})), ProofError::NoKey),
        (
            "jwk",
            Some(json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"})),
            ProofError::NoKey,
        ),
        (
            "jwk",
            Some(json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})),
            ProofError::NoKey,
        ),
        ("jwk", Some(json!("key")), ProofError::Malformed),
        ("jwk", None, ProofError::Malformed),
        ("jwk", Some(json!(PublicJwk::ec_p256([1; 32], [2; 32]))), ProofError::OtherKey),
    ] {
        let header = with(header(), member, value);
        assert_eq!(with_header(&header), Err(error), "{header}");
    }
}

#[test]
fn the_signature_must_be_by_the_key_that_the_token_is_bound_to() {
    let other = SigningKey::generate_es256();
    // By another key, with the right one beside it.
    assert_eq!(checked(&signed(&other, &header(), &claims())), Err(ProofError::Signature));
    // By another key that says so.
    let own = with(header(), "jwk", Some(json!(jwk(&other))));
    assert_eq!(checked(&signed(&other, &own, &claims())), Err(ProofError::OtherKey));
    let proof = signed(&KEY, &header(), &claims());
    let (text, _) = proof.rsplit_once('.').unwrap();
    for wrong in [format!("{text}."), format!("{text}.AA"), format!("{text}.{}", "A".repeat(86))] {
        assert_eq!(checked(&wrong), Err(ProofError::Signature));
    }
    // A point that is not on the curve, which the token is bound to all the same.
    let point = PublicJwk::ec_p256([1; 32], [2; 32]);
    let bound = Confirmation { jkt: Some(point.thumbprint()), ..Confirmation::default() };
    let proof = signed(&KEY, &with(header(), "jwk", Some(json!(point))), &claims());
    let check = used(
        &DpopVerifier::new(),
        &Presented::Dpop(TOKEN),
        &bound,
        (&request(&[&proof])).into(),
        NOW,
    );
    assert_eq!(check, Err(ProofError::Signature));
}

#[test]
fn a_proof_that_fails_is_not_used_up() {
    let verifier = DpopVerifier::new();
    let bound = bound(&KEY);
    let check = |proof: &str| {
        used(&verifier, &Presented::Dpop(TOKEN), &bound, (&request(&[proof])).into(), NOW)
    };
    let proof = signed(&KEY, &header(), &claims());
    assert_eq!(
        check(&signed(&SigningKey::generate_es256(), &header(), &claims())),
        Err(ProofError::Signature)
    );
    assert_eq!(check(&proof), Ok(()));
}

#[test]
fn a_proof_is_used_up_by_the_first_that_is_let_through_and_not_by_a_look_at_it() {
    let verifier = DpopVerifier::new();
    let (proof, bound) = (signed(&KEY, &header(), &claims()), bound(&KEY));
    let request = request(&[&proof]);
    let check = || verifier.check(&Presented::Dpop(TOKEN), &bound, (&request).into(), NOW);
    let (one, other) = (check().unwrap().unwrap(), check().unwrap().unwrap());
    assert_eq!(one.use_up(), Ok(()));
    assert_eq!(other.use_up(), Err(ProofError::Replayed));
    assert_eq!(check().unwrap().unwrap().use_up(), Err(ProofError::Replayed));
}

#[test]
fn there_must_be_one_field_and_it_must_be_a_jws() {
    let verifier = DpopVerifier::new();
    let bound = bound(&KEY);
    let check = |proofs: &[&str]| {
        used(&verifier, &Presented::Dpop(TOKEN), &bound, (&request(proofs)).into(), NOW)
    };
    let proof = signed(&KEY, &header(), &claims());
    assert_eq!(check(&[]), Err(ProofError::Missing));
    assert_eq!(check(&[&proof, &proof]), Err(ProofError::Several));
    for wrong in [
        "",
        "a",
        "a.b",
        "a.b.c",
        "..",
        &format!("{proof}.x"),
        &format!("{proof}, {proof}"),
        &format!("{proof}="),
    ] {
        let error = check(&[wrong]).unwrap_err();
        assert!(
            matches!(error, ProofError::Malformed | ProofError::Signature),
            "{wrong} {error:?}"
        );
    }
    let long = with(claims(), "jti", Some(json!("x".repeat(8192))));
    assert_eq!(check(&[&signed(&KEY, &header(), &long)]), Err(ProofError::Malformed));
    let twice = r#"{"jti":"1","jti":"2","htm":"GET","htu":"https://api.example/v2/shipments","iat":1767225600}"#;
    let (first, _) = proof.split_once('.').unwrap();
    let twice = format!("{first}.{}.AA", URL_SAFE_NO_PAD.encode(twice));
    assert_eq!(check(&[&twice]), Err(ProofError::Malformed));
    assert_eq!(check(&[&proof]), Ok(()));
}

#[test]
fn the_scheme_must_be_that_of_the_token() {
    let proof = signed(&KEY, &header(), &claims());
    let request = request(&[&proof]);
    let (bound, free) = (bound(&KEY), Confirmation::default());
    for (presented, bound_to, expected) in [
        (Presented::Bearer(TOKEN), &bound, Err(ProofError::BoundTokenAsBearer)),
        (Presented::Bearer(TOKEN), &free, Ok(())),
        (Presented::Dpop(TOKEN), &free, Err(ProofError::TokenNotBound)),
        (Presented::Dpop(TOKEN), &bound, Ok(())),
        (Presented::Key("key".into()), &free, Ok(())),
    ] {
        let check = used(&DpopVerifier::new(), &presented, bound_to, (&request).into(), NOW);
        assert_eq!(check, expected, "{presented:?}");
        assert_eq!(DpopVerifier::check_scheme(&presented, bound_to), expected, "{presented:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_proof_panics_and_none_counts_that_is_changed(
        text in "[ -~]{0,60}",
        header in "[ -~]{0,60}",
        place: prop::sample::Index,
        bit in 0_u32..7,
    ) {
        prop_assert!(checked(&text).is_err());
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let unsigned = format!("{}.{}.AA", part(&header), part(&text));
        prop_assert!(checked(&unsigned).is_err());
        let mut proof = signed(&KEY, &self::header(), &claims()).into_bytes();
        let place = place.index(proof.len());
        proof[place] ^= 1_u8 << bit;
        let proof = String::from_utf8(proof).unwrap();
        if HeaderValue::from_str(&proof).is_ok() {
            prop_assert!(checked(&proof).is_err(), "{}", proof);
        }
    }
}

/// It counts for twice the window, if the client's clock is ahead, and is remembered for as long.
#[test]
fn a_proof_from_the_future_counts_once_until_it_ends() {
    let verifier = DpopVerifier::new();
    let proof = signed(&KEY, &header(), &with(claims(), "iat", Some(json!(NOW + 60))));
    let (request, bound) = (request(&[&proof]), bound(&KEY));
    let check = |now| used(&verifier, &Presented::Dpop(TOKEN), &bound, (&request).into(), now);
    assert_eq!(check(NOW), Ok(()));
    assert_eq!(check(NOW + 120), Err(ProofError::Replayed));
    assert_eq!(check(NOW + 121), Err(ProofError::Time));
}

/// One key would have many thumbprints (RFC 7518 §6.3.1.1).
#[test]
fn a_number_of_an_rsa_key_has_no_zeros_in_front() {
    let number = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let (long, e) = ([&[0][..], &[0xff; 256]].concat(), [1, 0, 1]);
    for (n, e, error) in [
        (number(&[0xff; 256]), number(&e), ProofError::OtherKey),
        (number(&long), number(&e), ProofError::NoKey),
        (number(&[0xff; 256]), number(&[0, 1, 0, 1]), ProofError::NoKey),
    ] {
        let header = with(header(), "alg", Some(json!("RS256")));
        let header = with(header, "jwk", Some(json!({"kty": "RSA", "n": n, "e": e})));
        assert_eq!(with_header(&header), Err(error), "{header}");
    }
}
