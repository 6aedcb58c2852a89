//! What the settings change, and which of them there cannot be.

use auth_core::Algorithm;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256};

use super::*;

#[test]
fn the_settings_decide_which_proofs_count() {
    let bound = bound(&KEY);
    let check = |verifier: &DpopVerifier, htu: &str, age: i64| {
        let claims = with(with(claims(), "htu", Some(json!(htu))), "iat", Some(json!(NOW - age)));
        let proof = signed(&KEY, &header(), &claims);
        used(verifier, &Presented::Dpop(TOKEN), &bound, (&request(&[&proof])).into(), NOW)
    };
    let rsa = DpopVerifier::new().algorithms([ProofAlgorithm::Ps256]);
    assert_eq!(check(&rsa, URL, 0), Err(ProofError::OtherAlgorithm));
    assert_eq!(
        (rsa.algs(), DpopVerifier::new().algs()),
        ("PS256".into(), "ES256 EdDSA PS256 RS256".into())
    );
    let narrow = DpopVerifier::new().window(Duration::from_secs(5));
    assert_eq!(check(&narrow, URL, 6), Err(ProofError::Time));
    assert_eq!(check(&narrow, URL, 5), Ok(()));
    let proxied =
        || DpopVerifier::new().external_origin("https://edge.example:8443".parse().unwrap());
    assert_eq!(check(&proxied(), "https://edge.example:8443/v2/shipments", 0), Ok(()));
    assert_eq!(check(&proxied(), URL, 0), Err(ProofError::OtherTarget));
    let plain = || DpopVerifier::new().plain_http();
    assert_eq!(check(&plain(), "http://api.example/v2/shipments", 0), Ok(()));
    assert_eq!(check(&plain(), URL, 0), Err(ProofError::OtherTarget));
}

#[test]
fn every_algorithm_of_the_client_is_accepted() {
    let pem = |algorithm| {
        let der = STANDARD.encode(KeyPair::generate_for(algorithm).unwrap().serialize_der());
        let lines: Vec<_> =
            der.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    };
    let rsa = pem(&PKCS_RSA_SHA256);
    for key in [
        SigningKey::generate_es256(),
        SigningKey::from_pem(Algorithm::EdDsa, pem(&PKCS_ED25519)).unwrap(),
        SigningKey::from_pem(Algorithm::Ps256, &rsa).unwrap(),
        SigningKey::from_pem(Algorithm::Rs256, &rsa).unwrap(),
    ] {
        let header = json!({"typ": "dpop+jwt", "alg": key.algorithm(), "jwk": jwk(&key)});
        let proof = signed(&key, &header, &claims());
        let check = |proof: &str| {
            used(
                &DpopVerifier::new(),
                &Presented::Dpop(TOKEN),
                &bound(&key),
                (&request(&[proof])).into(),
                NOW,
            )
        };
        assert_eq!(check(&proof), Ok(()), "{}", key.algorithm());
        let other = with(claims(), "jti", Some(json!("2")));
        let (text, _) = signed(&key, &header, &other)
            .rsplit_once('.')
            .map(|(text, _)| (text.to_owned(), ()))
            .unwrap();
        let forged = format!("{text}.{}", proof.rsplit_once('.').unwrap().1);
        assert_eq!(check(&forged), Err(ProofError::Signature), "{}", key.algorithm());
    }
}

#[test]
fn settings_by_which_no_proof_could_count_are_refused() {
    crate::server::testing::provider();
    let new = DpopVerifier::new;
    for (verifier, field) in [
        (new().algorithms([]), "dpop.algorithms"),
        (new().capacity(0), "dpop.capacity"),
        (new().capacity(MOST_REMEMBERED + 1), "dpop.capacity"),
        (new().capacity(usize::MAX), "dpop.capacity"),
        (new().window(Duration::ZERO), "dpop.window"),
        (new().window(Duration::from_millis(999)), "dpop.window"),
    ] {
        assert_eq!(verifier.check_settings().unwrap_err().field(), field, "{verifier:?}");
    }
    for verifier in [
        new(),
        new().algorithms(ProofAlgorithm::ALL),
        new().capacity(1),
        new().capacity(MOST_REMEMBERED),
        new().window(Duration::from_secs(1)),
        new().window(Duration::MAX),
    ] {
        assert_eq!(verifier.check_settings(), Ok(()), "{verifier:?}");
    }
}

/// The provider of a process is chosen once, so this takes a process of its own: the one that the test below starts.
#[test]
#[ignore = "for a process of its own"]
fn with_a_provider_for_es256_alone() {
    use jsonwebtoken::crypto::{CryptoProvider, KeyUtils, aws_lc};

    static ONE: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| panic!("no provider"),
        verifier_factory: |algorithm, key| match algorithm {
            jsonwebtoken::Algorithm::ES256 => {
                (aws_lc::DEFAULT_PROVIDER.verifier_factory)(algorithm, key)
            }
            _ => Err(jsonwebtoken::errors::ErrorKind::UnsupportedAlgorithm.into()),
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    // Only where it was started on its own: others of this process have another provider.
    if std::env::var_os("ONE_ALGORITHM").is_none() {
        return;
    }
    ONE.install_default().unwrap();
    let own = DpopVerifier::new().algorithms([ProofAlgorithm::Es256]);
    let both = DpopVerifier::new().algorithms([ProofAlgorithm::Es256, ProofAlgorithm::Ps256]);
    println!("<{:?}> <{}>", own.check_settings(), both.check_settings().unwrap_err());
}

#[test]
fn an_algorithm_that_the_crypto_provider_does_not_have_is_refused() {
    let name = "server::dpop::tests::settings::with_a_provider_for_es256_alone";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", name])
        .env("ONE_ALGORITHM", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{text}");
    assert!(text.contains("<Ok(())> <dpop.algorithms: Ps256: jsonwebtoken"), "{text}");
    assert!(text.contains("does not know this algorithm>"), "{text}");
}
