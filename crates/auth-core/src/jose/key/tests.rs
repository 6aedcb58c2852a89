use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::jose::assertion::assertion;
use crate::jose::jws::jws;
use crate::jose::jws::tests::decoded;
use crate::jose::proof::proof;

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../../tests/keys/", $name))
    };
}

const ES256: &str = file!("es256.pem");
const ES256_JWK: &str = file!("es256.jwk.json");
const RSA: &str = file!("rsa2048.pem");
const RSA_PKCS1: &str = file!("rsa2048.pkcs1.pem");
const RSA_JWK: &str = file!("rsa2048.jwk.json");
const EDDSA: &str = file!("ed25519.pem");
const EDDSA_JWK: &str = file!("ed25519.jwk.json");

/// Every way in to every algorithm.
fn keys() -> Vec<(&'static str, SigningKey)> {
    let pem = |algorithm, text| SigningKey::from_pem(algorithm, text).unwrap();
    let jwk = |algorithm, text| SigningKey::from_jwk(algorithm, text).unwrap();
    vec![
        ("es256 pem", pem(Algorithm::Es256, ES256)),
        ("es256 jwk", jwk(Algorithm::Es256, ES256_JWK)),
        ("es256 generated", SigningKey::generate_es256()),
        ("rs256 pem", pem(Algorithm::Rs256, RSA)),
        ("rs256 pkcs1", pem(Algorithm::Rs256, RSA_PKCS1)),
        ("rs256 jwk", jwk(Algorithm::Rs256, RSA_JWK)),
        ("ps256 pem", pem(Algorithm::Ps256, RSA)),
        ("ps256 pkcs1", pem(Algorithm::Ps256, RSA_PKCS1)),
        ("ps256 jwk", jwk(Algorithm::Ps256, RSA_JWK)),
        ("eddsa pem", pem(Algorithm::EdDsa, EDDSA)),
        ("eddsa jwk", jwk(Algorithm::EdDsa, EDDSA_JWK)),
    ]
}

/// Verifies with the key that the JWK has, as an issuer does.
fn verified(key: &SigningKey, message: &[u8], signature: &[u8]) -> bool {
    let jwk = serde_json::to_value(key.public_jwk().unwrap()).unwrap();
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let by = |algorithm: &'static dyn VerificationAlgorithm, public: &[u8]| {
        UnparsedPublicKey::new(algorithm, public).verify(message, signature).is_ok()
    };
    let rsa = |parameters| {
        let public = rsa::PublicKeyComponents { n: member("n"), e: member("e") };
        public.verify(parameters, message, signature).is_ok()
    };
    match key.algorithm() {
        "ES256" => by(&ECDSA_P256_SHA256_FIXED, &[vec![4], member("x"), member("y")].concat()),
        "EdDSA" => by(&ED25519, &member("x")),
        "RS256" => rsa(&RSA_PKCS1_2048_8192_SHA256),
        "PS256" => rsa(&RSA_PSS_2048_8192_SHA256),
        other => panic!("{other}"),
    }
}

/// The error, and that it shows nothing of the text.
fn error(algorithm: Algorithm, text: &str) -> String {
    let error = if text.trim_start().starts_with('{') {
        SigningKey::from_jwk(algorithm, text)
    } else {
        SigningKey::from_pem(algorithm, text)
    }
    .unwrap_err();
    let shown = format!("{error} {error:?}");
    for line in text.split(['\n', '"']).filter(|line| line.len() >= 40) {
        assert!(!shown.contains(line), "{shown}");
    }
    error.to_string()
}

#[test]
fn what_a_key_signs_its_jwk_verifies() {
    for (name, key) in keys() {
        let signature = key.sign(b"message").unwrap();
        assert!(verified(&key, b"message", &signature), "{name}");
        assert!(!verified(&key, b"massage", &signature), "{name}");
    }
}

#[test]
fn a_signature_of_es256_is_r_and_s() {
    for _ in 0..100 {
        assert_eq!(SigningKey::generate_es256().sign(b"message").unwrap().len(), 64);
    }
}

#[test]
fn an_assertion_and_a_proof_verify() {
    let now = Timestamp::from_secs(1_767_225_600);
    for (name, key) in keys() {
        let jwk = key.public_jwk().unwrap();
        for text in [
            assertion(&key, "client", "https://issuer.example", now).unwrap(),
            proof(&key, &jwk, "GET", "https://api.example/", now, Some("t"), None).unwrap(),
        ] {
            let (signed, signature) = text.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(verified(&key, signed.as_bytes(), &signature), "{name}");
            assert_eq!(decoded(&text).0["alg"], key.algorithm());
        }
    }
}

#[test]
fn eddsa_is_that_of_rfc_8037_a_4() {
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = SigningKey::from_jwk(Algorithm::EdDsa, jwk).unwrap();
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(
        URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).unwrap()),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    let thumbprint = key.public_jwk().unwrap().thumbprint();
    assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_derivation_secret_is_one_for_all_texts_of_a_key() {
    let secrets = |names: &str| {
        let keys = keys().into_iter().filter(|(name, _)| {
            names.split('|').any(|start| name.starts_with(start)) && !name.ends_with("generated")
        });
        keys.map(|(_, key)| key.derivation_secret().unwrap().to_vec()).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for names in ["es256", "rs256|ps256", "eddsa"] {
        let mut secrets = secrets(names);
        assert!(secrets.len() >= 2 && secrets[0].len() == 32);
        secrets.dedup();
        assert_eq!(secrets.len(), 1, "{names}");
        all.append(&mut secrets);
    }
    all.push(SigningKey::generate_es256().derivation_secret().unwrap().to_vec());
    all.push(SigningKey::generate_es256().derivation_secret().unwrap().to_vec());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 5);
}

#[test]
fn the_order_of_the_primes_changes_nothing() {
    let mut jwk: Value = serde_json::from_str(RSA_JWK).unwrap();
    let there = private_jwk::read(Algorithm::Rs256, RSA_JWK).unwrap().0.derived();
    let p = jwk["p"].take();
    jwk["p"] = jwk["q"].take();
    jwk["q"] = p;
    let back = private_jwk::read(Algorithm::Rs256, &jwk.to_string()).unwrap().0.derived();
    assert_eq!(there, back);
}

#[test]
fn the_key_id_is_the_jwks_or_the_one_given() {
    let key = SigningKey::from_jwk(Algorithm::Es256, ES256_JWK).unwrap();
    assert_eq!(key.key_id(), Some("ec/1"));
    let key = key.with_key_id("other");
    assert_eq!(key.key_id(), Some("other"));
    let text = jws(&key, None, None, &json!({})).unwrap();
    assert_eq!(decoded(&text).0, json!({"alg": "ES256", "kid": "other"}));
    assert_eq!(SigningKey::from_pem(Algorithm::Es256, ES256).unwrap().key_id(), None);
}

#[test]
fn a_certificate_may_stand_before_the_key() {
    let both = [file!("es256.certificate.pem"), ES256].concat().replace('\n', "\r\n");
    SigningKey::from_pem(Algorithm::Es256, both).unwrap();
}

#[test]
fn what_openssl_can_convert_is_told_how() {
    let command = "`openssl pkcs8 -topk8 -nocrypt -in key.pem -out key.pkcs8.pem`";
    for (text, told) in [
        (file!("es256.sec1.pem"), "SEC 1 (`EC PRIVATE KEY`)"),
        (file!("es256.encrypted.pem"), "encrypted"),
        (file!("rsa2048.encrypted.pem"), "encrypted"),
    ] {
        let error = error(Algorithm::Es256, text);
        assert!(error.contains(told) && error.contains(command), "{error}");
    }
    let error = error(Algorithm::Es256, file!("es256.private_only.pem"));
    assert!(error.contains("`openssl ec -in key.pem | openssl pkcs8 -topk8"), "{error}");
}

#[test]
fn what_is_no_private_key_is_named() {
    for (text, told) in [
        (file!("es256.public.pem"), "public key"),
        (file!("es256.certificate.pem"), "certificate"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "OpenSSH"),
        ("", "no PEM file"),
        ("secret", "no PEM file"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA", "broken"),
        ("-----BEGIN PRIVATE KEY-----\n****\n-----END PRIVATE KEY-----", "broken"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "cannot be read"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
            "RSA key cannot be read",
        ),
    ] {
        let error = error(Algorithm::Es256, text);
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_key_for_another_algorithm_is_named_and_so_is_the_algorithm() {
    for (algorithm, text, found) in [
        (Algorithm::Es256, RSA, "an RSA key"),
        (Algorithm::Es256, EDDSA_JWK, "an Ed25519 key"),
        (Algorithm::Rs256, ES256, "an EC key on the curve P-256"),
        (Algorithm::Ps256, EDDSA, "an Ed25519 key"),
        (Algorithm::EdDsa, RSA_JWK, "an RSA key"),
        (Algorithm::Es256, file!("p384.pem"), "an EC key on the curve P-384"),
        (Algorithm::Ps256, file!("rsapss.pem"), "a key for RSASSA-PSS alone"),
    ] {
        let error = error(algorithm, text);
        let told = format!("and this is {found}");
        assert!(error.contains(&told) && error.contains(algorithm.name()), "{error}");
    }
}

#[test]
fn a_short_rsa_key_is_refused() {
    let error = error(Algorithm::Rs256, file!("rsa1024.pem"));
    assert!(error.contains("1024 bits") && error.contains("2048"), "{error}");
}

#[test]
fn a_jwk_says_what_is_wrong_with_it() {
    let with = |name: &str, value: Value| {
        let mut jwk: Value = serde_json::from_str(ES256_JWK).unwrap();
        jwk[name] = value;
        jwk.to_string()
    };
    for (jwk, told) in [
        (with("alg", json!("RS256")), "for RS256 by its `alg`, and ES256"),
        (with("alg", json!("<script>")), "for another algorithm by its `alg`"),
        (with("d", json!(null)), "public key"),
        (with("d", json!("AQ")), "32 bytes"),
        (with("d", json!("+/+/")), "`d` of the JWK is not base64url"),
        (with("x", json!(null)), "no `x`"),
        (with("y", json!(URL_SAFE_NO_PAD.encode([1; 32]))), "do not belong together"),
        (with("crv", json!("P-384")), "EC key on another curve"),
        (with("kty", json!("oct")), "shared with the issuer"),
        (with("kty", json!(null)), "JWK Set"),
        (format!(r#"{{"keys":[{ES256_JWK}]}}"#), "JWK Set"),
        (with("d", json!({"canary-canary-canary-canary-canary-canary": 1})), "RFC 7517"),
        (r#"{"d":"canary-canary-canary-canary-canary-canary","d":"#.to_owned(), "RFC 7517"),
    ] {
        let error = error(Algorithm::Es256, &jwk);
        assert!(error.contains(told), "{error}");
    }
    let mut jwk: Value = serde_json::from_str(RSA_JWK).unwrap();
    jwk["p"].take();
    assert!(error(Algorithm::Rs256, &jwk.to_string()).contains("no `p`"));
    jwk["oth"] = json!([]);
    assert!(error(Algorithm::Rs256, &jwk.to_string()).contains("more than two primes"));
}

#[test]
fn a_key_does_not_print() {
    for (name, key) in keys() {
        let shown = format!("{:?}", key.clone().with_key_id("k"));
        let algorithm = key.key.algorithm;
        let expected =
            format!(r#"SigningKey {{ algorithm: {algorithm:?}, key_id: Some("k"), .. }}"#);
        assert_eq!(shown, expected, "{name}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[{}\",:a-z]{0,60}") {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let _ = der::pkcs8(algorithm, &bytes);
            let _ = der::pkcs1(&bytes);
            prop_assert!(SigningKey::from_pem(algorithm, &bytes).is_err());
            prop_assert!(SigningKey::from_jwk(algorithm, &text).is_err());
        }
    }

    /// Close to a key, where the structure is entered.
    #[test]
    fn no_damaged_key_panics(which in 0..4usize, at: prop::sample::Index, byte: u8, cut: bool) {
        use rustls_pki_types::pem::{PemObject, SectionKind};
        let pem = [ES256, RSA, EDDSA, file!("p384.pem")][which];
        let (_, mut bytes) = <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes()).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
            if let Ok(material) = der::pkcs8(algorithm, &bytes) {
                let _ = SigningKey::of(algorithm, &material, None).map(|key| key.sign(b"message"));
            }
        }
    }
}
