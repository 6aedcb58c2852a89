use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::server::testing::{Pair, claims, set};

fn keys(published: &[Value]) -> KeySet {
    crate::server::testing::provider();
    KeySet::first(parse(set(published).as_bytes()).unwrap())
}

fn verdict(keys: &KeySet, kid: Option<&str>, algorithm: Algorithm, token: &str) -> Verdict {
    let (message, signature) = token.rsplit_once('.').unwrap();
    keys.verify(kid, algorithm, message, signature)
}

const RSA: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

#[test]
fn each_key_verifies_the_algorithms_of_its_own_kind_and_no_others() {
    let (p256, p384, ed) = (Pair::p256(), Pair::p384(), Pair::ed25519());
    let all = RSA.iter().chain(&[Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa]);
    for (pair, own) in [
        (Pair::rsa(), &RSA[..]),
        (&p256, &[Algorithm::Es256]),
        (&p384, &[Algorithm::Es384]),
        (&ed, &[Algorithm::EdDsa]),
    ] {
        let keys = keys(&[pair.named("k")]);
        for algorithm in all.clone() {
            if own.contains(algorithm) {
                let token = pair.sign_with(*algorithm, &json!({}), &claims());
                assert_eq!(verdict(&keys, Some("k"), *algorithm, &token), Verdict::Verified);
                let other = token.replacen("ey", "eZ", 1);
                assert_eq!(verdict(&keys, Some("k"), *algorithm, &other), Verdict::Forged);
            } else {
                let token = pair.sign(&json!({}), &claims());
                let verdict = verdict(&keys, Some("k"), *algorithm, &token);
                assert_eq!(verdict, Verdict::OtherAlgorithm, "{algorithm:?}");
            }
        }
    }
}

#[test]
fn a_key_is_only_for_the_algorithm_that_it_names() {
    let keys = keys(&[Pair::rsa().published(json!({ "kid": "k", "alg": "RS256" }))]);
    for algorithm in RSA {
        let token = Pair::rsa().sign_with(algorithm, &json!({}), &claims());
        let verdict = verdict(&keys, Some("k"), algorithm, &token);
        let right = algorithm == Algorithm::Rs256;
        assert_eq!(verdict, if right { Verdict::Verified } else { Verdict::OtherAlgorithm });
    }
}

#[test]
fn what_cannot_be_used_is_left_out_and_the_others_count() {
    let pair = Pair::p256();
    let n = URL_SAFE_NO_PAD.encode([0xff; 128]);
    let unusable = [
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "k" }),
        json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "k" }),
        json!({ "kty": "PQC", "kid": "k" }),
        json!({ "kty": "RSA", "n": n, "e": "AQAB", "kid": "k" }),
        json!({ "kty": "RSA", "n": "!", "e": "AQAB", "kid": "k" }),
        json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "k" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "k" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": "AA", "kid": "k" }),
        json!({ "kid": "k" }),
        json!("key"),
        json!(null),
        Pair::rsa().published(json!({ "use": "enc", "kid": "k" })),
        Pair::rsa().published(json!({ "key_ops": ["encrypt"], "kid": "k" })),
        Pair::rsa().published(json!({ "alg": "RSA-OAEP", "kid": "k" })),
        Pair::rsa().published(json!({ "alg": "HS256", "kid": "k" })),
        Pair::rsa().published(json!({ "alg": "ES256", "kid": "k" })),
        Pair::rsa().published(json!({ "kid": 7 })),
    ];
    for key in &unusable {
        assert!(parse(set(std::slice::from_ref(key)).as_bytes()).unwrap().is_empty(), "{key}");
    }
    let good = pair.published(json!({ "kid": "k", "use": "sig", "key_ops": ["verify"], "x5c": 1 }));
    let mut published = unusable.to_vec();
    published.push(good);
    let token = pair.sign(&json!({}), &claims());
    assert_eq!(verdict(&keys(&published), Some("k"), Algorithm::Es256, &token), Verdict::Verified);
    for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":null}"#, "<html>"] {
        assert!(parse(text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn names_decide_and_without_one_a_few_keys_are_tried() {
    let pairs: Vec<_> = (0..6).map(|_| Pair::p256()).collect();
    let named: Vec<_> = (0..6).map(|i| pairs[i].named(&i.to_string())).collect();
    let keys_named = keys(&named);
    let es = Algorithm::Es256;
    let token = |i: usize| pairs[i].sign(&json!({}), &claims());
    assert_eq!(verdict(&keys_named, Some("0"), es, &token(0)), Verdict::Verified);
    assert_eq!(verdict(&keys_named, Some("1"), es, &token(0)), Verdict::Forged);
    assert_eq!(verdict(&keys_named, Some("9"), es, &token(0)), Verdict::Unknown);
    assert_eq!(verdict(&keys_named, Some(""), es, &token(0)), Verdict::Unknown);
    assert_eq!(verdict(&keys_named, None, es, &token(MOST_TRIED - 1)), Verdict::Verified);
    assert_eq!(verdict(&keys_named, None, es, &token(MOST_TRIED)), Verdict::Unnamed);
    assert_eq!(verdict(&keys_named, None, Algorithm::Rs256, &token(0)), Verdict::Unknown);

    let nameless = keys(&[named[0].clone(), pairs[1].jwk.clone()]);
    assert_eq!(verdict(&nameless, Some("9"), es, &token(1)), Verdict::Verified);
    assert_eq!(verdict(&nameless, Some("9"), es, &token(0)), Verdict::Unnamed);
    assert_eq!(verdict(&nameless, None, es, &token(0)), Verdict::Verified);

    let twins = keys(&[pairs[0].named("k"), Pair::rsa().named("k"), pairs[1].named("k")]);
    let rsa = Pair::rsa().sign(&json!({}), &claims());
    assert_eq!(verdict(&twins, Some("k"), es, &token(1)), Verdict::Verified);
    assert_eq!(verdict(&twins, Some("k"), Algorithm::Rs256, &rsa), Verdict::Verified);
}

#[test]
fn the_generation_changes_with_the_keys_and_not_with_their_order() {
    let (a, b) = (Pair::p256(), Pair::p256());
    let parse = |published: &[Value]| parse(set(published).as_bytes()).unwrap();
    let first = keys(&[a.named("a"), b.named("b")]);
    assert_eq!(first.generation(), 1);
    assert!(first.followed_by(parse(&[b.named("b"), a.named("a")])).is_none());
    for other in [
        vec![a.named("a")],
        vec![a.named("b"), b.named("a")],
        vec![a.named("a"), b.published(json!({ "kid": "b", "alg": "ES256" }))],
        vec![a.named("a"), b.named("b"), b.named("c")],
        vec![a.named("a"), b.jwk.clone()],
        vec![a.named("a"), b.named("")],
    ] {
        assert_eq!(first.followed_by(parse(&other)).unwrap().generation(), 2, "{other:?}");
    }
}

proptest! {
    #[test]
    fn no_key_set_and_no_signature_panics(
        text in "\\PC*",
        members in prop::collection::hash_map("(kty|crv|n|e|x|y|kid|alg|use)", "(RSA|EC|OKP|P-256|P-384|Ed25519|ES256|[A-Za-z0-9_-]{0,90})", 0..9),
        point in prop::collection::vec(any::<u8>(), 32),
    ) {
        let _ = parse(text.as_bytes());
        let _ = parse(set(&[json!(members)]).as_bytes());
        let x = URL_SAFE_NO_PAD.encode(&point);
        for key in [
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": x }),
            json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
        ] {
            let keys = keys(&[key]);
            for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
                prop_assert_ne!(keys.verify(None, algorithm, &text, &x), Verdict::Verified);
            }
        }
    }
}
