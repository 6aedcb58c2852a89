//! Whether jsonwebtoken has the cryptography that it needs.

use std::panic::catch_unwind;

use jsonwebtoken::DecodingKey;

use super::algorithm::Algorithm;
use super::error::ConfigError;

/// Tries each of `algorithms` on an empty signature. A provider that is there says no, and the stand-in for one that is not
/// panics: there is no way to ask.
pub(crate) fn check(algorithms: &[Algorithm]) -> Result<(), ConfigError> {
    for algorithm in algorithms {
        let tried = catch_unwind(|| {
            jsonwebtoken::crypto::verify("", b"", &any_key(*algorithm), algorithm.of_library())
        });
        let problem = match tried {
            Ok(Ok(false)) => continue,
            Ok(Ok(true)) => "takes an empty signature for a good one",
            Ok(Err(_)) => "does not know this algorithm",
            Err(_) => {
                "is missing: enable exactly one of jsonwebtoken's features `aws_lc_rs` and `rust_crypto` in the binary, or \
                 call `CryptoProvider::install_default` before this is built"
            }
        };
        let problem = format!("{algorithm:?}: jsonwebtoken's crypto provider {problem}");
        return Err(ConfigError::new("algorithms", problem));
    }
    Ok(())
}

/// A key of the right kind, which some providers look at before the signature: for RSA a number of the right length, for the
/// others the generator of the curve (SEC 2 §2.4.2 and §2.5.1, RFC 8032 §5.1).
fn any_key(algorithm: Algorithm) -> DecodingKey {
    match algorithm {
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => DecodingKey::from_rsa_raw_components(&[0xff; 256], &[1, 0, 1]),
        Algorithm::Es256 => DecodingKey::from_ec_components(
            "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
            "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
        )
        .unwrap_or_else(|_| DecodingKey::from_ec_der(&[])),
        Algorithm::Es384 => DecodingKey::from_ec_components(
            "qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3",
            "NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f",
        )
        .unwrap_or_else(|_| DecodingKey::from_ec_der(&[])),
        Algorithm::EdDsa => {
            let mut generator = [0x66; 32];
            generator[0] = 0x58;
            DecodingKey::from_ed_der(&generator)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_is_there_passes() {
        crate::server::testing::provider();
        let all = [
            Algorithm::Rs256,
            Algorithm::Rs384,
            Algorithm::Rs512,
            Algorithm::Ps256,
            Algorithm::Ps384,
            Algorithm::Ps512,
            Algorithm::Es256,
            Algorithm::Es384,
            Algorithm::EdDsa,
        ];
        assert_eq!(check(&all), Ok(()));
    }

    /// The provider of a process is chosen once, so this takes a process of its own: the one that the test below starts.
    #[test]
    #[ignore = "for a process of its own"]
    fn alone() {
        use jsonwebtoken::crypto::{CryptoProvider, KeyUtils, aws_lc};

        static NONE: CryptoProvider = CryptoProvider {
            signer_factory: |_, _| panic!("no provider"),
            verifier_factory: |_, _| panic!("no provider"),
            key_utils: KeyUtils::new_unimplemented(),
        };
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
        let Ok(provider) = std::env::var("PROVIDER") else { return };
        let provider = if provider == "none" { &NONE } else { &ONE };
        provider.install_default().unwrap();
        let of = |algorithm| match check(&[algorithm]) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string(),
        };
        println!("<{}> <{}>", of(Algorithm::Es256), of(Algorithm::Rs256));
    }

    #[test]
    fn a_provider_that_is_missing_is_an_error_and_no_panic() {
        let said = |provider| {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--ignored", "--nocapture", "server::provider::tests::alone"])
                .env("PROVIDER", provider)
                .output()
                .unwrap();
            let text = String::from_utf8(child.stdout).unwrap();
            assert!(child.status.success(), "{text}");
            text
        };
        let none = said("none");
        assert_eq!(none.matches("crypto provider is missing").count(), 2, "{none}");
        let one = said("one");
        assert!(one.contains("<fine>") && one.contains("Rs256: jsonwebtoken"), "{one}");
        assert!(one.contains("does not know this algorithm"), "{one}");
    }
}
