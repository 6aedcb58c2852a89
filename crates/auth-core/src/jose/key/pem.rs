//! The private key in a PEM file (RFC 7468), or what stands there in its place.

use rustls_pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::der;
use super::error::KeyError;
use super::material::Material;

/// The first private key of the file; certificates may stand beside it.
pub(super) fn read(algorithm: Algorithm, pem: &[u8]) -> Result<Material, KeyError> {
    // Encrypted as before PKCS#8 (RFC 1421 §4.6.1.1); the label is that of a plain key.
    if pem
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"Proc-Type:") && contains(line, b"ENCRYPTED"))
    {
        return Err(convert("the key is encrypted"));
    }
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
    for section in sections {
        // The parser's errors quote the line that they are about.
        let Ok((kind, bytes)) = section else {
            return Err(KeyError::new(
                "the PEM file is broken: a line is missing or is not base64; copy the file anew",
            ));
        };
        let bytes = Zeroizing::new(bytes);
        match kind {
            SectionKind::PrivateKey => return der::pkcs8(algorithm, &bytes),
            SectionKind::RsaPrivateKey => return der::pkcs1(&bytes),
            _ => {}
        }
    }
    Err(explain(pem))
}

/// What a file without a readable private key is.
fn explain(pem: &[u8]) -> KeyError {
    let has = |label: &str| contains(pem, format!("-----BEGIN {label}-----").as_bytes());
    if has("EC PRIVATE KEY") {
        convert("the key is in the form of SEC 1 (`EC PRIVATE KEY`), and PKCS#8 is needed")
    } else if has("ENCRYPTED PRIVATE KEY") {
        convert("the key is encrypted")
    } else if has("OPENSSH PRIVATE KEY") {
        KeyError::new(
            "this is a key of OpenSSH, which is for SSH alone; make one for signing: `openssl genpkey -algorithm EC -pkeyopt \
             ec_paramgen_curve:P-256 -out key.pem`",
        )
    } else if has("PUBLIC KEY") || has("RSA PUBLIC KEY") {
        KeyError::new("this is a public key; give the private key that it was made from")
    } else if has("CERTIFICATE") {
        KeyError::new(
            "this is a certificate; give the private key that it was made for, a file with `-----BEGIN PRIVATE KEY-----`",
        )
    } else {
        KeyError::new(
            "this is no PEM file with `-----BEGIN PRIVATE KEY-----`; a DER file becomes one by `openssl pkey -inform DER -in \
             key.der -out key.pem`, and a JWK is for `SigningKey::from_jwk`",
        )
    }
}

fn convert(problem: &str) -> KeyError {
    KeyError::new(format!(
        "{problem}; convert it: `openssl pkcs8 -topk8 -nocrypt -in key.pem -out key.pkcs8.pem`"
    ))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
